/*
 * Raw TCP for alarm equipment that speaks SIA DC-09: a listener and its connections, joined to the event loop.
 *
 * All is bounded: the connections (one more takes the place of the one that brought no whole frame for longest, so
 * that equipment that comes back always gets in), what is read ahead of one, and the replies that it leaves unread. A
 * connection is closed when it is not in allow_from, brings no whole frame for `idle`, sends more bytes than a frame
 * can have without one, or does not read its replies. Bytes that have come in are not scanned before a drain.
 */
#ifndef MOBEYE_INGEST_TCP_H
#define MOBEYE_INGEST_TCP_H

#include "base/err.h"
#include "base/loop.h"
#include "conf/conf.h"
#include "ingest/dc09_frame.h"

struct tcp;

struct tcp_calls {
    void (*ready)(void *ctx);
    /* One frame, or what was meant to be one; its slices hold until the return. The connection is never given to
     * another peer, so a reply to one that is gone goes nowhere. false ends the drain. */
    bool (*frame)(void *ctx, uint64_t connection, const char *address, enum dc09_result result,
                  const struct dc09_frame *frame);
    void (*cut)(void *ctx); /* a connection was closed for one of the reasons above, other than idleness */
};

/* Binds conf's address, and listens. conf must outlive it (see tcp_reconfigure). NULL with err set. */
struct tcp *tcp_new(struct loop *loop, const struct conf_endpoint *conf, const struct tcp_calls *calls, void *ctx,
                    struct err *err);
void tcp_free(struct tcp **tcp); /* closes every connection; safe on NULL */

/* As endpoint_drain(), endpoint_is_ready(), endpoint_replied(). Connections take turns. */
bool tcp_drain(struct tcp *tcp, unsigned budget);
bool tcp_is_ready(const struct tcp *tcp);
void tcp_replied(struct tcp *tcp);

/* Sends bytes. Never blocks: false where the connection is gone, or is closed now since it does not read. */
bool tcp_reply(struct tcp *tcp, uint64_t connection, struct str bytes);

/* Points to a newer configuration of the same address: connections that it does not allow are closed. */
void tcp_reconfigure(struct tcp *tcp, const struct conf_endpoint *conf);

#endif
