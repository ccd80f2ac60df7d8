/*
 * Socket addresses as text. Errors as in conf/value.h.
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
    char host[ADDRESS_HOST_MAX + 1]; /* tcp: without brackets, "*" for any; ipc: the path */
    int port;                        /* tcp only; 0: a free port */
    bool name;                       /* the host is neither an IP address nor * */
};

/* An address that libzmq can bind: tcp://HOST:PORT, where HOST is an IPv4 address, [IPv6], an interface or * and PORT
 * is a number, or 0 or * for a free port; or ipc:///path. libzmq does not resolve host names when binding. */
int address_bind(const char *text, struct endpoint_address *ret, struct err *err);

/* An address that libzmq can connect to: the same, but with host names and without * and port 0. */
int address_connect(const char *text, struct endpoint_address *ret, struct err *err);

/* ADDRESS:PORT with an IPv4 address or [IPv6]; port 0 stands for a free port. */
int address_listen(const char *text, struct endpoint_address *ret, struct err *err);

/* ADDRESS/BITS or ADDRESS, IPv4 or IPv6. */
int address_network(const char *text, struct conf_network *ret, struct err *err);

/* Whether only this machine can reach it: 127.0.0.0/8, ::1, interface lo, ipc. */
bool address_is_loopback(const struct endpoint_address *address);

/* Whether two binds cannot both succeed, by the interfaces of this machine. Free ports never collide. */
bool address_collides(const struct endpoint_address *a, const struct endpoint_address *b);

#endif
