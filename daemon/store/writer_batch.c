/* The transaction of a batch: position, identities, alerts; the incidents between are in writer_incidents.c. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/copyrow.h"
#include "store/quarantine_rows.h"
#include "store/writer_parts.h"

#define CHUNK_BYTES ((size_t)64 * 1024)

/* The position moves from where we know it to be, or its row is made. No row touched: another program, or a person,
 * moved it; or the registry or the areas are no longer those that the batch was enriched with. */
static void append_opening(struct writer *w, struct buf *sql)
{
    const struct batch *batch = writer_batch(w)->batch;
    char journal[IDENTITY_TEXT_SIZE], versions[200] = "true";
    if (!batch->settled)
        snprintf(versions, sizeof(versions),
                 "(select array_agg(value order by name) from mobeye.counter where name in ('areas', 'registry')) = "
                 "'{%" PRIu64 ",%" PRIu64 "}'",
                 batch->areas_version, batch->registry_version);
    char *instance = PQescapeLiteral(pgconn_pq(w->conn), w->instance, strlen(w->instance));
    identity_text(w->journal, journal);
    buf_printf(sql, "begin isolation level read committed; ");
    if (w->known)
        buf_printf(sql,
                   "update mobeye.journal_position set position = %" PRIu64 ", checksum = %" PRId64
                   ", instance = %s, updated_at = now() where journal = '%s' and position = %" PRIu64 " and %s; ",
                   batch->last_seq, (int64_t)batch->last_checksum, instance, journal, w->position, versions);
    else
        buf_printf(sql,
                   "insert into mobeye.journal_position (journal, instance, position, checksum) "
                   "select '%s', %s, %" PRIu64 ", %" PRId64 " where %s on conflict do nothing; ",
                   journal, instance, batch->last_seq, (int64_t)batch->last_checksum, versions);
    buf_printf(sql, "savepoint identities");
    PQfreemem(instance);
}

static bool nothing_to_quarantine(struct writer *w)
{
    return writer_batch(w)->refused == 0;
}

/* As few round trips as can be: where all goes well, one for each COPY and one for each step of the incidents. */
void writer_begin(struct writer *w)
{
    struct encoded_batch *encoded = writer_batch(w);
    struct buf sql = {0};
    if (w->isolated)
        encoded_batch_reset_keeping_refused(encoded);
    else
        encoded_batch_reset(encoded);
    w->moved = w->claimed = w->server_busy = w->commit_sent = w->committed = false;
    w->salvaged = 0;
    w->quarantined = 0;
    incident_rows_clear(&w->incidents);
    append_opening(w, &sql);
    if (encoded_batch_count(encoded, ROW_STORE) > 0 && !w->expect_duplicates && !encoded->shared)
        buf_printf(&sql, "; " COPYROW_IDENTITY_SQL);
    writer_set_state(w, WRITER_OPENING, "a batch");
    writer_query(w, sql.data);
    buf_free(&sql);
}

/* The COPY of identities that the server waits for. Empty where the position moved. */
static void identities_copied(struct writer *w)
{
    w->copy.len = w->copied = 0;
    if (w->moved) {
        buf_append_str(&w->copy, copyrow_header);
        buf_append_str(&w->copy, copyrow_trailer);
    } else {
        encoded_batch_copy_identities(writer_batch(w), loop_wall_us(w->loop), &w->copy);
    }
    writer_set_state(w, WRITER_IDENTITIES, "as if all were new");
}

bool writer_chunk(struct writer *w, struct str *ret)
{
    if (w->state != WRITER_IDENTITIES)
        return encoded_batch_next_chunk(writer_batch(w), ret);
    size_t left = w->copy.len - w->copied;
    *ret = (struct str){w->copy.data + w->copied, left < CHUNK_BYTES ? left : CHUNK_BYTES};
    w->copied += ret->len;
    return left > 0;
}

static void statement_done(struct writer *w, PGresult *result)
{
    const char *tag = PQcmdStatus(result);
    bool inserted = strncmp(tag, "INSERT", 6) == 0;
    if (w->state == WRITER_OPENING && (inserted || strncmp(tag, "UPDATE", 6) == 0))
        w->moved = strcmp(PQcmdTuples(result), "1") != 0;
    else if (w->state == WRITER_ALERTS && w->commit_sent && strncmp(tag, "COPY", 4) == 0)
        writer_set_state(w, WRITER_ENDING, "commit");
    else if (w->state == WRITER_ENDING && inserted)
        w->quarantined += strtoull(PQcmdTuples(result), NULL, 10);
    else if (w->state == WRITER_ENDING && strcmp(tag, "COMMIT") == 0)
        w->committed = true;
}

