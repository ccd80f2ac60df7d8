/*
 * When the oldest alert that is synced and not yet stored was received.
 */
#ifndef MOBEYE_FLOW_OLDEST_WAITING_H
#define MOBEYE_FLOW_OLDEST_WAITING_H

#include "journal/journal.h"
#include "model/batch.h"

/* {0} is the initial state. */
struct oldest_waiting {
    uint64_t seq; /* the alert received at received_us: its record is read only once */
    int64_t received_us;
    int64_t submitted_us; /* receipt of the last readable record passed to the writer; 0: none */
};

/* The batch is passed to the writer. */
void oldest_waiting_submitted(struct oldest_waiting *oldest, const struct batch *batch);

/* Wall time of the receipt of the first alert after stored_seq; 0: none is waiting. If it cannot be read, that of the
 * last one submitted before it, which is not later; if none was, the time of the oldest alert kept. `batches`: the n
 * batches in memory, which usually contain the alert. */
int64_t oldest_waiting_us(struct oldest_waiting *oldest, struct journal *journal, uint64_t stored_seq,
                          struct batch *const *batches, size_t n);

#endif
