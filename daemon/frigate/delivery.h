/*
 * Whether mobeyed replies, and what is logged about that. Times are passed in.
 *
 * It is not replying while there is no connection to it, or while alerts that were sent have had no reply for
 * DELIVERY_SILENT_US. RETRY is a reply.
 */
#ifndef MOBEYE_FRIGATE_DELIVERY_H
#define MOBEYE_FRIGATE_DELIVERY_H

#include "base/clock.h"
#include "base/log.h"
#include "conf/conf_frigate.h"
#include "ctl/lib/sender.h"

#define DELIVERY_SILENT_US (10 * CLOCK_SECOND)
#define DELIVERY_EVERY_US  CLOCK_MINUTE

/* {0} is the initial state: not connected yet. */
struct delivery_state {
    bool answers;
    int64_t since_us;  /* monotonic: since when it has not replied; 0: it replies, or was not checked yet */
    int64_t warned_us; /* monotonic: the last warning about that; 0: none */
    struct rate_limiter connections;
};

enum delivery_news {
    DELIVERY_SAME,
    DELIVERY_ANSWERS, /* it replies, for the first time or again */
    DELIVERY_SILENT,  /* it has not replied for DELIVERY_SILENT_US, or since the last warning, DELIVERY_EVERY_US ago */
};

/* What must be logged now. quiet_since_us: from sender_quiet_since_us(). */
enum delivery_news delivery_check(struct delivery_state *delivery, bool connected, int64_t quiet_since_us,
                                  int64_t mono_us);

/* Checks, and logs what is new. waiting: the number of alerts without a reply. */
void delivery_watch(struct delivery_state *delivery, const struct conf_frigate *conf, const struct sender *sender,
                    size_t waiting, int64_t mono_us);

/* How long it has not replied, in seconds; 0: it replies. */
double delivery_silent_s(const struct delivery_state *delivery, int64_t mono_us);

#endif
