/*
 * Reads stored alerts from the database, as the daemon had them before enriching them; registry_forget_fixes() the last
 * fixes of devices first, which may be later than the alerts.
 */
#ifndef MOBEYE_CTL_RULES_STORED_ALERTS_H
#define MOBEYE_CTL_RULES_STORED_ALERTS_H

#include <libpq-fe.h>

#include "base/err.h"
#include "model/batch.h"
#include "model/registry.h"

struct stored; /* a reader */

/* Opens a reader for the alerts of an incident or, if that is NULL, for those received within the interval `since` ("7
 * days"), in the order of receipt. Must be called in a transaction. NULL with err set. */
struct stored *stored_open(PGconn *conn, const char *incident, const char *since, struct err *err);
void stored_close(struct stored **stored); /* safe on NULL */

/* Reads the next alerts into the empty batch, up to its cap, and the id of the incident of each (0: none). Leaves n at
 * 0 after the last one. */
int stored_next(struct stored *stored, struct batch *batch, uint64_t *ret_incidents, struct err *err);

/* Puts into the registry where the device was last seen when its alert came, if the alert got its place from that. To
 * be called before the alert, as stored_next() read it, is enriched. */
void stored_put_fix(const struct alert *alert, struct registry *registry);

/* The total number of alerts. */
uint64_t stored_count(const struct stored *stored);

#endif
