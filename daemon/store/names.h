/*
 * The names in the rules that only the database has: layers, areas, groups of devices, teams. Asked one by one and
 * waited for, so for checking a file, not for the running daemon.
 */
#ifndef MOBEYE_STORE_NAMES_H
#define MOBEYE_STORE_NAMES_H

#include "base/err.h"
#include "conf/conf.h"

struct names;

/* Connects. NULL: it could not; err says why, without passwords. */
struct names *names_new(const char *conninfo, struct err *err);
void names_free(struct names **names);

/* What asks it; lives as long as it does. A name counts as known where the database could not be asked. */
struct conf_names names_asker(struct names *names);

/* -1: a question failed since; err has the first failure. */
int names_failed(const struct names *names, struct err *err);

#endif
