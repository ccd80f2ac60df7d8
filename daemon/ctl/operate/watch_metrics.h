/*
 * What mobeyectl watch tells Prometheus: a file for the textfile collector of node_exporter. The label `watch` is the
 * file's name without its folder and ending.
 */
#ifndef MOBEYE_CTL_OPERATE_WATCH_METRICS_H
#define MOBEYE_CTL_OPERATE_WATCH_METRICS_H

#include <stdint.h>

#include "base/err.h"

struct watch_metrics {
    uint64_t taken, failed, dead; /* events that were taken, tries that failed, events that were given up */
    int64_t taken_wall_us;        /* when the last one was taken; 0: none */
    int64_t waiting_us;           /* how long the event at hand has waited to be taken; 0: none waits */
};

/* Replaces the file, whole or not at all. -1 with err. */
int watch_metrics_write(const struct watch_metrics *metrics, const char *file, struct err *err);

#endif
