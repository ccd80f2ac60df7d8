/*
 * The replies of a group, in the order of their messages, waiting for the group's sync.
 */
#ifndef MOBEYE_INGEST_REPLY_QUEUE_H
#define MOBEYE_INGEST_REPLY_QUEUE_H

#include "ingest/endpoint.h"

/* {0} is an empty queue. Free it with buf_free(&queue.bytes). */
struct reply_queue {
    struct buf bytes;
};

/* Copies everything but word, which is static. pull and sub endpoints answer nothing: nothing is queued. */
void reply_queue_add(struct reply_queue *queue, struct endpoint *endpoint, const struct endpoint_peer *peer,
                     const char *word, struct str id, struct str detail);

/* Sends all and empties the queue; dropped() for each that its peer does not take. */
void reply_queue_send(struct reply_queue *queue, void (*dropped)(void *ctx, struct endpoint *endpoint), void *ctx);

#endif
