#include "ingest/validate.h"

static bool is_device_byte(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == ':' || c == '/' || c == '-';
}

bool validate_device(struct str device)
{
    if (device.len < 1 || device.len > ALERT_DEVICE_MAX)
        return false;
    for (size_t i = 0; i < device.len; i++)
        if (!is_device_byte(device.p[i]))
            return false;
    return true;
}

void validate_time(struct alert *alert, int64_t received_us)
{
    int64_t sent_us = alert->occurred_us;
    alert->received_us = received_us;
    alert->skew_us = sent_us == ALERT_NO_TIME ? ALERT_NO_TIME : sent_us - received_us;
    if (sent_us != ALERT_NO_TIME && alert->skew_us <= VALIDATE_FUTURE_MAX_US && alert->skew_us >= -VALIDATE_PAST_MAX_US)
        return;
    alert->occurred_us = received_us;
    alert->flags |= FLAG_CLOCK;
}
