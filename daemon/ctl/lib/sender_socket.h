/*
 * The DEALER socket of a sender, with the monitor that reports its handshakes and lost connections.
 */
#ifndef MOBEYE_CTL_LIB_SENDER_SOCKET_H
#define MOBEYE_CTL_LIB_SENDER_SOCKET_H

#include <stdbool.h>

#include "base/err.h"
#include "ctl/lib/sender.h"

/* {0} except for context is the initial state. */
struct sender_socket {
    void *context; /* libzmq's, the owner's */
    void *dealer, *monitor;
    unsigned opened;       /* sockets so far */
    bool reached;          /* a peer has accepted a connection of this socket */
    bool dropped;          /* such a connection has ended; after some errors libzmq makes no other attempt */
    bool connected;        /* the handshake of this socket has succeeded */
    bool handshake_failed; /* a peer responded, but the handshake failed; of any socket since the last that succeeded */
};

/* Closes the one before. A new socket is a new peer to the daemon: no reply to an older one can reach it. -1 with err
 * set: the endpoint or a key is not valid. curve: the sender's own keys, if the endpoint has a server_key. */
int sender_socket_open(struct sender_socket *socket, const struct sender_endpoint *endpoint, const struct curve *curve,
                       struct err *err);

void sender_socket_close(struct sender_socket *socket);

/* Reads what the monitor has reported since. Returns whether the connection was lost. */
bool sender_socket_read_monitor(struct sender_socket *socket);

/* Whether it accepts a message now. */
bool sender_socket_may_send(const struct sender_socket *socket);

#endif
