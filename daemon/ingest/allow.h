/*
 * Whether an address may connect: allow_from.
 */
#ifndef MOBEYE_INGEST_ALLOW_H
#define MOBEYE_INGEST_ALLOW_H

#include <sys/socket.h>

#include "conf/conf.h"

/* Everybody may where the endpoint has no allow_from, else what has an address of IP in it. */
bool allow_sockaddr(const struct conf_endpoint *conf, const struct sockaddr *peer);

/* The same of an address by number, as ZeroMQ tells it: 10.0.0.7, ::ffff:10.0.0.7, fe80::1%eth0. NULL is none. */
bool allow_text(const struct conf_endpoint *conf, const char *peer);

#endif
