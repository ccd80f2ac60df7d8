/* A batch from its opening to its commit. */
#include "store/transaction.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/batch_identities.h"
#include "store/copyrow.h"
#include "store/param.h"
#include "store/quarantine_rows.h"
#include "store/transaction_parts.h"

void transaction_init(struct transaction *t, const struct transaction_calls *calls, void *ctx)
{
    t->calls = *calls;
    t->ctx = ctx;
}

void transaction_free(struct transaction *t)
{
    free(t->guard);
    origin_cache_clear(&t->origins);
    identity_periods_clear(&t->periods);
    buf_free(&t->identities);
    incident_rows_free(&t->incidents);
    image_rows_free(&t->images);
    *t = (struct transaction){0};
}

void transaction_begin(struct transaction *t, struct encoded_batch *encoded, const char *guard, const uint8_t *journal)
{
    free(t->guard);
    t->guard = mem_strdup(guard);
    t->encoded = encoded;
    t->journal = journal;
    bisect_reset(&t->bisect, encoded->batch->n);
    t->restarts = 0;
    t->partitions_made = t->record_only = false;
    transaction_prepare(t);
}

static bool nothing_to_quarantine(const struct transaction *t)
{
    return t->encoded->refused == 0;
}

/* The commit follows the COPY of alerts without a round trip. */
static bool commits_with_alerts(const struct transaction *t)
{
    return nothing_to_quarantine(t) && !image_rows_any(t->encoded);
}

/* Whether identities are claimed at once, rather than copied as if all were new. */
static bool claims_at_once(const struct transaction *t)
{
    return t->expect_duplicates || t->encoded->shared || batch_identities_any_found(t->encoded);
}

/* Minimise round trips: one per COPY, and one per step of the incidents, in the normal case. */
void transaction_open(struct transaction *t, const char *reason)
{
    struct encoded_batch *encoded = t->encoded;
    struct buf sql = {0};
    if (t->bisect.phase == BISECT_ROWS) /* interrupted: not all refused rows are known */
        bisect_reset(&t->bisect, encoded->batch->n);
    if (t->bisect.phase == BISECT_OFF)
        encoded_batch_reset(encoded);
    else
        encoded_batch_reset_keeping_refused(encoded);
    t->quarantine_sent = 0;
    t->quarantined = 0;
    incident_rows_clear(&t->incidents);
    buf_printf(&sql, "begin isolation level read committed; %s; savepoint identities", t->guard);
    if (encoded_batch_count(encoded, ROW_STORE) > 0 && !claims_at_once(t))
        buf_printf(&sql, "; " COPYROW_IDENTITY_SQL);
    transaction_set_state(t, TRANSACTION_OPENING, reason);
    t->calls.send(t->ctx, sql.data);
    buf_free(&sql);
}

/* Changes are numbered last: other transactions that need numbers wait from there to the commit. */
static void append_commit(const struct transaction *t, struct buf *sql)
{
    if (t->before_commit)
        buf_printf(sql, "%s; ", t->before_commit);
    if (t->incidents.n_changes > 0) {
        buf_printf(sql, "select mobeye.add_changes(");
        incident_rows_print_changes(&t->incidents, sql);
        buf_printf(sql, "); ");
    }
    buf_printf(sql, "commit");
}

static void send_commit(struct transaction *t)
{
    struct buf sql = {0};
    transaction_set_state(t, TRANSACTION_COMMITTING, "every row is stored, a duplicate or in quarantine");
    append_commit(t, &sql);
    t->calls.send(t->ctx, sql.data);
    buf_free(&sql);
}

static void send_quarantine(struct transaction *t)
{
    struct buf values[QUARANTINE_PARAMS] = {0};
    t->quarantine_sent = quarantine_encode(t->encoded, t->quarantine_sent, t->journal, t->record_only, values);
    t->calls.send_params(t->ctx, quarantine_sql, QUARANTINE_PARAMS, quarantine_types, values);
    params_free(values, QUARANTINE_PARAMS);
}

/* All rows have their status. */
static void quarantine_and_commit(struct transaction *t)
{
    if (nothing_to_quarantine(t)) {
        send_commit(t);
    } else {
        transaction_set_state(t, TRANSACTION_QUARANTINING, "rows are refused or unreadable");
        send_quarantine(t);
    }
}

