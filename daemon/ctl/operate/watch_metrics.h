/*
 * The metrics of mobeyectl watch: a file for the textfile collector of node_exporter. The label `watch` is the name of
 * the file without directory and extension.
 */
#ifndef MOBEYE_CTL_OPERATE_WATCH_METRICS_H
#define MOBEYE_CTL_OPERATE_WATCH_METRICS_H

#include <stdint.h>

#include "base/err.h"

struct watch_metrics {
    uint64_t taken, failed, dead; /* events delivered, attempts that failed, events given up */
    int64_t taken_wall_us;        /* when the last event was delivered; 0: none */
    int64_t waiting_us;           /* how long the current event has waited for delivery; 0: none */
};

/* Replaces the file atomically. -1 with err set. */
int watch_metrics_write(const struct watch_metrics *metrics, const char *file, struct err *err);

#endif
