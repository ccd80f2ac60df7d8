/*
 * The replies of a group, in the order of their messages, waiting for the group's sync.
 */
#ifndef MOBEYE_INGEST_REPLY_QUEUE_H
#define MOBEYE_INGEST_REPLY_QUEUE_H

#include "ingest/endpoint.h"

/* Routing ids whose last sender is remembered; a newer one may take the place of an older one. */
#define REPLY_QUEUE_SENDERS 4096

/* {0} is an empty queue. Free it with buf_free(&queue.bytes). */
struct reply_queue {
    struct buf bytes;
    struct {
        uint64_t id, key; /* hashes; 0: none */
    } senders[REPLY_QUEUE_SENDERS];
};

/* A message of the peer came from the client with this key. True: the last one with its routing id came from another
 * client. Replies that wait for that one are dropped, since they would go to this one. */
bool reply_queue_sender(struct reply_queue *queue, const struct endpoint *endpoint, const struct endpoint_peer *peer,
                        const char *key);

/* Copies everything but word, which is static. pull and sub endpoints answer nothing: nothing is queued. */
void reply_queue_add(struct reply_queue *queue, struct endpoint *endpoint, const struct endpoint_peer *peer,
                     const char *word, struct str id, struct str detail);

/* Sends all and empties the queue; dropped() for each that its peer does not take. */
void reply_queue_send(struct reply_queue *queue, void (*dropped)(void *ctx, struct endpoint *endpoint), void *ctx);

#endif
