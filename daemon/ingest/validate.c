#include "ingest/validate.h"

#include "ingest/image_header.h"

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

void validate_time(struct alert *alert, int64_t received_us, const int64_t keep_us[CLASS_COUNT])
{
    int64_t sent_us = alert->occurred_us, past_max_us = VALIDATE_PAST_MAX_US;
    if (keep_us && keep_us[alert_class(alert->kind)] < past_max_us)
        past_max_us = keep_us[alert_class(alert->kind)];
    alert->received_us = received_us;
    alert->skew_us = sent_us == ALERT_NO_TIME ? ALERT_NO_TIME : sent_us - received_us;
    if (sent_us != ALERT_NO_TIME && alert->skew_us <= VALIDATE_FUTURE_MAX_US && alert->skew_us >= -past_max_us)
        return;
    alert->occurred_us = received_us;
    alert->flags |= FLAG_CLOCK;
}

void validate_image(struct alert *alert, struct str bytes, int64_t keep_us, uint64_t most_bytes)
{
    if (bytes.len > most_bytes || !image_read(bytes, &alert->image)) {
        alert->flags |= FLAG_BAD_IMAGE;
        alert->image = (struct image){0};
    } else if (alert->received_us - alert->occurred_us >= keep_us) {
        alert->image = (struct image){0};
    }
}
