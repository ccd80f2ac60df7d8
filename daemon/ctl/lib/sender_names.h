/*
 * The addresses of the endpoints that a sender may connect to, of which some give their host by name.
 *
 * libzmq is given numbers only: it would look a name up on the thread that serves all its sockets. Here a look-up holds
 * nothing up and goes on while the sender tries another endpoint. The addresses found are used one after the other, and
 * then, or after a connection, looked up again.
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

/* What to connect to for this endpoint, valid until the next call of any function here: as it is configured, or the
 * next address of the name. NULL: it is being looked up. */
const char *sender_names_next(struct sender_names *names, size_t endpoint);

/* Whether the name has addresses that have not been used since it was looked up. */
bool sender_names_has_more(const struct sender_names *names, size_t endpoint);

/* There is a connection to it: the addresses will be of another time when it ends. */
void sender_names_forget(struct sender_names *names, size_t endpoint);

/* Receives the answers of name servers. Whether look-ups are running: to be called again soon. */
bool sender_names_step(struct sender_names *names);

/* Whether the host of this endpoint is a name. */
bool sender_names_is_name(const struct sender_names *names, size_t endpoint);

/* Why it has no address: "the name cannot be resolved: ..."; NULL: it has, or is no name. */
const char *sender_names_why(const struct sender_names *names, size_t endpoint);

#endif
