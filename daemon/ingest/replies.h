/*
 * Replies to senders: those of a group, which wait for its sync, and the counters and log lines of rejections. The
 * endpoints must have their state (endpoint_set_state()).
 */
#ifndef MOBEYE_INGEST_REPLIES_H
#define MOBEYE_INGEST_REPLIES_H

#include "base/loop.h"
#include "ingest/decode_cloudevents.h"
#include "ingest/endpoint_state.h"
#include "ingest/reply_queue.h"

/* Initially {.loop = loop}. */
struct replies {
    struct loop *loop;
    struct reply_queue queue;
};

void replies_free(struct replies *replies); /* what it owns */

/* tcp_reply, here and below: the bytes to send on tcp; empty: no reply. On other sockets three frames are sent, and if
 * the endpoint is so configured a fourth with the words of flags (FLAG_...). */
void replies_ack(struct replies *replies, const struct reply_to *to, uint64_t seq, uint32_t flags,
                 struct str tcp_reply);
void replies_reject(struct replies *replies, struct endpoint *endpoint, const struct endpoint_message *message,
                    const struct reject *reject, struct str tcp_reply);

/* Rejects a message of a client that may not send, with the alert id if the decoder finds one: the sender matches
 * replies by it. */
void replies_forbid(struct replies *replies, struct endpoint *endpoint, const struct endpoint_message *message,
                    struct cloudevents_decoder *decoder, struct reject *reject);

/* Rejects a message with wrong frames, or one that is too large. */
void replies_reject_frames(struct replies *replies, struct endpoint *endpoint, const struct endpoint_message *message);

/* Records which client sent a message; counts and logs a client that uses the routing id of another. */
void replies_note_client(struct replies *replies, struct endpoint *endpoint, const struct endpoint_message *message,
                         const struct conf_client *client);

/* Tells the sender to resend `n` alerts later. */
void replies_retry(struct replies *replies, const struct reply_to *to, uint64_t n, struct str wait_ms,
                   struct str tcp_reply);

/* Counts and logs a denied peer. Denied peers get no reply. */
void replies_denied(struct replies *replies, struct endpoint_state *state, const struct security_refused *refused);

/* Sends all replies; what they acknowledge must be on stable storage. */
void replies_send(struct replies *replies);

#endif
