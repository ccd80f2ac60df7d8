/*
 * Whether names in the rules exist in the database: layers, areas, groups of devices, teams. One blocking query per
 * name: for checking a file, not for the running daemon.
 */
#ifndef MOBEYE_STORE_DATABASE_NAMES_H
#define MOBEYE_STORE_DATABASE_NAMES_H

#include "base/err.h"
#include "conf/conf.h"

struct database_names;

/* Connects. NULL: it could not; err says why, without passwords. */
struct database_names *database_names_new(const char *conninfo, struct err *err);
void database_names_free(struct database_names **names);

/* The lookup for the validator; valid as long as the names are. A name counts as known if the query fails. */
struct conf_names database_names_asker(struct database_names *names);

/* -1: a query has failed; err has the first failure. */
int database_names_failed(const struct database_names *names, struct err *err);

#endif
