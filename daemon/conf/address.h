/*
 * Addresses of sockets, as text. Errors as in conf/value.h.
 */
#ifndef MOBEYE_CONF_ADDRESS_H
#define MOBEYE_CONF_ADDRESS_H

#include <stdbool.h>

#include "base/err.h"
#include "conf/conf.h"

#define ADDRESS_HOST_MAX 255

enum address_kind { ADDRESS_TCP, ADDRESS_IPC };

struct endpoint_address {
    enum address_kind kind;
    char host[ADDRESS_HOST_MAX + 1]; /* of tcp: without brackets, "*" for any; of ipc: the path */
    int port;                        /* of tcp; 0: a free one */
    bool name;                       /* the host is no number and no * */
};

/* What libzmq binds: tcp://HOST:PORT with an IPv4 address, [IPv6], the name of an interface or *, a port or 0 or * for
 * a free one; ipc:///path. It looks no host names up for a bind. */
int address_bind(const char *text, struct endpoint_address *ret, struct err *err);

/* What it connects to: the same with host names, without * and without port 0. */
int address_connect(const char *text, struct endpoint_address *ret, struct err *err);

/* ADDRESS:PORT by number, [IPv6]:PORT; port 0 is a free one. */
int address_listen(const char *text, struct endpoint_address *ret, struct err *err);

/* ADDRESS/BITS, IPv4 or IPv6, or an ADDRESS alone. */
int address_network(const char *text, struct conf_network *ret, struct err *err);

/* Whether other machines cannot reach it: 127.0.0.0/8, ::1, interface lo, ipc. */
bool address_is_loopback(const struct endpoint_address *address);

/* Whether two binds cannot both succeed. Free ports never collide. */
bool address_collides(const struct endpoint_address *a, const struct endpoint_address *b);

#endif
