#include "frigate/frigate_clock.h"

#include <math.h>

#include "base/clock.h"

#define FRAME_US (10 * CLOCK_MINUTE)
#define FAR_S    120.0

static bool is_by_frame(const struct frigate_clock *clock, int64_t mono_us)
{
    return clock->frame_us > 0 && mono_us - clock->frame_us < FRAME_US;
}

double frigate_clock_now_s(const struct frigate_clock *clock, int64_t wall_us)
{
    return (double)wall_us / 1e6 + clock->offset_s;
}

void frigate_clock_frame(struct frigate_clock *clock, double frame_s, int64_t wall_us, int64_t mono_us)
{
    clock->offset_s = frame_s - (double)wall_us / 1e6;
    clock->frame_us = mono_us;
}

void frigate_clock_date(struct frigate_clock *clock, int64_t date_us, int64_t wall_us, int64_t mono_us)
{
    if (date_us > 0 && !is_by_frame(clock, mono_us))
        clock->offset_s = (double)(date_us - wall_us) / 1e6;
}

void frigate_clock_check(struct frigate_clock *clock, int64_t mono_us)
{
    if (fabs(clock->offset_s) < FAR_S) {
        log_recover(&clock->far, "frigate", "its clock is right again");
        return;
    }
    log_limited(&clock->far, mono_us, LOG_LEVEL_WARNING, "frigate",
                "its clock is %.0f minutes %s this machine's, by %s (are both synchronized?)",
                fabs(clock->offset_s) / 60, clock->offset_s > 0 ? "ahead of" : "behind",
                is_by_frame(clock, mono_us) ? "the frame times of its events"
                                            : "the Date of its responses, which a proxy may have set");
}