static void on_quarantined(struct transaction *t)
{
    if (t->quarantine_sent < t->encoded->refused)
        send_quarantine(t);
    else
        send_commit(t);
}

static bool is_tag(PGresult *result, const char *tag)
{
    return strncmp(PQcmdStatus(result), tag, strlen(tag)) == 0;
}

static void abandon(struct transaction *t, enum transaction_state after, const char *reason)
{
    t->after = after;
    transaction_set_state(t, TRANSACTION_ABANDONING, reason);
}

static void copy_identities(struct transaction *t)
{
    t->identities.len = t->identities_sent = 0;
    batch_identities_copy(t->encoded, t->periods.current, &t->identities);
    transaction_set_state(t, TRANSACTION_COPYING_IDENTITIES, "as if all were new");
}

/* The guard is an update, an insert or a select. */
static void on_opening_result(struct transaction *t, PGresult *result)
{
    if (PQresultStatus(result) == PGRES_COPY_IN)
        copy_identities(t);
    else if ((is_tag(result, "UPDATE") || is_tag(result, "INSERT") || is_tag(result, "SELECT")) &&
             strcmp(PQcmdTuples(result), "1") != 0)
        abandon(t, TRANSACTION_POSITION_MOVED, "the guard affected no row");
}

/* A COPY that was already sent gets no rows. */
static void on_abandoning_result(struct transaction *t, PGresult *result)
{
    if (PQresultStatus(result) != PGRES_COPY_IN)
        return;
    t->identities.len = t->identities_sent = 0;
    buf_append_str(&t->identities, copyrow_header);
    buf_append_str(&t->identities, copyrow_trailer);
}

/* The COPY of identities was not among the statements: duplicates are expected, or there is nothing to store. */
static void on_opened(struct transaction *t)
{
    if (encoded_batch_count(t->encoded, ROW_STORE) > 0 || batch_identities_any_found(t->encoded))
        transaction_claim(t);
    else
        quarantine_and_commit(t);
}

void transaction_claim(struct transaction *t)
{
    struct buf values[BATCH_CLAIM_PARAMS] = {0};
    batch_identities_claim_encode(t->encoded, t->periods.current, values);
    transaction_set_state(t, TRANSACTION_CLAIMING, "some are or may be duplicates");
    t->calls.send_params(t->ctx, batch_claim_sql, BATCH_CLAIM_PARAMS, batch_claim_types, values);
    params_free(values, BATCH_CLAIM_PARAMS);
}

static void on_claiming_result(struct transaction *t, PGresult *result)
{
    if (PQresultStatus(result) == PGRES_TUPLES_OK)
        batch_identities_claimed(t->encoded, result);
}

static void read_incidents(struct transaction *t)
{
    incident_rows_clear(&t->incidents);
    transaction_set_state(t, TRANSACTION_READING, "incidents that the alerts may join");
    t->calls.send_params(t->ctx, incident_lookup_sql, INCIDENT_LOOKUP_PARAMS, incident_lookup_types,
                         t->encoded->lookup.values);
}

static void on_compared(struct transaction *t)
{
    if (encoded_batch_count(t->encoded, ROW_STORE) == 0)
        quarantine_and_commit(t);
    else
        read_incidents(t);
}

static void on_claimed(struct transaction *t)
{
    struct buf values[BATCH_CONFLICT_PARAMS] = {0};
    struct encoded_batch *encoded = t->encoded;
    t->expect_duplicates =
        encoded_batch_count(encoded, ROW_STORE) + encoded_batch_count(encoded, ROW_REFUSED) < encoded->ids;
    if (batch_identities_conflict_encode(encoded, t->periods.current, values)) {
        transaction_set_state(t, TRANSACTION_COMPARING, "duplicates, possibly of other devices");
        t->calls.send_params(t->ctx, batch_conflict_sql, BATCH_CONFLICT_PARAMS, batch_conflict_types, values);
    } else {
        on_compared(t);
    }
    params_free(values, BATCH_CONFLICT_PARAMS);
}

static void on_comparing_result(struct transaction *t, PGresult *result)
{
    if (PQresultStatus(result) == PGRES_TUPLES_OK)
        batch_identities_resolve_conflicts(t->encoded, result);
}

