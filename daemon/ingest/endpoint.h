/*
 * An endpoint of the configuration, joined to the event loop: a ZeroMQ socket (endpoint_zmq.c) or raw TCP
 * (endpoint_tcp.c), behind one interface.
 *
 * ZMQ_FD is edge-triggered: an event only says that something changed. So an endpoint is *ready* from an event until a
 * drain has seen EAGAIN with no ZMQ_POLLIN left. on_ready() reports the change; the owner drains it when it has
 * time, within a budget.
 */
#ifndef MOBEYE_INGEST_ENDPOINT_H
#define MOBEYE_INGEST_ENDPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/loop.h"
#include "conf/conf.h"
#include "ingest/connections.h"
#include "ingest/dc09_frame.h"

/* A frame larger than this cuts the connection (ZMQ_MAXMSGSIZE). */
#define ENDPOINT_FRAME_MAX (8 * 1024 * 1024)
/* Routing ids are chosen by libzmq (5 bytes) or by the peer (at most 255). */
#define ENDPOINT_PEER_MAX 255

struct endpoint;
struct endpoint_state;
struct security_refused;

/* The destination of a reply. */
struct endpoint_peer {
    uint8_t id[ENDPOINT_PEER_MAX]; /* a routing id; for tcp the number of the connection */
    uint8_t id_len;
    bool delimiter; /* the peer sent an empty one (REQ): it is mirrored */
};

/* One message, or what is wrong with its frames. */
struct endpoint_message {
    struct endpoint_peer peer;      /* for router and tcp; otherwise unset */
    struct str payload;             /* valid until the callback returns, as is the image */
    struct str image;               /* the frame after it, for CloudEvents; may be empty */
    bool has_image;                 /* there is such a frame */
    const struct dc09_frame *frame; /* for tcp: what was taken from the stream; otherwise NULL */
    enum dc09_result result;        /* and its form */
    const char *user;               /* what ZAP says about the peer; NULL: it is not checked (ingest/security.h) */
    const char *address;            /* the peer's address, see peer_address_of_property(); NULL: not known */
    const char *malformed;          /* NULL, or why the frames do not form a message; static text */
    bool too_large;                 /* over ALERT_PAYLOAD_MAX */
};

struct endpoint_calls {
    void (*on_ready)(void *ctx, struct endpoint *endpoint);
    /* false ends the drain after this message: the owner can take no more for now. */
    bool (*on_message)(void *ctx, struct endpoint *endpoint, const struct endpoint_message *message);
    void (*on_cut)(void *ctx, struct endpoint *endpoint); /* tcp only: a connection was closed, see ingest/tcp.h */
    /* ZeroMQ only: the handshake of a peer failed (SECURITY_CURVE). NULL: not reported. */
    void (*on_refused)(void *ctx, const struct security_refused *refused);
};

/* Binds or connects; an ipc:// socket that it binds has mode 0660. `context` is the ZeroMQ context; conf must outlive
 * the endpoint (see endpoint_reconfigure). NULL with err set, naming the endpoint and its address. */
struct endpoint *endpoint_new(struct loop *loop, void *context, const struct conf_endpoint *conf,
                              const struct endpoint_calls *calls, void *ctx, struct err *err);

/* The same, but closed: endpoint_rebind() opens it. */
struct endpoint *endpoint_new_closed(struct loop *loop, void *context, const struct conf_endpoint *conf,
                                     const struct endpoint_calls *calls, void *ctx);
void endpoint_free(struct endpoint **endpoint);

/* Receives up to `budget` messages, on_message() for each. Returns whether more may be waiting: the endpoint is then
 * still ready, and on_ready() is not called again for it. May be called at any time, but not from its own on_message().
 */
bool endpoint_drain(struct endpoint *endpoint, unsigned budget);

/* Sends the three frames of a router's reply, and flags as a fourth (NULL: none), or on tcp the bytes of detail. Never
 * blocks: false if the peer is gone or does not read. Call endpoint_replied() after the last of several replies. */
bool endpoint_reply(struct endpoint *endpoint, const struct endpoint_peer *peer, struct str word, struct str id,
                    struct str detail, const struct str *flags);

/* A hash of the peer's routing id at this endpoint. */
uint64_t endpoint_peer_hash(const struct endpoint *endpoint, const struct endpoint_peer *peer);

/* Messages may be waiting: from on_ready() until a drain found nothing. */
bool endpoint_is_ready(const struct endpoint *endpoint);

/* To be called after replies. Sending, too, consumes the edge of ZMQ_FD: calls on_ready() if messages arrived
 * meanwhile. On tcp, closes the connections that have ended: everything taken from them must have its reply. */
void endpoint_replied(struct endpoint *endpoint);

/* Closes the socket and opens it again: frees what peers have queued in libzmq. -1 with err set, naming the endpoint
 * and its address: it cannot be bound now; try later. A tcp endpoint must be closed. */
int endpoint_rebind(struct endpoint *endpoint, struct err *err);

/* false after endpoint_new_closed() or a failed endpoint_rebind(). */
bool endpoint_is_open(const struct endpoint *endpoint);

/* Its ZeroMQ connections, until the next endpoint_rebind(). NULL: it is closed, or a raw TCP endpoint. */
struct connections *endpoint_connections(const struct endpoint *endpoint);

const struct conf_endpoint *endpoint_conf(const struct endpoint *endpoint);

/* Points to the equal part of a newer configuration. */
void endpoint_reconfigure(struct endpoint *endpoint, const struct conf_endpoint *conf);

/* What outlives its socket (ingest/endpoint_state.h), as set by the owner; NULL until then. */
struct endpoint_state *endpoint_state_of(const struct endpoint *endpoint);
void endpoint_set_state(struct endpoint *endpoint, struct endpoint_state *state);

#endif
