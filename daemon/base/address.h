/*
 * Socket addresses and networks as text.
 *
 *   bind     tcp://HOST:PORT or ipc:///PATH. HOST is an IPv4 address, [IPv6], * for any, or an interface, since libzmq
 *            does not resolve names when binding. PORT is a number, or 0 or * for a free port.
 *   connect  tcp://HOST:PORT or ipc:///PATH. HOST is an IPv4 address, [IPv6] or a name; PORT is 1 to 65535.
 *   peer     HOST:PORT, the same without a scheme.
 *   listen   ADDRESS:PORT. ADDRESS is an IPv4 address or [IPv6]; PORT is a number, or 0 for a free port.
 *   network  ADDRESS or ADDRESS/BITS, IPv4 or IPv6.
 *
 * An IPv6 address may have a scope, as in [fe80::1%eth0], except in listen and network. Nothing is looked up but the
 * interfaces of this machine in address_collides(), and nothing is allocated. A parser returns 0, or -1 with err set to
 * what is wrong ("has a port above 65535"): the caller puts the text before it and what is expected after it.
 */
#ifndef MOBEYE_BASE_ADDRESS_H
#define MOBEYE_BASE_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"

#define ADDRESS_HOST_MAX 255
#define ADDRESS_TCP_SIZE (ADDRESS_HOST_MAX + sizeof("tcp://[]:65535"))

enum address_kind { ADDRESS_TCP, ADDRESS_IPC };

struct address {
    enum address_kind kind;
    char host[ADDRESS_HOST_MAX + 1]; /* tcp: without brackets, "*" for any; ipc: the path */
    int port;                        /* tcp only; 0: a free port */
    bool name;                       /* the host is neither an IP address nor * */
};

/* A network: its first address and prefix length. IPv4 is mapped to IPv6 (::ffff:a.b.c.d), which adds 96 bits. */
struct network {
    uint8_t address[16];
    unsigned bits;
};

int address_bind(const char *text, struct address *ret, struct err *err);
int address_connect(const char *text, struct address *ret, struct err *err);
int address_peer(const char *text, struct address *ret, struct err *err);
int address_listen(const char *text, struct address *ret, struct err *err);
int address_network(const char *text, struct network *ret, struct err *err);

/* Whether the text of a bind address leaves the choice of the port to the system. */
bool address_is_free_port(const char *text);

/* Whether only this machine can reach it: 127.0.0.0/8, ::1, interface lo, ipc. */
bool address_is_loopback(const struct address *address);

/* Whether two binds cannot both succeed, by the interfaces of this machine. Free ports never collide. */
bool address_collides(const struct address *a, const struct address *b);

/* Whether all of one network is in another. */
bool address_within(const struct network *inner, const struct network *outer);

/* The address for bind() or connect(); returns its length. * becomes ::. 0: a name or a path. */
socklen_t address_to_socket(const struct address *address, struct sockaddr_storage *ret);

/* tcp://NUMBER:PORT, with an IPv6 number in brackets. */
void address_tcp(const char *number, int port, char ret[ADDRESS_TCP_SIZE]);

/* The port of a TCP socket's address; 0 for that of another. */
uint16_t address_port(const struct sockaddr_storage *of);

/* The port that a socket is bound to; 0: none. */
uint16_t address_bound_port(int fd);

#endif
