/*
 * The ZeroMQ connections of one endpoint, as the monitor of its socket names them: how many there are, what each holds,
 * and how to cut one off.
 *
 * Of TCP the kernel counts what a connection has received, and the owner says what was delivered of it: the difference
 * is what libzmq holds, and what handshakes and heartbeats took, which is left out by counting from the last
 * connections_rebase(). Of ipc nothing is counted; there, bytes that wait in the kernel make a connection suspect until
 * it delivers a message: who sends one without end never does.
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

/* A connection, and what libzmq holds of it as far as that is known. */
struct connection_load {
    void *owner;     /* as given to connections_loads() */
    uint64_t cookie; /* SO_COOKIE: never given to another socket */
    int fd;
    bool counted; /* held_bytes is what it holds (TCP); else how suspect it is (ipc) */
    uint64_t held_bytes;
};

/* Watches the socket: before it is bound or connected. NULL with err set. */
struct connections *connections_new(struct loop *loop, void *context, void *socket, struct err *err);
/* Before the socket is closed. Safe on NULL. */
void connections_free(struct connections **connections);

size_t connections_count(const struct connections *connections);

/* A message of so many bytes on the wire came from the connection (ZMQ_SRCFD). -1: not known, nothing happens. */
void connections_delivered(struct connections *connections, int fd, size_t bytes);

/* Little is held: what each connection has received beyond what was delivered is taken for no load. */
void connections_rebase(struct connections *connections);

/* Of ipc: notes which connections have bytes waiting. To be called some times before connections_loads(). */
void connections_suspect(struct connections *connections);

/* Writes the load of each connection with one that is not cut into ret, which has room for connections_count(). Returns
 * how many. */
size_t connections_loads(struct connections *connections, void *owner, struct connection_load *ret);

/* Shuts the connection down, as its peer could at any time; libzmq then frees what it holds, in its own time, and the
 * connection has no load any more. Whatever has become of the descriptor's number, no other connection is touched.
 * Tells where it came from. false: it is gone already, or there is no descriptor left to do it with. */
bool connections_cut(struct connections *connections, const struct connection_load *load,
                     char ret_address[PEER_ADDRESS_SIZE]);

#endif
