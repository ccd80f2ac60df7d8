/*
 * The addresses of a host name, asked for without blocking and without a thread: libpq would block the loop, and libzmq
 * the only thread that serves all its sockets. Reads /etc/hosts and asks the name servers of /etc/resolv.conf, by
 * libevent's evdns; other sources of nsswitch.conf are not asked. IPv4 and IPv6 are asked for separately: a failure for
 * one does not affect the other, and once one has addresses, the other has three seconds more. Silent name servers are
 * asked in turn until the look-up ends, whatever "timeout" and "attempts" say. The domains of "search" are for names
 * without a dot. An answer that does not fit into UDP is a failure: evdns does not use TCP.
 */
#ifndef MOBEYE_BASE_RESOLVE_H
#define MOBEYE_BASE_RESOLVE_H

#include <stddef.h>

#include "base/clock.h"
#include "base/loop.h"

#define RESOLVE_MAX 8 /* addresses that are used of one name */
/* The longest look-up that finds no address; with the seconds for the other family one may take 23 s. */
#define RESOLVE_LIMIT_US (20 * CLOCK_SECOND)

struct resolve;

/* n addresses as text, those of IPv4 first, 1 to RESOLVE_MAX; or n is 0 and why says what is wrong. The strings are
 * valid during the call. It may call resolve_free(). */
typedef void (*resolve_fn)(void *ctx, const char *const *addresses, size_t n, const char *why);

/* Calls back once, from the loop, never from within resolve_start(). */
struct resolve *resolve_start(struct loop *loop, const char *host, resolve_fn done, void *ctx);

/* No call comes afterwards. Safe on NULL. */
void resolve_free(struct resolve **resolve);

#endif
