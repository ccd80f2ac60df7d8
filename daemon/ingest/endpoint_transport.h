/*
 * The transport of an endpoint: a ZeroMQ socket (endpoint_zmq.c) or raw TCP (endpoint_tcp.c). For these and endpoint.c.
 */
#ifndef MOBEYE_INGEST_ENDPOINT_TRANSPORT_H
#define MOBEYE_INGEST_ENDPOINT_TRANSPORT_H

#include "ingest/endpoint.h"

/* Functions do the same as those of that name in endpoint.h; their first argument is what create() returned. */
struct endpoint_transport {
    void *(*create)(struct endpoint *endpoint); /* closed: rebind() opens it */
    void (*close)(void *transport);
    bool (*drain)(void *transport, unsigned budget);
    bool (*reply)(void *transport, const struct endpoint_peer *peer, struct str word, struct str id, struct str detail,
                  const struct str *flags);
    void (*replied)(void *transport);
    bool (*is_ready)(const void *transport);
    bool (*is_open)(const void *transport);
    int (*rebind)(void *transport, struct err *err);
    struct connections *(*connections)(const void *transport);
    void (*reconfigure)(void *transport); /* endpoint->conf is newer */
};

/* How long an address is waited for: libzmq's I/O thread releases it a moment after zmq_close(). Not after a failed
 * try: another program has it then. */
#define BIND_PATIENCE_MS 1000

extern const struct endpoint_transport endpoint_zmq, endpoint_tcp;

struct endpoint {
    struct loop *loop;
    void *context; /* ZeroMQ's */
    const struct conf_endpoint *conf;
    struct endpoint_calls calls;
    void *ctx;
    struct endpoint_state *state; /* the owner's */
    const struct endpoint_transport *kind;
    void *transport;
};

#endif
