/*
 * Raw TCP for alarm equipment that speaks SIA DC-09: a listener and its connections, joined to the event loop.
 *
 * Everything is bounded: the number of connections (a new one replaces the one whose last whole frame is the oldest, so
 * that returning equipment always gets in), the bytes read ahead, and the replies a peer leaves unread. A connection is
 * closed when its address is not in allow_from, when it sends no whole frame for `idle`, when it sends more bytes than
 * the largest frame without completing one, and when it does not read its replies. Received bytes are scanned in drain.
 */
#ifndef MOBEYE_INGEST_TCP_H
#define MOBEYE_INGEST_TCP_H

#include "base/err.h"
#include "base/loop.h"
#include "conf/conf.h"
#include "ingest/dc09_frame.h"

struct tcp;

struct tcp_calls {
    void (*on_ready)(void *ctx);
    /* One frame, or a malformed one; its slices are valid until the callback returns. Connection numbers are not
     * reused, so a reply to a closed connection is dropped. false ends the drain. */
    bool (*on_frame)(void *ctx, uint64_t connection, const char *address, enum dc09_result result,
                     const struct dc09_frame *frame);
    void (*on_cut)(void *ctx); /* a connection was closed for a reason above, except idleness */
};

/* Binds conf's address, for which it waits up to patience_ms while that is in use, and listens. conf must outlive it
 * (see tcp_reconfigure). NULL with err set. */
struct tcp *tcp_new(struct loop *loop, const struct conf_endpoint *conf, int patience_ms, const struct tcp_calls *calls,
                    void *ctx, struct err *err);
void tcp_free(struct tcp **tcp); /* closes every connection; safe on NULL */

/* Like endpoint_drain(), endpoint_is_ready(), endpoint_replied(). Connections take turns. */
bool tcp_drain(struct tcp *tcp, unsigned budget);
bool tcp_is_ready(const struct tcp *tcp);
void tcp_replied(struct tcp *tcp);

/* Sends bytes. Never blocks: false if the connection is gone, or is closed now because it does not read. */
bool tcp_reply(struct tcp *tcp, uint64_t connection, struct str bytes);

/* Switches to a newer configuration for the same address: connections that it does not allow are closed. */
void tcp_reconfigure(struct tcp *tcp, const struct conf_endpoint *conf);

#endif
