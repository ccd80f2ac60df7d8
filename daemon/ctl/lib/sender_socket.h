/*
 * The DEALER socket of a sender: which endpoint and address it connects to and for how long, and the monitor that
 * reports its handshakes and lost connections.
 */
#ifndef MOBEYE_CTL_LIB_SENDER_SOCKET_H
#define MOBEYE_CTL_LIB_SENDER_SOCKET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "ctl/lib/sender.h"
#include "ctl/lib/sender_names.h"

struct sender_socket {
    const struct sender_options *options;
    struct sender_names *names;
    void *context; /* libzmq's */
    void *dealer, *monitor;
    size_t at;             /* index of the endpoint */
    unsigned rounds;       /* how often all endpoints, with all their addresses, were left since the last connection */
    unsigned opened;       /* sockets so far */
    int64_t opened_us;     /* monotonic: when this one was opened, or later began to connect */
    bool looking_up;       /* the name of this endpoint, or of another one */
    bool connecting;       /* its address is known */
    bool reached;          /* a peer has accepted a connection of this socket */
    bool dropped;          /* such a connection has ended; after some errors libzmq makes no other attempt */
    bool connected;        /* the handshake of this socket has succeeded */
    bool handshake_failed; /* a peer responded, but the handshake failed; of any socket since the last that succeeded */
};

/* Begins with the first endpoint. options must outlive it. -1 with err set. */
int sender_socket_init(struct sender_socket *socket, const struct sender_options *options, struct err *err);

/* Closes the socket and all that belongs to it. Safe on {0}. */
void sender_socket_end(struct sender_socket *socket);

/* Opens a socket to the present endpoint, and closes the one before. A new socket is a new peer to the daemon: no reply
 * to an older one can reach it. -1 with err set: the endpoint or a key is not valid. */
int sender_socket_open(struct sender_socket *socket, int64_t now_us, struct err *err);

/* Makes the next sender_socket_open() go to the next address of this endpoint, or to the next endpoint. */
void sender_socket_leave(struct sender_socket *socket);

/* Receives the answers of name servers, and connects once the address is known. -1 with err set: it is not valid. */
int sender_socket_resolve(struct sender_socket *socket, int64_t now_us, struct err *err);

/* Reads what the monitor has reported since. Returns whether the connection was lost. */
bool sender_socket_read_monitor(struct sender_socket *socket);

/* Whether it accepts a message now. */
bool sender_socket_may_send(const struct sender_socket *socket);

const struct sender_endpoint *sender_socket_endpoint(const struct sender_socket *socket);

/* When to leave it and open another one, unless it is connected by then; INT64_MAX: libzmq itself retries the only
 * address, or the only endpoint has no address yet. */
int64_t sender_socket_retry_us(const struct sender_socket *socket);

/* When to call sender_socket_resolve() at the latest; INT64_MAX: no name is being looked up. */
int64_t sender_socket_answer_us(const struct sender_socket *socket, int64_t now_us);

#endif