void writer_batch_result(struct writer *w, PGresult *result)
{
    switch (PQresultStatus(result)) {
    case PGRES_COPY_IN:
        if (w->state == WRITER_OPENING)
            identities_copied(w);
        break;
    case PGRES_TUPLES_OK:
        if (w->state == WRITER_CLAIMING)
            encoded_batch_resolve_duplicates(writer_batch(w), result);
        else if (w->state == WRITER_COMPARING)
            encoded_batch_resolve_conflicts(writer_batch(w), result);
        break;
    default:
        statement_done(w, result);
    }
}

/* OPENING ended without a COPY: duplicates are expected, or there is nothing to store. */
void writer_opened(struct writer *w)
{
    if (w->moved)
        writer_rollback(w, AFTER_ROLLBACK_POSITION, "the position moved");
    else if (encoded_batch_count(writer_batch(w), ROW_STORE) > 0)
        writer_claim(w);
    else
        writer_end(w);
}

static void send_claim(struct writer *w)
{
    struct buf values[ENCODED_BATCH_CLAIM_PARAMS] = {0};
    encoded_batch_claim_encode(writer_batch(w), values);
    w->claimed = true;
    writer_query_params(w, encoded_batch_claim_sql, ENCODED_BATCH_CLAIM_PARAMS, encoded_batch_claim_types, values);
    for (size_t i = 0; i < ENCODED_BATCH_CLAIM_PARAMS; i++)
        buf_free(&values[i]);
}

void writer_claim(struct writer *w)
{
    bool failed = w->state == WRITER_IDENTITIES;
    w->commit_sent = false;
    writer_set_state(w, WRITER_CLAIMING, failed ? "some are duplicates" : "some may be duplicates");
    if (failed)
        writer_query(w, "rollback to savepoint identities");
    else
        send_claim(w);
}

void writer_claimed(struct writer *w)
{
    struct buf values[ENCODED_BATCH_CONFLICT_PARAMS] = {0};
    struct encoded_batch *encoded = writer_batch(w);
    if (!w->claimed) {
        send_claim(w);
        return;
    }
    w->expect_duplicates =
        encoded_batch_count(encoded, ROW_STORE) + encoded_batch_count(encoded, ROW_REFUSED) < encoded->ids;
    if (encoded_batch_conflict_encode(encoded, values)) {
        writer_set_state(w, WRITER_COMPARING, "duplicates, perhaps of other devices");
        writer_query_params(w, encoded_batch_conflict_sql, ENCODED_BATCH_CONFLICT_PARAMS, encoded_batch_conflict_types,
                            values);
    } else {
        writer_compared(w);
    }
    for (size_t i = 0; i < ENCODED_BATCH_CONFLICT_PARAMS; i++)
        buf_free(&values[i]);
}

void writer_compared(struct writer *w)
{
    if (encoded_batch_count(writer_batch(w), ROW_STORE) == 0)
        writer_end(w);
    else
        writer_read_incidents(w);
}

/* Numbers are given last: whoever needs the next ones waits from there to the commit. */
static void append_end(struct writer *w, struct buf *sql)
{
    if (w->incidents.n_changes > 0) {
        buf_printf(sql, "select mobeye.add_changes(");
        incident_rows_print_changes(&w->incidents, sql);
        buf_printf(sql, "); ");
    }
    buf_printf(sql, "commit");
    w->commit_sent = true;
}

/* The incidents have their ids. */
void writer_copy_alerts(struct writer *w)
{
    struct encoded_batch *encoded = writer_batch(w);
    struct buf sql = {0};
    encoded_batch_copy_begin(encoded, 0, encoded->batch->n, &w->incidents.set);
    w->piece.base = w->piece.good = 0;
    w->piece.stop = encoded->batch->n;
    buf_printf(&sql, COPYROW_ALERT_SQL);
    if (nothing_to_quarantine(w)) {
        buf_printf(&sql, "; ");
        append_end(w, &sql);
    }
    writer_set_state(w, WRITER_ALERTS, "all of the batch");
    writer_query(w, sql.data);
    buf_free(&sql);
}

static void send_quarantine(struct writer *w)
{
    struct buf values[QUARANTINE_PARAMS] = {0};
    w->salvaged = quarantine_encode(writer_batch(w), w->salvaged, w->journal, w->bare, values);
    writer_query_params(w, quarantine_sql, QUARANTINE_PARAMS, quarantine_types, values);
    for (size_t i = 0; i < QUARANTINE_PARAMS; i++)
        buf_free(&values[i]);
}

