/*
 * Whether Frigate answers its bridge, by the metrics of mobeye-frigate: the same for doctor and status.
 */
#ifndef MOBEYE_CTL_OPERATE_FRIGATE_ANSWER_H
#define MOBEYE_CTL_OPERATE_FRIGATE_ANSWER_H

#include "ctl/lib/scrape.h"

enum frigate_answer {
    FRIGATE_ANSWERS,
    FRIGATE_SILENT,  /* not the last time it was asked, or never */
    FRIGATE_LATE,    /* it has not been asked, or has not responded, for longer than the bridge should take */
    FRIGATE_OFFLINE, /* it responds, but reports by MQTT that it is offline */
};

/* ret_age_s: how long ago it responded; INFINITY: not yet. */
enum frigate_answer frigate_answer_of(const struct scrape *scrape, double *ret_age_s);

#endif
