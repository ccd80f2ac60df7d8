/*
 * Whether Frigate is offline, from what MQTT and HTTP say. Pure: times are passed in.
 *
 * Frigate is offline while it says so by MQTT (its last will) and when HTTP has failed for 2 minutes; it is online
 * again when neither is the case and HTTP works. Losing the broker means nothing.
 */
#ifndef MOBEYE_FRIGATE_AVAILABILITY_H
#define MOBEYE_FRIGATE_AVAILABILITY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

#define AVAILABILITY_HTTP_US (2 * CLOCK_MINUTE)

struct availability {
    bool offline;         /* what was last reported to mobeyed */
    bool offline_by_mqtt; /* the last word by MQTT; stays while the broker is away */
    bool http_answers;    /* the last request got a response */
    int64_t http_good_us; /* monotonic: when the last response came, or the start */
};

enum availability_change { AVAILABILITY_SAME, AVAILABILITY_OFFLINE, AVAILABILITY_ONLINE };

/* What must be reported to mobeyed now. The caller sets `offline` once the report has been queued. */
enum availability_change availability_check(const struct availability *availability, int64_t mono_us);

void availability_http(struct availability *availability, bool answers, int64_t mono_us);

#endif
