/*
 * The journal records of one message: one for CloudEvents, one per event for DC-09.
 */
#ifndef MOBEYE_MODEL_RECORD_QUEUE_H
#define MOBEYE_MODEL_RECORD_QUEUE_H

#include "base/buf.h"
#include "model/alert.h"

#define RECORD_QUEUE_MAX 64

struct client_share; /* flow/client_share.h */

/* {0} is empty. */
struct record_queue {
    struct buf bytes; /* the records, one after the other */
    size_t n;
    size_t len[RECORD_QUEUE_MAX];
    size_t shared_offset, shared_bytes; /* bytes that all records have in common, as in struct journal_message */
    struct client_share *share;         /* of the client that sent the message; NULL: not listed */
};

void record_queue_free(struct record_queue *records); /* what it owns */
void record_queue_clear(struct record_queue *records);

/* Appends the alert's record. At most RECORD_QUEUE_MAX records. */
void record_queue_add(struct record_queue *records, const struct alert *alert);

#endif
