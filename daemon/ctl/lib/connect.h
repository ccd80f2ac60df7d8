/*
 * Connections of the verbs, and as whom. PostgreSQL's peer authentication, and who may read a password file, go by the
 * users of this machine; root may be any of them. What is returned is never NULL; whether it is connected, and why not,
 * libpq says: PQstatus(), PQerrorMessage(). PQfinish() it.
 */
#ifndef MOBEYE_CTL_LIB_CONNECT_H
#define MOBEYE_CTL_LIB_CONNECT_H

#include <stdbool.h>

#include <libpq-fe.h>

#include "base/buf.h"

#define CONNECT_DAEMON_USER "mobeyed" /* who runs the daemon */

/* As the conninfo says. Root, over a Unix socket, is the user of this machine whom the role is named after, where there
 * is one. database: instead of the conninfo's; NULL: that one. */
PGconn *connect_open(const char *verb, const char *conninfo, const char *database);

/* The same as the daemon would: root is the daemon's user with its groups, where it is there. */
PGconn *connect_as_daemon(const char *verb, const char *conninfo);

/* Appends, with a NUL at the end, how whoever runs the verb gets into the daemon's database without the daemon's role:
 * root as user postgres of this machine, others under their own name; by the Unix socket where the server is on this
 * machine. false: root, and the server is elsewhere, so that nobody says who that is there (PGUSER does). */
bool connect_own(struct buf *out, const char *conninfo);

/* Whether the server of the conninfo is on this machine. */
bool connect_is_local(const char *conninfo);

#endif
