/*
 * An alert in quarantine, tried again.
 */
#ifndef MOBEYE_STORE_RETRY_H
#define MOBEYE_STORE_RETRY_H

#include <libpq-fe.h>
#include <stdint.h>

#include "alert/alert.h"
#include "base/err.h"

enum retry_result {
    RETRY_STORED,
    RETRY_DUPLICATE, /* the alert was stored already; its row is taken out of quarantine all the same */
    RETRY_REFUSED,   /* the database refuses it still; nothing has changed, err says why */
};

/*
 * In one transaction, blocking: stores the alert and its identity as the daemon would, and takes the row out of
 * quarantine. `enrich` (may be NULL) is given the alert before that: its place and rule. -1 with err set where it could
 * not be tried: there is no such row, its record cannot be read, the connection failed; nothing has changed.
 */
int retry_quarantined(PGconn *conn, int64_t quarantine_id, void (*enrich)(void *ctx, struct alert *alert), void *ctx,
                      struct err *err);

#endif
