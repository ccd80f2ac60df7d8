/*
 * How to reach the database, in a form that may be printed: without passwords.
 */
#ifndef MOBEYE_STORE_CONNINFO_H
#define MOBEYE_STORE_CONNINFO_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

/* Whether libpq can read it: a list of keyword=value, a URI, or the name of a database. -1: no; err says why, without
 * quoting anything that may be part of a password. */
int conninfo_check(const char *conninfo, struct err *err);

/* Whether each value of a list is empty or a port. err quotes none: in a URI it may be a part of a password. */
int conninfo_check_ports(const char *ports, struct err *err);

/* Appends the conninfo as keyword=value, with asterisks for every password; "(unreadable)" if conninfo_check() refuses
 * it. */
void conninfo_mask(struct buf *out, const char *conninfo);

/* Whether libpq connects to the host over a Unix socket, as it does by default (NULL, ""). */
bool conninfo_is_socket(const char *host);

/* The value of the keyword; NULL: not set, or libpq cannot parse the conninfo. The caller frees it. */
char *conninfo_value(const char *conninfo, const char *keyword);

/* Appends keyword=value to a conninfo in this form, quoting the value as needed. */
void conninfo_append(struct buf *out, const char *keyword, const char *value);

/* Appends the conninfo as keyword=value without these keywords (NULL after the last). -1: libpq cannot read
 * it. */
int conninfo_without(struct buf *out, const char *conninfo, const char *const *keywords);

/* Appends the conninfo as keyword=value, completed with what libpq takes from the environment and from a service file.
 * Appends nothing if libpq cannot read it. Sets PGSERVICE meanwhile if the conninfo names a service: no other thread
 * may read the environment. */
void conninfo_complete(struct buf *out, const char *conninfo);

/* Appends the conninfo as keyword=value, with another database. Keywords after it take precedence. -1: libpq cannot
 * read it. */
int conninfo_for_database(struct buf *out, const char *conninfo, const char *database);

#endif
