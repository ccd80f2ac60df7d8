/* The incidents of a batch, within its transaction: read, correlated, stored. */
#include <string.h>

#include "store/copyrow.h"
#include "store/writer_parts.h"

/* So many rows take PostgreSQL longer to store than the next batch takes to be encoded. */
#define ROWS_BUSY 500

void writer_again(struct writer *w, const char *reason)
{
    w->counts.again++;
    w->agains++;
    writer_rollback(w, AFTER_ROLLBACK_AGAIN, reason);
}

/* All identities have their fate. */
void writer_read_incidents(struct writer *w)
{
    if (w->moved) {
        writer_rollback(w, AFTER_ROLLBACK_POSITION, "the position moved");
        return;
    }
    w->torn = false;
    incident_rows_clear(&w->incidents);
    writer_set_state(w, WRITER_READING, "incidents that the alerts may join");
    writer_query_params(w, incident_lookup_sql, INCIDENT_LOOKUP_PARAMS, incident_lookup_types,
                        writer_batch(w)->lookup.values);
}

void writer_read_result(struct writer *w, PGresult *result)
{
    if (PQresultStatus(result) == PGRES_TUPLES_OK)
        w->torn = !incident_rows_read(&w->incidents, result);
}

/* By row: not 0 where its incident is to be stored. */
static const uint8_t *rows_tried(struct writer *w)
{
    struct encoded_batch *encoded = writer_batch(w);
    encoded_batch_rows_to_store(encoded);
    if (w->sift.tried > 0)
        memset(encoded->stored + w->sift.tried, 0, encoded->batch->n - w->sift.tried);
    return encoded->stored;
}

void writer_read_over(struct writer *w)
{
    struct encoded_batch *encoded = writer_batch(w);
    struct buf values[INCIDENT_STORE_PARAMS] = {0};
    if (w->torn) {
        writer_torn(w);
        return;
    }
    w->calls.correlate(w->ctx, &w->incidents.set, encoded->batch, rows_tried(w));
    if (!incident_rows_encode(&w->incidents, &encoded->lookup, encoded->batch,
                              encoded->has_rules ? encoded->rules : NULL, values)) {
        writer_store_over(w);
        return;
    }
    writer_set_state(w, WRITER_STORING, "what became of them");
    writer_query_params(w, incident_store_sql, INCIDENT_STORE_PARAMS, incident_store_types, values);
    for (size_t i = 0; i < INCIDENT_STORE_PARAMS; i++)
        buf_free(&values[i]);
    if (w->incidents.set.n_incidents + w->incidents.set.n_conditions >= ROWS_BUSY) {
        w->server_busy = true;
        event_active(&w->kick, 0, 0);
    }
}

void writer_store_result(struct writer *w, PGresult *result)
{
    if (PQresultStatus(result) == PGRES_TUPLES_OK && !incident_rows_stored(&w->incidents, result))
        pgconn_drop(w->conn, "the server returned other incidents than were stored");
}

void writer_store_over(struct writer *w)
{
    if (w->sift.tried > 0)
        writer_sift_stored(w);
    else
        writer_copy_alerts(w);
}
