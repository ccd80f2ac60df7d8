/*
 * The metrics of mobeye-board, for Prometheus (text format 0.0.4). board/board_metrics.def describes each of them.
 */
#ifndef MOBEYE_BOARD_BOARD_METRICS_H
#define MOBEYE_BOARD_BOARD_METRICS_H

#include <stdint.h>

#include "base/buf.h"

enum { BOARD_STATUS_MOST = 600 };

struct board_metrics {
#define SCALAR(type, name, help, advice) uint64_t name;
#include "board/board_metrics.def"
#undef SCALAR
    uint64_t requests[BOARD_STATUS_MOST]; /* with a response, by status */
};

/* Appends the text format. */
void board_metrics_write(const struct board_metrics *metrics, struct buf *out);

#endif
