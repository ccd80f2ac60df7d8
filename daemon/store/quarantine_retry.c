#include "store/quarantine_retry.h"

#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "model/record.h"
#include "store/copyrow.h"
#include "store/encoded_batch.h"
#include "store/post_commit_queue.h"
#include "store/sqlstate.h"

/* How often it begins anew because of a daemon that makes the same incident. */
#define AGAINS_MAX 5

/* What became of a statement. */
enum outcome { OUTCOME_DONE, OUTCOME_FAILED, OUTCOME_REFUSED, OUTCOME_NO_PARTITION, OUTCOME_AGAIN };

struct retry {
    PGconn *conn;
    int64_t id;
    const struct retry_calls *calls;
    void *ctx;
    struct batch *batch; /* of the one alert, which is slices of row */
    struct encoded_batch encoded;
    struct incident_rows incidents;
    PGresult *row; /* that was in quarantine */
    bool stored;   /* else it was before */
};

/* Takes the result over. */
static enum outcome judge(PGconn *conn, PGresult *result, struct err *err)
{
    enum outcome outcome = OUTCOME_DONE;
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        struct fault fault;
        fault_read(&fault, result);
        if (PQstatus(conn) != CONNECTION_OK || !fault.sqlstate[0])
            err_set(err, "%s", fault.text);
        else
            err_set(err, "%s (SQLSTATE %s)", fault.text, fault.sqlstate);
        outcome = fault.class == SQLSTATE_PARTITION ? OUTCOME_NO_PARTITION
                  : fault.class == SQLSTATE_REFUSED ? OUTCOME_REFUSED
                                                    : OUTCOME_FAILED;
    }
    PQclear(result);
    return outcome;
}

static enum outcome run(PGconn *conn, const char *sql, struct err *err)
{
    return judge(conn, PQexec(conn, sql), err);
}

/* Values and result are binary; a value without bytes is null. */
static PGresult *ask(PGconn *conn, const char *sql, size_t n, const Oid *types, const struct buf *values)
{
    const char *data[INCIDENT_STORE_PARAMS];
    int len[INCIDENT_STORE_PARAMS], binary[INCIDENT_STORE_PARAMS];
    for (size_t i = 0; i < n; i++) {
        data[i] = values[i].len > 0 ? values[i].data : NULL;
        len[i] = (int)values[i].len;
        binary[i] = 1;
    }
    return PQexecParams(conn, sql, (int)n, types, data, len, binary, 1);
}

static int unpack(struct retry *r, struct err *err)
{
    struct batch_row *one = &r->batch->rows[0];
    uint64_t seq = 0;
    batch_clear(r->batch);
    *one = (struct batch_row){.record = {PQgetvalue(r->row, 0, 0), (size_t)PQgetlength(r->row, 0, 0)}};
    if (record_unpack(one->record, &one->alert, err) < 0) {
        err_prefix(err, "its record cannot be read");
        return -1;
    }
    if (PQgetlength(r->row, 0, 1) == sizeof(seq))
        memcpy(&seq, PQgetvalue(r->row, 0, 1), sizeof(seq));
    one->alert.seq = be64toh(seq);
    one->alert.incident = NO_INCIDENT;
    r->batch->n = 1;
    return 0;
}

/* Takes the row out, and makes a batch of it. */
static enum outcome take_out(struct retry *r, struct err *err)
{
    char text[24];
    const char *values[] = {text};
    snprintf(text, sizeof(text), "%" PRId64, r->id);
    PQclear(r->row);
    r->row = PQexecParams(r->conn,
                          "delete from mobeye.quarantine where id = $1::bigint "
                          "returning record, journal_seq, coalesce(instance, '')",
                          1, NULL, values, NULL, NULL, 1);
    if (PQresultStatus(r->row) != PGRES_TUPLES_OK) {
        PGresult *failed = r->row;
        r->row = NULL;
        return judge(r->conn, failed, err);
    }
    if (PQntuples(r->row) == 0) {
        err_set(err, "there is no %" PRId64 " in quarantine", r->id);
        return OUTCOME_FAILED;
    }
    if (unpack(r, err) != 0)
        return OUTCOME_FAILED;
    r->calls->enrich(r->ctx, r->batch);
    encoded_batch_fill(&r->encoded, r->batch, PQgetvalue(r->row, 0, 2), r->calls->rules);
    return OUTCOME_DONE;
}

static void free_values(struct buf *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_free(&values[i]);
}

