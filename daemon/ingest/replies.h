/*
 * What senders are told: the replies of a group, which wait for its sync, and the counters and log lines of refusals.
 */
#ifndef MOBEYE_INGEST_REPLIES_H
#define MOBEYE_INGEST_REPLIES_H

#include "base/loop.h"
#include "ingest/decode_cloudevents.h"
#include "ingest/endpoint_state.h"
#include "ingest/reply_queue.h"

/* {.loop = loop} is one with no replies. Free it with buf_free(&answers.queue.bytes). */
struct replies {
    struct loop *loop;
    struct reply_queue queue;
};

/* The intake of the endpoint, which its owner has set. */
struct endpoint_state *replies_state(const struct endpoint *endpoint);

/* tcp_reply, here and below: the bytes that say it on tcp; empty: nothing does. Elsewhere three frames go out. */
void replies_ack(struct replies *replies, struct endpoint *endpoint, const struct endpoint_peer *peer, struct str id,
                 uint64_t seq, struct str tcp_reply);
void replies_reject(struct replies *replies, struct endpoint *endpoint, const struct endpoint_message *message,
                    const struct reject *reject, struct str tcp_reply);

/* A sender that is not allowed is refused whatever the message says, with its id: the sender looks for its id, which
 * the decoder finds. */
void replies_forbid(struct replies *replies, struct endpoint *endpoint, const struct endpoint_message *message,
                    struct decoder *decoder, struct reject *reject);

/* For what is no message, or too large a one. */
void replies_reject_frames(struct replies *replies, struct endpoint *endpoint, const struct endpoint_message *message);

/* Notes which client a message is from; counts and logs one that uses the routing id of another. */
void replies_note_client(struct replies *replies, struct endpoint *endpoint, const struct endpoint_message *message,
                         const struct conf_client *client);

/* Has the sender come again with `n` alerts. */
void replies_retry(struct replies *replies, struct endpoint *endpoint, const struct endpoint_peer *peer, uint64_t n,
                   struct str id, struct str wait_ms, struct str tcp_reply);

/* Counts and logs a peer that security did not let in: it is told nothing. */
void replies_denied(struct replies *replies, struct endpoint_state *state, const struct security_refused *refused);

/* Sends all of them: what they answer is on stable storage. */
void replies_send(struct replies *replies);

#endif
