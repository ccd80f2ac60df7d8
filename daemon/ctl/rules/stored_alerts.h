/*
 * Alerts that are in the database, read back as the daemon had them before it enriched them.
 */
#ifndef MOBEYE_CTL_RULES_STORED_ALERTS_H
#define MOBEYE_CTL_RULES_STORED_ALERTS_H

#include <libpq-fe.h>

#include "base/err.h"
#include "model/batch.h"

struct stored; /* a reader */

/* Of an incident, or (incident NULL) what was received since an interval before now ("7 days"); in the order of
 * receipt. Begins no transaction: there must be one. NULL: err says why not. */
struct stored *stored_open(PGconn *conn, const char *incident, const char *since, struct err *err);
void stored_close(struct stored **stored); /* safe on NULL */

/* The next ones: fills the emptied batch (up to its cap), and the id of the incident of each (0: none). n 0: that was
 * all. */
int stored_next(struct stored *stored, struct batch *batch, uint64_t *ret_incidents, struct err *err);

/* How many there are in all. */
uint64_t stored_count(const struct stored *stored);

#endif