/* All rows have their fate. */
void writer_end(struct writer *w)
{
    if (w->moved) {
        writer_rollback(w, AFTER_ROLLBACK_POSITION, "the position moved");
    } else if (w->salvaged < writer_batch(w)->refused) {
        writer_set_state(w, WRITER_ENDING, "quarantine");
        send_quarantine(w);
    } else {
        struct buf sql = {0};
        writer_set_state(w, WRITER_ENDING, "commit");
        append_end(w, &sql);
        writer_query(w, sql.data);
        buf_free(&sql);
    }
}

static void complain_of_refusals(struct writer *w, const struct encoded_batch *encoded)
{
    const struct row_refusal *first = encoded->refusals;
    if (w->quarantined > 0)
        log_limited(&w->refused_complaint, loop_mono_us(w->loop), LOG_LEVEL_WARNING, WRITER_SUBJECT,
                    "alerts are set aside, %s %s: mobeyectl quarantine list shows them",
                    first->sqlstate[0] ? "refused with SQLSTATE" : "since their records are damaged", first->sqlstate);
}

static void complain_of_conflicts(struct writer *w, const struct encoded_batch *encoded)
{
    const struct batch *batch = encoded->batch;
    for (size_t row = 0; (row = encoded_batch_next_conflict(encoded, row)) < batch->n; row++) {
        const struct alert *alert = &batch->rows[row].alert;
        log_limited(&w->conflict_complaint, loop_mono_us(w->loop), LOG_LEVEL_WARNING, WRITER_SUBJECT,
                    "identity conflict: an alert of device %.*s has the source and id of another device's alert, and "
                    "is stored as its own; source %.*s, endpoint %.*s",
                    (int)alert->device.len, alert->device.p, (int)alert->source.len, alert->source.p,
                    (int)alert->endpoint.len, alert->endpoint.p);
    }
}

static uint64_t count_conflicts(const struct encoded_batch *encoded)
{
    uint64_t count = 0;
    for (size_t row = 0; (row = encoded_batch_next_conflict(encoded, row)) < encoded->batch->n; row++)
        count++;
    return count;
}

static struct writer_stored outcome(const struct writer *w, const struct encoded_batch *encoded)
{
    struct writer_stored stored = {
        .last_seq = encoded->batch->last_seq,
        .committed = encoded_batch_count(encoded, ROW_STORE),
        .quarantined = w->quarantined,
        .conflicts = count_conflicts(encoded),
    };
    stored.duplicate = encoded->batch->n - stored.committed - stored.quarantined;
    return stored;
}

/* The connection is lost, the batches are still there. */
void writer_lost(struct writer *w)
{
    if (w->n == 0 || !w->commit_sent)
        return;
    w->unsure = outcome(w, writer_batch(w));
    w->unsure_checksum = writer_batch(w)->batch->last_checksum;
    complain_of_conflicts(w, writer_batch(w));
}

/* What comes next is begun before the owner is told: PostgreSQL works while the owner makes the next batch. */
static void committed(struct writer *w)
{
    struct encoded_batch *encoded = writer_batch(w);
    struct batch *batch = encoded->batch;
    struct writer_stored stored = outcome(w, encoded);
    complain_of_refusals(w, encoded);
    complain_of_conflicts(w, encoded);
    post_commit_batch(w->post_commit, encoded, &w->incidents, w->n > 1);
    w->counts.incidents += w->incidents.n_fresh;
    log_recover(&w->batch_complaint, WRITER_SUBJECT, "alerts are stored again");
    pgconn_reset_backoff(w->conn);
    encoded_batch_clear(encoded);
    w->first = 1 - w->first;
    w->n--;
    w->known = true;
    w->position = batch->last_seq;
    w->checksum = batch->last_checksum;
    w->retries = 0;
    w->commit_sent = w->server_busy = false;
    w->bare = w->partitions_made = false;
    writer_forget_refused(w);
    w->agains = 0;
    writer_set_state(w, WRITER_IDLE, "the batch is stored");
    if (w->asked_connect)
        event_active(&w->kick, 0, 0);
    else
        writer_next(w);
    w->calls.stored(w->ctx, &stored);
    w->calls.done(w->ctx, batch);
    if (writer_wants(w))
        w->calls.ready(w->ctx);
}

void writer_ended(struct writer *w)
{
    if (!w->commit_sent)
        writer_end(w);
    else if (!w->committed)
        pgconn_drop(w->conn, "COMMIT was answered by a rollback");
    else
        committed(w);
}
