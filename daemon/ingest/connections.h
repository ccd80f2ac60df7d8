/*
 * The ZeroMQ connections of one endpoint, as reported by the monitor of its socket: their number, the memory of each,
 * how to cut one off, and which peers cannot connect.
 *
 * For TCP the kernel counts what a connection has received, and the owner reports what was delivered: the difference is
 * what libzmq holds, plus handshakes and heartbeats, which counting from the last connections_rebase() excludes. For
 * ipc nothing is counted; there, bytes waiting in the kernel make a connection suspect until it delivers a message,
 * which never happens if the message is endless.
 */
#ifndef MOBEYE_INGEST_CONNECTIONS_H
#define MOBEYE_INGEST_CONNECTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "ingest/peer_address.h"

struct connections;

/* A connection, and what libzmq holds for it as far as known. */
struct connection_load {
    void *owner;     /* as given to connections_loads() */
    uint64_t cookie; /* SO_COOKIE: never reused for another socket */
    int fd;
    bool counted; /* true (TCP): held_bytes is what it holds; false (ipc): how suspect it is */
    uint64_t held_bytes;
};

/* Reports to the owner, from the loop. */
struct connections_calls {
    /* A peer with another security mechanism, or other keys, than the socket could not connect: libzmq asks no ZAP
     * handler about it. certain: that was seen here; otherwise the peer closed the connection during the handshake
     * within a second, as it does when it sees the difference first, but so does a port scanner. */
    void (*on_mismatch)(void *ctx, const char *address, bool certain);
    /* For a socket that connects; NULL otherwise. libzmq has ended its attempts, as it does after a protocol error, and
     * must be told to connect again. denied: the peer did not admit this side. Returns whether that
     * was done; false: it is called again in two seconds. */
    bool (*on_given_up)(void *ctx, bool denied);
};

/* Watches the socket; to be called before it is bound or connected. NULL with err set. */
struct connections *connections_new(struct loop *loop, void *context, void *socket, struct connections_calls calls,
                                    void *ctx, struct err *err);
/* To be called before the socket is closed. Safe on NULL. */
void connections_free(struct connections **connections);

size_t connections_count(const struct connections *connections);

/* Reads what the monitor has reported up to now and the loop may not have processed yet. */
void connections_refresh(struct connections *connections);

/* For a socket that connects: whether its handshake has succeeded and the connection has not ended since. */
bool connections_established(const struct connections *connections);

/* For a socket that connects, after zmq_disconnect(), which the monitor does not report: there is no connection. */
void connections_forget(struct connections *connections);

/* A message of `bytes` bytes on the wire was received from the connection (ZMQ_SRCFD). fd -1: unknown, ignored. */
void connections_delivered(struct connections *connections, int fd, size_t bytes);

/* To be called while libzmq holds little: what is undelivered now no longer counts as load. */
void connections_rebase(struct connections *connections);

/* ipc only: notes which connections have bytes waiting. To be called several times before connections_loads(). */
void connections_suspect(struct connections *connections);

/* Writes the load of each connection that has one and is not cut to ret, which has space for connections_count().
 * Returns their number. */
size_t connections_loads(struct connections *connections, void *owner, struct connection_load *ret);

/* Shuts the connection down, as its peer could at any time; libzmq later frees what it holds, and the connection has no
 * load any more. Even if the descriptor has been reused, no other connection is affected. ret_address: the peer's
 * address. false: already closed, or no descriptor is left to do it with. */
bool connections_cut(struct connections *connections, const struct connection_load *load,
                     char ret_address[PEER_ADDRESS_SIZE]);

#endif
