/*
 * Frigate's clock, as far as it differs from this machine's: by the frame times of MQTT, which are exact, else by the
 * Date of responses. Times are passed in.
 */
#ifndef MOBEYE_FRIGATE_FRIGATE_CLOCK_H
#define MOBEYE_FRIGATE_FRIGATE_CLOCK_H

#include "base/log.h"

/* {0} is the initial state: the same time. */
struct frigate_clock {
    double offset_s;  /* Frigate's minus ours */
    int64_t frame_us; /* monotonic: when the last frame time was received; 0: none */
    struct rate_limiter far;
};

/* The current time of Frigate. */
double frigate_clock_now_s(const struct frigate_clock *clock, int64_t wall_us);

void frigate_clock_frame(struct frigate_clock *clock, double frame_s, int64_t wall_us, int64_t mono_us);

/* Ignored for ten minutes after a frame time, and if date_us is 0. */
void frigate_clock_date(struct frigate_clock *clock, int64_t date_us, int64_t wall_us, int64_t mono_us);

/* Warns if the difference is large: alerts then have a wrong time, and if it is not real, because a proxy gives the
 * Date, events are looked for at the wrong time. */
void frigate_clock_check(struct frigate_clock *clock, int64_t mono_us);

#endif