static void on_reading_result(struct transaction *t, PGresult *result)
{
    if (PQresultStatus(result) == PGRES_TUPLES_OK && !incident_rows_read(&t->incidents, result))
        abandon(t, TRANSACTION_OPENING, "another daemon created an incident at this moment");
}

/* By row: not 0 if its incident is to be stored. */
static const uint8_t *rows_to_correlate(struct transaction *t)
{
    uint8_t *rows = encoded_batch_rows_to_store(t->encoded);
    if (t->bisect.phase == BISECT_INCIDENTS)
        memset(rows + t->bisect.prefix, 0, t->bisect.n - t->bisect.prefix);
    return rows;
}

/* The incidents have their ids. */
static void send_alerts(struct transaction *t)
{
    struct encoded_batch *encoded = t->encoded;
    struct buf sql = {0};
    encoded_batch_copy_begin(encoded, 0, encoded->batch->n, &t->incidents.set);
    buf_printf(&sql, COPYROW_ALERT_SQL);
    if (commits_with_alerts(t)) {
        buf_printf(&sql, "; ");
        append_commit(t, &sql);
    }
    transaction_set_state(t, TRANSACTION_SENDING, "all alerts of the batch");
    t->calls.send(t->ctx, sql.data);
    buf_free(&sql);
}

static void on_read(struct transaction *t)
{
    struct encoded_batch *encoded = t->encoded;
    struct buf values[INCIDENT_STORE_PARAMS] = {0};
    bool probing = t->bisect.phase == BISECT_INCIDENTS;
    t->calls.correlate(t->ctx, &t->incidents.set, encoded->batch, rows_to_correlate(t));
    if (incident_rows_encode(&t->incidents, &encoded->lookup, encoded->batch,
                             encoded->has_rules ? encoded->rules : NULL, values)) {
        transaction_set_state(t, probing ? TRANSACTION_PROBING : TRANSACTION_STORING, "what became of them");
        t->calls.send_params(t->ctx, incident_store_sql, INCIDENT_STORE_PARAMS, incident_store_types, values);
    } else if (probing) {
        transaction_set_state(t, TRANSACTION_PROBING, "no incident is changed");
        transaction_on_prefix_stored(t);
    } else {
        send_alerts(t);
    }
    params_free(values, INCIDENT_STORE_PARAMS);
}

static void on_storing_result(struct transaction *t, PGresult *result)
{
    if (PQresultStatus(result) == PGRES_TUPLES_OK && !incident_rows_stored(&t->incidents, result))
        t->calls.drop(t->ctx, "the server returned other incidents than were stored");
}

/* COPY is the last statement, or precedes those of the commit. */
static void on_awaiting_result(struct transaction *t, PGresult *result)
{
    if (is_tag(result, "COPY") && commits_with_alerts(t))
        transaction_set_state(t, TRANSACTION_COMMITTING, "the alerts are stored");
}

/* Images come after the alerts: their partition may be missing when those of the alerts exist. */
static void on_alerts_stored(struct transaction *t)
{
    if (image_rows_any(t->encoded)) {
        image_rows_begin(&t->images, t->encoded, &t->incidents.set);
        transaction_set_state(t, TRANSACTION_SENDING_IMAGES, "alerts of the batch have images");
        t->calls.send(t->ctx, IMAGE_ROWS_SQL);
    } else {
        quarantine_and_commit(t);
    }
}

static void on_quarantining_result(struct transaction *t, PGresult *result)
{
    if (is_tag(result, "INSERT"))
        t->quarantined += strtoull(PQcmdTuples(result), NULL, 10);
}

static void on_committing_result(struct transaction *t, PGresult *result)
{
    if (is_tag(result, "COMMIT"))
        transaction_set_state(t, TRANSACTION_COMMITTED, "the server confirms it");
}

/* The callee may begin the next batch. */
void transaction_report(struct transaction *t, enum transaction_state outcome)
{
    transaction_set_state(t, TRANSACTION_NONE, "the outcome is reported");
    t->calls.on_over(t->ctx, outcome);
}

static void on_not_committed(struct transaction *t)
{
    t->calls.drop(t->ctx, "the reply to COMMIT was a rollback");
}

