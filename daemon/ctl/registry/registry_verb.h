/*
 * What the verbs of the registry share: lists, exports, and everything that is registered under one name.
 */
#ifndef MOBEYE_CTL_REGISTRY_REGISTRY_VERB_H
#define MOBEYE_CTL_REGISTRY_REGISTRY_VERB_H

#include "ctl/lib/ctl.h"
#include "ctl/lib/options.h"

/* A query with its parameters. */
struct registry_query {
    const char *sql;
    int n_values;
    const char *const *values;
};

/* A part of what `show` prints. */
struct registry_section {
    const char *name;
    bool many; /* a list of rows, else one row */
    const char *sql;
};

/* All of these print errors, and return an exit status. */

/* Connects and prints the rows, as a table or JSON. */
int registry_list(const char *verb, const struct ctl_call *call, const struct registry_query *query);

/* Connects and prints the rows as CSV. */
int registry_export(const char *verb, const struct ctl_call *call, const struct registry_query *query);

/* Prints the sections (ends with {0}) that have rows; each is queried with the same parameters. */
int registry_show(const char *verb, PGconn *conn, bool json, const struct registry_section *sections, int n_values,
                  const char *const *values);

/* Runs a query, or a statement that returns a row for what it changed, and prints the rows. */
int registry_print(const char *verb, PGconn *conn, bool json, const char *what, const struct registry_query *query);

/* Whether the query has a row for the name, its parameter. Otherwise prints "KIND "NAME" does not exist (did you mean
 * X?)", where X is one of the names that names_sql returns. */
bool registry_exists(const char *verb, PGconn *conn, const char *kind, const char *name, const char *exists_sql,
                     const char *names_sql);

/* Only prints that message, with `missing` instead of "does not exist". */
void registry_missing(const char *verb, PGconn *conn, const char *kind, const char *name, const char *missing,
                      const char *names_sql);

#endif
