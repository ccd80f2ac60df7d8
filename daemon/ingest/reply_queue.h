/*
 * The replies of a group, in the order of their messages, waiting for the group's sync.
 */
#ifndef MOBEYE_INGEST_REPLY_QUEUE_H
#define MOBEYE_INGEST_REPLY_QUEUE_H

#include "ingest/endpoint.h"

/* Number of routing ids whose last sender is remembered; a newer one may replace an older one. */
#define REPLY_QUEUE_SENDERS 4096

/* Initially {0}. */
struct reply_queue {
    struct buf bytes;
    struct {
        uint64_t id, key; /* hashes; 0: none */
    } senders[REPLY_QUEUE_SENDERS];
};

/* The message that a reply answers. */
struct reply_to {
    struct endpoint *endpoint;
    const struct endpoint_peer *peer;
    struct str id; /* of the alert or the frame; may be empty */
};

void reply_queue_free(struct reply_queue *queue); /* what it owns */

/* A message of the peer was received from the client with this key. True: the last one with its routing id was from
 * another client, whose waiting replies are dropped, since this client would receive them. */
bool reply_queue_sender(struct reply_queue *queue, const struct endpoint *endpoint, const struct endpoint_peer *peer,
                        const char *key);

/* Copies everything except word, which is static. flags: a further frame; NULL: none. Queues nothing for pull and sub
 * endpoints, which do not reply. */
void reply_queue_add(struct reply_queue *queue, const struct reply_to *to, const char *word, struct str detail,
                     const struct str *flags);

/* Sends all replies and empties the queue; calls on_dropped() for each that could not be sent. */
void reply_queue_send(struct reply_queue *queue, void (*on_dropped)(void *ctx, struct endpoint *endpoint), void *ctx);

#endif
