/* The transaction of a batch: position, identities, alerts; the incidents between are in writer_incidents.c. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/copyrow.h"
#include "store/quarantine.h"
#include "store/writer_parts.h"

#define CHUNK_BYTES ((size_t)64 * 1024)

/* The position moves from where we know it to be, or its row is made. No row touched: another program, or a person,
 * moved it; or the registry or the areas are no longer those that the batch was enriched with. */
static void append_opening(struct writer *w, struct buf *sql)
{
    const struct batch *batch = writer_parcel(w)->batch;
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
    return writer_parcel(w)->refused == 0;
}

/* As few round trips as can be: where all goes well, one for each COPY and one for each step of the incidents. */
void writer_begin(struct writer *w)
{
    struct parcel *parcel = writer_parcel(w);
    struct buf sql = {0};
    if (w->isolated)
        parcel_renew(parcel);
    else
        parcel_reset(parcel);
    w->moved = w->claimed = w->server_busy = w->commit_sent = w->committed = false;
    w->set_aside = 0;
    w->quarantined = 0;
    incident_rows_clear(&w->incidents);
    append_opening(w, &sql);
    if (parcel_count(parcel, FATE_STORE) > 0 && !w->expect_duplicates && !parcel->shared)
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
        parcel_copy_identities(writer_parcel(w), loop_wall_us(w->loop), &w->copy);
    }
    writer_set_state(w, WRITER_IDENTITIES, "as if all were new");
}

bool writer_chunk(struct writer *w, struct str *ret)
{
    if (w->state != WRITER_IDENTITIES)
        return parcel_next_chunk(writer_parcel(w), ret);
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
            parcel_settle(writer_parcel(w), result);
        else if (w->state == WRITER_COMPARING)
            parcel_conflict_settle(writer_parcel(w), result);
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
    else if (parcel_count(writer_parcel(w), FATE_STORE) > 0)
        writer_claim(w);
    else
        writer_end(w);
}

static void send_claim(struct writer *w)
{
    struct buf values[PARCEL_CLAIM_PARAMS] = {0};
    parcel_claim_encode(writer_parcel(w), values);
    w->claimed = true;
    writer_query_params(w, parcel_claim_sql, PARCEL_CLAIM_PARAMS, parcel_claim_types, values);
    for (size_t i = 0; i < PARCEL_CLAIM_PARAMS; i++)
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
    struct buf values[PARCEL_CONFLICT_PARAMS] = {0};
    struct parcel *parcel = writer_parcel(w);
    if (!w->claimed) {
        send_claim(w);
        return;
    }
    w->expect_duplicates = parcel_count(parcel, FATE_STORE) + parcel_count(parcel, FATE_REFUSED) < parcel->ids;
    if (parcel_conflict_encode(parcel, values)) {
        writer_set_state(w, WRITER_COMPARING, "duplicates, perhaps of other devices");
        writer_query_params(w, parcel_conflict_sql, PARCEL_CONFLICT_PARAMS, parcel_conflict_types, values);
    } else {
        writer_compared(w);
    }
    for (size_t i = 0; i < PARCEL_CONFLICT_PARAMS; i++)
        buf_free(&values[i]);
}

void writer_compared(struct writer *w)
{
    if (parcel_count(writer_parcel(w), FATE_STORE) == 0)
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
    struct parcel *parcel = writer_parcel(w);
    struct buf sql = {0};
    parcel_copy_begin(parcel, 0, parcel->batch->n, &w->incidents.book);
    w->piece.base = w->piece.good = 0;
    w->piece.stop = parcel->batch->n;
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
    w->set_aside = quarantine_encode(writer_parcel(w), w->set_aside, w->journal, w->bare, values);
    writer_query_params(w, quarantine_sql, QUARANTINE_PARAMS, quarantine_types, values);
    for (size_t i = 0; i < QUARANTINE_PARAMS; i++)
        buf_free(&values[i]);
}

/* All rows have their fate. */
void writer_end(struct writer *w)
{
    if (w->moved) {
        writer_rollback(w, AFTER_ROLLBACK_POSITION, "the position moved");
    } else if (w->set_aside < writer_parcel(w)->refused) {
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

static void complain_of_refusals(struct writer *w, const struct parcel *parcel)
{
    const struct parcel_refusal *first = parcel->refusals;
    if (w->quarantined > 0)
        log_complain(&w->refused_complaint, loop_mono_us(w->loop), LOG_LEVEL_WARNING, WRITER_SUBJECT,
                     "alerts are set aside, %s %s: mobeyectl quarantine list shows them",
                     first->sqlstate[0] ? "refused with SQLSTATE" : "since their records are damaged", first->sqlstate);
}

static void complain_of_conflicts(struct writer *w, const struct parcel *parcel)
{
    const struct batch *batch = parcel->batch;
    for (size_t row = 0; (row = parcel_next_conflict(parcel, row)) < batch->n; row++) {
        const struct alert *alert = &batch->rows[row].alert;
        log_complain(&w->conflict_complaint, loop_mono_us(w->loop), LOG_LEVEL_WARNING, WRITER_SUBJECT,
                     "identity conflict: an alert of device %.*s has the source and id of another device's alert, and "
                     "is stored as its own; source %.*s, endpoint %.*s",
                     (int)alert->device.len, alert->device.p, (int)alert->source.len, alert->source.p,
                     (int)alert->endpoint.len, alert->endpoint.p);
    }
}

static uint64_t count_conflicts(const struct parcel *parcel)
{
    uint64_t count = 0;
    for (size_t row = 0; (row = parcel_next_conflict(parcel, row)) < parcel->batch->n; row++)
        count++;
    return count;
}

static struct writer_stored outcome(const struct writer *w, const struct parcel *parcel)
{
    struct writer_stored stored = {
        .last_seq = parcel->batch->last_seq,
        .committed = parcel_count(parcel, FATE_STORE),
        .quarantined = w->quarantined,
        .conflicts = count_conflicts(parcel),
    };
    stored.duplicate = parcel->batch->n - stored.committed - stored.quarantined;
    return stored;
}

/* The connection is lost, the parcels are still there. */
void writer_lost(struct writer *w)
{
    if (w->n == 0 || !w->commit_sent)
        return;
    w->unsure = outcome(w, writer_parcel(w));
    w->unsure_checksum = writer_parcel(w)->batch->last_checksum;
    complain_of_conflicts(w, writer_parcel(w));
}

/* What comes next is begun before the owner is told: PostgreSQL works while the owner makes the next batch. */
static void committed(struct writer *w)
{
    struct parcel *parcel = writer_parcel(w);
    struct batch *batch = parcel->batch;
    struct writer_stored stored = outcome(w, parcel);
    complain_of_refusals(w, parcel);
    complain_of_conflicts(w, parcel);
    post_commit_batch(w->post_commit, parcel, &w->incidents, w->n > 1);
    w->counts.incidents += w->incidents.n_fresh;
    log_recover(&w->batch_complaint, WRITER_SUBJECT, "alerts are stored again");
    pgconn_settled(w->conn);
    parcel_clear(parcel);
    w->first = 1 - w->first;
    w->n--;
    w->known = true;
    w->position = batch->last_seq;
    w->checksum = batch->last_checksum;
    w->retries = 0;
    w->commit_sent = false;
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
