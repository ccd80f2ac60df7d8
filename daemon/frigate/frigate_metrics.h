/*
 * The metrics of mobeye-frigate, for Prometheus: plain members, which the code that counts increments.
 */
#ifndef MOBEYE_FRIGATE_FRIGATE_METRICS_H
#define MOBEYE_FRIGATE_FRIGATE_METRICS_H

#include "base/buf.h"
#include "base/metrics.h"

struct frigate_metrics {
#define SCALAR(type, name, help, advice) metrics_##type name;
#include "frigate/frigate_metrics.def"
#undef SCALAR
};

/* Appends the text format. */
void frigate_metrics_write(const struct frigate_metrics *metrics, struct buf *out);

#endif
