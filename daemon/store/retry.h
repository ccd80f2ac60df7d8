/*
 * An alert in quarantine, tried again.
 */
#ifndef MOBEYE_STORE_RETRY_H
#define MOBEYE_STORE_RETRY_H

#include <stdint.h>

#include <libpq-fe.h>

#include "base/err.h"

enum retry_result { RETRY_STORED, RETRY_DUPLICATE, RETRY_REFUSED };

/* In one transaction, blocking: stores the alert and its identity, and takes the row out of quarantine.
 * RETRY_DUPLICATE: the alert was stored already; its row is taken out all the same. RETRY_REFUSED: the database still
 * refuses it, it cannot be read, or there is no such row; nothing has changed and err says why. */
int retry_quarantined(PGconn *conn, int64_t quarantine_id, struct err *err);

#endif
