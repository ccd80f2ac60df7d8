/*
 * Whether an address may connect: allow_from.
 */
#ifndef MOBEYE_INGEST_ALLOW_H
#define MOBEYE_INGEST_ALLOW_H

#include <sys/socket.h>

#include "conf/conf.h"

/* true if the endpoint has no allow_from, or if the peer has an IP address in it. */
bool allow_sockaddr(const struct conf_endpoint *conf, const struct sockaddr *peer);

/* The same for a numeric address as ZeroMQ reports it: 10.0.0.7, ::ffff:10.0.0.7, fe80::1%eth0. NULL: no address. */
bool allow_text(const struct conf_endpoint *conf, const char *peer);

#endif
