/*
 * The addresses of the endpoints that a sender may connect to, some of which give their host by name.
 *
 * libzmq is given numbers only: it would look a name up on the thread that serves all its sockets. Here a look-up
 * delays nothing, and continues while the sender tries another endpoint. The addresses found are used one after the
 * other; after that, or after a connection, they are looked up again.
 */
#ifndef MOBEYE_CTL_LIB_SENDER_NAMES_H
#define MOBEYE_CTL_LIB_SENDER_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "ctl/lib/sender.h"

struct sender_names;

/* endpoints, at most SENDER_ENDPOINTS_MAX, must outlive it. NULL with err set. */
struct sender_names *sender_names_new(const struct sender_endpoint *endpoints, size_t n, struct err *err);

/* Ends look-ups at once. Safe on NULL. */
void sender_names_free(struct sender_names **names);

/* What to connect to for this endpoint, valid until the next call of any function here: its configured address, or the
 * next address of the name. NULL: it is being looked up. */
const char *sender_names_next(struct sender_names *names, size_t endpoint);

/* Whether the name has addresses that have not been used since it was looked up. */
bool sender_names_has_more(const struct sender_names *names, size_t endpoint);

/* It is connected: its addresses will be outdated when the connection ends. */
void sender_names_forget(struct sender_names *names, size_t endpoint);

/* Receives the answers of name servers. Returns whether look-ups are running: to be called again soon. */
bool sender_names_step(struct sender_names *names);

/* Whether the host of this endpoint is a name. */
bool sender_names_is_name(const struct sender_names *names, size_t endpoint);

/* Why it has no address: "the name cannot be resolved: ..."; NULL: it has one, or is not a name. */
const char *sender_names_why(const struct sender_names *names, size_t endpoint);

#endif
