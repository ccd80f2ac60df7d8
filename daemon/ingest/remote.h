/*
 * Connects the ZeroMQ socket of an endpoint to the address in its configuration.
 *
 * libzmq is given numbers only: it would look a host name up on its only I/O thread, at each attempt, and every other
 * endpoint would wait there for a name server. As long as nothing is connected, the name is looked up every few
 * seconds. If the address did not lead to a connection meanwhile, the next one of the name is used, so an address that
 * does not answer is skipped, and a changed one is found. During a look-up, libzmq itself keeps trying the present
 * address. Messages and metrics name the address of the configuration.
 */
#ifndef MOBEYE_INGEST_REMOTE_H
#define MOBEYE_INGEST_REMOTE_H

#include <stdbool.h>

#include "base/err.h"
#include "base/loop.h"
#include "ingest/connections.h"

struct remote;

/* What is connected; all of it but conf must outlive the remote. */
struct remote_socket {
    struct loop *loop;
    void *socket;
    struct connections *connections;
    /* Whether messages are waiting on the socket: disconnecting it would drop them. */
    bool (*has_waiting)(void *ctx);
    void *ctx;
};

/* Connects, or starts to look the name up. `name` and `address` are those of the endpoint and are copied. NULL with err
 * set, naming both: the address is not valid. */
struct remote *remote_new(const struct remote_socket *socket, const char *name, const char *address, struct err *err);

/* To be called before the socket and its connections are closed; ends a look-up at once. Safe on NULL. */
void remote_free(struct remote **remote);

/* After libzmq has given up: makes it try the present address again. false: messages are waiting, or
 * libzmq cannot; call it again later. */
bool remote_reconnect(struct remote *remote);

#endif