static void on_committed(struct transaction *t)
{
    transaction_report(t, TRANSACTION_COMMITTED);
}

/* By state: the handlers of a result and of the end of what was sent; NULL: nothing is in progress. */
static const struct {
    void (*on_result)(struct transaction *t, PGresult *result);
    void (*on_end)(struct transaction *t);
} states[] = {
    [TRANSACTION_READING_PERIODS] = {transaction_on_periods, transaction_on_periods_read},
    [TRANSACTION_READING_FILTER] = {transaction_on_filter, transaction_on_filter_read},
    [TRANSACTION_ADDING_ORIGINS] = {NULL, transaction_on_origins_added},
    [TRANSACTION_SEARCHING] = {transaction_on_found, transaction_on_searched},
    [TRANSACTION_OPENING] = {on_opening_result, on_opened},
    [TRANSACTION_COPYING_IDENTITIES] = {NULL, read_incidents},
    [TRANSACTION_UNDOING] = {NULL, transaction_claim},
    [TRANSACTION_CLAIMING] = {on_claiming_result, on_claimed},
    [TRANSACTION_COMPARING] = {on_comparing_result, on_compared},
    [TRANSACTION_READING] = {on_reading_result, on_read},
    [TRANSACTION_STORING] = {on_storing_result, send_alerts},
    [TRANSACTION_PROBING] = {on_storing_result, transaction_on_prefix_stored},
    [TRANSACTION_AWAITING] = {on_awaiting_result, on_alerts_stored},
    [TRANSACTION_SENDING_IMAGES] = {NULL, quarantine_and_commit},
    [TRANSACTION_BISECTING] = {NULL, transaction_on_piece_stored},
    [TRANSACTION_QUARANTINING] = {on_quarantining_result, on_quarantined},
    [TRANSACTION_COMMITTING] = {on_committing_result, on_not_committed},
    [TRANSACTION_COMMITTED] = {NULL, on_committed},
    [TRANSACTION_ABANDONING] = {on_abandoning_result, transaction_on_abandoned},
    [TRANSACTION_ROLLING_BACK] = {NULL, transaction_on_rolled_back},
    [TRANSACTION_MAKING_PARTITIONS] = {NULL, transaction_on_partitions_made},
    [TRANSACTION_LOST] = {NULL, NULL}, /* the last one */
};

void transaction_on_result(struct transaction *t, PGresult *result)
{
    if (states[t->state].on_result)
        states[t->state].on_result(t, result);
}

void transaction_on_end(struct transaction *t, const struct fault *fault)
{
    if (fault)
        transaction_on_fault(t, fault);
    else
        states[t->state].on_end(t);
}

static bool next_identities(struct transaction *t, struct str *ret)
{
    size_t left = t->identities.len - t->identities_sent;
    *ret =
        (struct str){t->identities.data + t->identities_sent, left < COPYROW_CHUNK_BYTES ? left : COPYROW_CHUNK_BYTES};
    t->identities_sent += ret->len;
    return left > 0;
}

bool transaction_on_chunk(struct transaction *t, struct str *ret)
{
    if (t->state == TRANSACTION_COPYING_IDENTITIES || t->state == TRANSACTION_ABANDONING)
        return next_identities(t, ret);
    if (t->state == TRANSACTION_SENDING_IMAGES)
        return image_rows_next_chunk(&t->images, ret);
    if (encoded_batch_next_chunk(t->encoded, ret))
        return true;
    if (t->state == TRANSACTION_SENDING)
        transaction_set_state(t, TRANSACTION_AWAITING, "all rows are sent");
    return false;
}

void transaction_on_lost(struct transaction *t)
{
    origin_cache_clear(&t->origins); /* the next server may be another */
    identity_periods_clear(&t->periods);
    if (t->state == TRANSACTION_NONE)
        return;
    transaction_set_state(t, TRANSACTION_LOST, "the connection is lost");
    transaction_report(t, TRANSACTION_LOST);
}

bool transaction_may_be_committed(const struct transaction *t)
{
    bool sending = t->state == TRANSACTION_SENDING || t->state == TRANSACTION_AWAITING;
    return t->state == TRANSACTION_COMMITTING || t->state == TRANSACTION_COMMITTED ||
           (sending && commits_with_alerts(t));
}
