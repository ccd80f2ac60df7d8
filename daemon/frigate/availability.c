#include "frigate/availability.h"

void availability_http(struct availability *availability, bool answers, int64_t mono_us)
{
    availability->http_answers = answers;
    if (answers)
        availability->http_good_us = mono_us;
}

enum availability_change availability_check(const struct availability *availability, int64_t mono_us)
{
    bool silent = !availability->http_answers && mono_us - availability->http_good_us >= AVAILABILITY_HTTP_US;
    bool offline = availability->offline_by_mqtt || silent;
    if (offline && !availability->offline)
        return AVAILABILITY_OFFLINE;
    if (availability->offline && !offline && availability->http_answers)
        return AVAILABILITY_ONLINE;
    return AVAILABILITY_SAME;
}
