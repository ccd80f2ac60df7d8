/*
 * Retries an alert in quarantine, with the transaction by which the daemon stores batches.
 */
#ifndef MOBEYE_STORE_QUARANTINE_RETRY_H
#define MOBEYE_STORE_QUARANTINE_RETRY_H

#include <libpq-fe.h>
#include <stdint.h>

#include "base/err.h"
#include "model/batch.h"
#include "model/incident.h"

enum quarantine_retry_result {
    QUARANTINE_RETRY_STORED,
    QUARANTINE_RETRY_DUPLICATE, /* the alert was stored already; its row is taken out of quarantine nevertheless */
    QUARANTINE_RETRY_REFUSED,   /* the database still refuses it; nothing has changed, err says why */
};

/* As in struct writer_calls, of a batch of one alert. */
struct quarantine_retry_calls {
    void (*enrich)(void *ctx, struct batch *batch);
    void (*correlate)(void *ctx, struct incident_set *set, struct batch *batch, const uint8_t *store);
    const uint8_t *rules; /* 16 bytes: hash of the rules; NULL: not known */
    bool verifies;        /* as in struct writer_options */
    double verify_radius_m;
};

/*
 * In one transaction, blocking: stores the alert, its identity and its incident as the daemon would, and takes the row
 * out of quarantine; then verification and hints. -1 with err set if it could not be tried: the row does not exist, its
 * record cannot be read, the connection failed. Then nothing has changed, unless the connection failed within the
 * COMMIT: if that succeeded, the row is out of quarantine.
 */
int quarantine_retry(PGconn *conn, int64_t quarantine_id, const struct quarantine_retry_calls *calls, void *ctx,
                     struct err *err);

#endif
