/*
 * Rows of mobeye.registry_since() and mobeye.areas_now(), in binary, into the registry and into area rows.
 */
#ifndef MOBEYE_STORE_REGISTRY_ROWS_H
#define MOBEYE_STORE_REGISTRY_ROWS_H

#include <libpq-fe.h>

#include "base/err.h"
#include "model/area_rows.h"
#include "model/registry.h"

/* $1 int8: the version that the registry has, 0 for everything. */
#define REGISTRY_ROWS_SQL "select * from mobeye.registry_since($1)"
#define AREA_ROWS_SQL     "select * from mobeye.areas_now()"

struct registry_reader;

/* The registry must outlive it. */
struct registry_reader *registry_reader_new(struct registry *registry);
void registry_reader_free(struct registry_reader **reader); /* safe on NULL; a partly read device is forgotten */

/* Takes all rows of the result. Devices change one by one; the registry keeps its previous version until
 * registry_reader_end(), and is `loading` if everything is read again. */
void registry_reader_take(struct registry_reader *reader, const PGresult *result);

/* All rows have arrived: the registry has the database's version. */
void registry_reader_end(struct registry_reader *reader);

/* Appends all rows of the result, and sets the version. */
void area_rows_take(struct area_rows *rows, const PGresult *result);

/* Both at once, blocking: for programs without a loop. The registry must be new. -1: failed, err says why. */
int registry_read(PGconn *conn, struct registry *registry, struct area_rows *areas, struct err *err);

#endif