static enum outcome compare(struct retry *r, struct err *err)
{
    struct buf values[ENCODED_BATCH_CONFLICT_PARAMS] = {0};
    enum outcome outcome = OUTCOME_DONE;
    if (encoded_batch_conflict_encode(&r->encoded, values)) {
        PGresult *result = ask(r->conn, encoded_batch_conflict_sql, ENCODED_BATCH_CONFLICT_PARAMS,
                               encoded_batch_conflict_types, values);
        if (PQresultStatus(result) == PGRES_TUPLES_OK)
            encoded_batch_resolve_conflicts(&r->encoded, result);
        outcome = judge(r->conn, result, err);
    }
    free_values(values, ENCODED_BATCH_CONFLICT_PARAMS);
    return outcome;
}

static enum outcome claim(struct retry *r, struct err *err)
{
    struct buf values[ENCODED_BATCH_CLAIM_PARAMS] = {0};
    encoded_batch_claim_encode(&r->encoded, values);
    PGresult *result =
        ask(r->conn, encoded_batch_claim_sql, ENCODED_BATCH_CLAIM_PARAMS, encoded_batch_claim_types, values);
    free_values(values, ENCODED_BATCH_CLAIM_PARAMS);
    if (PQresultStatus(result) == PGRES_TUPLES_OK)
        encoded_batch_resolve_duplicates(&r->encoded, result);
    enum outcome outcome = judge(r->conn, result, err);
    if (outcome == OUTCOME_DONE)
        outcome = compare(r, err);
    r->stored = encoded_batch_count(&r->encoded, ROW_STORE) > 0;
    return outcome;
}

static enum outcome read_incidents(struct retry *r, struct err *err)
{
    PGresult *result =
        ask(r->conn, incident_lookup_sql, INCIDENT_LOOKUP_PARAMS, incident_lookup_types, r->encoded.lookup.values);
    bool torn = false;
    incident_rows_clear(&r->incidents);
    if (PQresultStatus(result) == PGRES_TUPLES_OK)
        torn = !incident_rows_read(&r->incidents, result);
    enum outcome outcome = judge(r->conn, result, err);
    if (!torn)
        return outcome;
    err_set(err, "mobeye.incident_thread leads to an incident that is not there (maintenance deletes such threads)");
    return OUTCOME_AGAIN;
}

static enum outcome store_incidents(struct retry *r, struct err *err)
{
    struct buf values[INCIDENT_STORE_PARAMS] = {0};
    if (!incident_rows_encode(&r->incidents, &r->encoded.lookup, r->batch, r->calls->rules, values))
        return OUTCOME_DONE;
    PGresult *result = ask(r->conn, incident_store_sql, INCIDENT_STORE_PARAMS, incident_store_types, values);
    free_values(values, INCIDENT_STORE_PARAMS);
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    bool taken = sqlstate && strcmp(sqlstate, "23505") == 0;
    bool good = PQresultStatus(result) == PGRES_TUPLES_OK && incident_rows_stored(&r->incidents, result);
    enum outcome outcome = judge(r->conn, result, err);
    if (outcome == OUTCOME_DONE && !good) {
        err_set(err, "the server returned other incidents than were stored");
        return OUTCOME_FAILED;
    }
    return taken ? OUTCOME_AGAIN : outcome;
}

static enum outcome copy(struct retry *r, struct err *err)
{
    struct str chunk;
    PGresult *result = PQexec(r->conn, COPYROW_ALERT_SQL);
    if (PQresultStatus(result) != PGRES_COPY_IN)
        return judge(r->conn, result, err);
    PQclear(result);
    bool sent = true;
    encoded_batch_copy_begin(&r->encoded, 0, 1, &r->incidents.set);
    while (sent && encoded_batch_next_chunk(&r->encoded, &chunk))
        sent = PQputCopyData(r->conn, chunk.p, (int)chunk.len) == 1;
    if (!sent || PQputCopyEnd(r->conn, NULL) != 1) {
        err_set(err, "%s", PQerrorMessage(r->conn));
        return OUTCOME_FAILED;
    }
    enum outcome outcome = OUTCOME_DONE;
    while ((result = PQgetResult(r->conn)) != NULL) {
        enum outcome one = judge(r->conn, result, err);
        outcome = one == OUTCOME_DONE ? outcome : one;
    }
    return outcome;
}

static enum outcome add_changes(struct retry *r, struct err *err)
{
    if (r->incidents.n_changes == 0)
        return OUTCOME_DONE;
    struct buf sql = {0};
    buf_printf(&sql, "select mobeye.add_changes(");
    incident_rows_print_changes(&r->incidents, &sql);
    buf_printf(&sql, ")");
    enum outcome outcome = run(r->conn, sql.data, err);
    buf_free(&sql);
    return outcome;
}

/* The transaction without its begin and end. */
static enum outcome try_alert(struct retry *r, struct err *err)
{
    static enum outcome (*const steps[])(struct retry * r, struct err * err) = {read_incidents, store_incidents, copy,
                                                                                add_changes};
    incident_rows_clear(&r->incidents);
    enum outcome outcome = take_out(r, err);
    if (outcome == OUTCOME_DONE)
        outcome = claim(r, err);
    for (size_t i = 0; outcome == OUTCOME_DONE && r->stored && i < sizeof(steps) / sizeof(steps[0]); i++) {
        if (steps[i] == store_incidents)
            r->calls->correlate(r->ctx, &r->incidents.set, r->batch, encoded_batch_rows_to_store(&r->encoded));
        outcome = steps[i](r, err);
    }
    return outcome;
}

static enum outcome transaction(struct retry *r, struct err *err)
{
    r->stored = false;
    if (run(r->conn, "begin isolation level read committed", err) != OUTCOME_DONE)
        return OUTCOME_FAILED;
    enum outcome outcome = try_alert(r, err);
    if (outcome == OUTCOME_DONE)
        outcome = run(r->conn, "commit", err);
    else
        run(r->conn, "rollback", NULL);
    return outcome;
}

/* Verification and hints, as after a batch: may fail, and nothing is wrong. */
static void follow_up(struct retry *r)
{
    struct post_commit_queue queue = {0};
    struct buf values[POST_COMMIT_VERIFY_PARAMS] = {0};
    post_commit_queue_batch(&queue, r->batch, encoded_batch_rows_to_store(&r->encoded), &r->incidents);
    if (queue.n_hints > 0) {
        post_commit_queue_encode_hints(&queue, values);
        PQclear(
            ask(r->conn, post_commit_announce_sql, POST_COMMIT_ANNOUNCE_PARAMS, post_commit_announce_types, values));
    }
    for (size_t i = 0; i < POST_COMMIT_VERIFY_PARAMS; i++)
        values[i].len = 0;
    if (queue.n_raises > 0) {
        post_commit_queue_encode_raises(&queue, values);
        PQclear(ask(r->conn, post_commit_verify_sql, POST_COMMIT_VERIFY_PARAMS, post_commit_verify_types, values));
    }
    free_values(values, POST_COMMIT_VERIFY_PARAMS);
    post_commit_queue_free(&queue);
}

static enum outcome make_partition(struct retry *r, struct err *err)
{
    const struct alert *alert = &r->batch->rows[0].alert;
    char sql[200];
    snprintf(sql, sizeof(sql),
             "select mobeye.make_partitions('%s', to_timestamp(%" PRId64 "), to_timestamp(%" PRId64 "))",
             alert_class_word(alert_class(alert->kind)), alert->occurred_us / CLOCK_SECOND,
             alert->occurred_us / CLOCK_SECOND + 1);
    return run(r->conn, sql, err);
}

static enum outcome attempts(struct retry *r, struct err *err)
{
    bool made = false;
    for (unsigned agains = 0;;) {
        enum outcome outcome = transaction(r, err);
        if (outcome == OUTCOME_AGAIN && agains++ < AGAINS_MAX)
            continue;
        if (outcome != OUTCOME_NO_PARTITION || made || make_partition(r, err) != OUTCOME_DONE)
            return outcome;
        made = true;
    }
}

int retry_quarantined(PGconn *conn, int64_t quarantine_id, const struct retry_calls *calls, void *ctx, struct err *err)
{
    struct retry r = {.conn = conn, .id = quarantine_id, .calls = calls, .ctx = ctx, .batch = batch_new(1)};
    enum outcome outcome = attempts(&r, err);
    if (outcome == OUTCOME_DONE && r.stored)
        follow_up(&r);
    encoded_batch_free(&r.encoded);
    incident_rows_free(&r.incidents);
    batch_free(&r.batch);
    PQclear(r.row);
    if (outcome == OUTCOME_FAILED || outcome == OUTCOME_AGAIN)
        return -1;
    if (outcome != OUTCOME_DONE)
        return RETRY_REFUSED;
    return r.stored ? RETRY_STORED : RETRY_DUPLICATE;
}
