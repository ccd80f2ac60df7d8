#include "store/quarantine_retry.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "model/record.h"
#include "store/column.h"
#include "store/param.h"
#include "store/post_commit_queue.h"
#include "store/session.h"
#include "store/transaction.h"

struct quarantine_retry {
    PGconn *conn;
    const struct quarantine_retry_calls *calls;
    void *ctx;
    struct transaction transaction;
    enum transaction_state outcome; /* NONE: it is not over */
    bool pending;                   /* results are to come of what was sent */
    struct err *err;
};

static void on_over(void *ctx, enum transaction_state outcome)
{
    struct quarantine_retry *r = ctx;
    r->outcome = outcome;
}

static void drop(void *ctx, const char *reason)
{
    struct quarantine_retry *r = ctx;
    err_set(r->err, "%s", reason);
    transaction_on_lost(&r->transaction);
}

static void send_sql(void *ctx, const char *sql)
{
    struct quarantine_retry *r = ctx;
    r->pending = PQsendQuery(r->conn, sql) == 1;
}

static void send_params(void *ctx, const char *sql, size_t n, const Oid *types, const struct buf *values)
{
    struct quarantine_retry *r = ctx;
    struct statement_params params;
    params_set(&params, values, n);
    r->pending = PQsendQueryParams(r->conn, sql, (int)n, types, params.data, params.lengths, params.formats, 1) == 1;
}

static void correlate(void *ctx, struct incident_set *set, struct batch *batch, const uint8_t *store)
{
    struct quarantine_retry *r = ctx;
    r->calls->correlate(r->ctx, set, batch, store);
}

static void send_copy(struct quarantine_retry *r)
{
    struct str chunk;
    bool sent = true;
    while (transaction_on_chunk(&r->transaction, &chunk))
        sent = sent && PQputCopyData(r->conn, chunk.p, (int)chunk.len) == 1;
    PQputCopyEnd(r->conn, sent ? NULL : "interrupted");
}

/* Handles all results of what was sent, and its end. */
static void hand_over_results(struct quarantine_retry *r)
{
    struct fault fault;
    PGresult *result;
    bool failed = false;
    r->pending = false;
    while ((result = PQgetResult(r->conn)) != NULL) {
        ExecStatusType status = PQresultStatus(result);
        if (status == PGRES_FATAL_ERROR && !failed)
            fault_read(&fault, result);
        failed = failed || status == PGRES_FATAL_ERROR;
        if (status != PGRES_FATAL_ERROR)
            transaction_on_result(&r->transaction, result);
        PQclear(result);
        if (status == PGRES_COPY_IN)
            send_copy(r);
    }
    if (r->outcome == TRANSACTION_NONE && PQstatus(r->conn) == CONNECTION_OK)
        transaction_on_end(&r->transaction, failed ? &fault : NULL);
}

static void run_transaction(struct quarantine_retry *r, struct encoded_batch *encoded, int64_t quarantine_id)
{
    char guard[100], release[150], text[IDENTITY_TEXT_SIZE];
    uint8_t identity[IDENTITY_BYTES];
    const struct alert *alert = &encoded->batch->rows[0].alert;
    identity_of(alert->source, alert->event_id, identity);
    snprintf(guard, sizeof(guard), "select from mobeye.quarantine where id = %" PRId64 " for update", quarantine_id);
    snprintf(release, sizeof(release), "select mobeye.release_quarantined(%" PRId64 ", '%s')", quarantine_id,
             identity_text(identity, text));
    r->transaction.before_commit = release;
    r->transaction.expect_duplicates = true; /* one row: claiming it costs no more than a COPY */
    r->transaction.without_filters = true;
    transaction_begin(&r->transaction, encoded, guard, NULL);
    while (r->pending)
        hand_over_results(r);
    if (r->outcome == TRANSACTION_NONE) {
        err_set(r->err, "%s", PQerrorMessage(r->conn));
        transaction_on_lost(&r->transaction);
    }
    /* The next alert uses the same connection: nothing left of this one may be committed with it. */
    if (PQtransactionStatus(r->conn) != PQTRANS_IDLE)
        PQclear(PQexec(r->conn, "rollback"));
}

static void execute(PGconn *conn, const char *sql, size_t n, const Oid *types, const struct buf *values)
{
    struct statement_params params;
    params_set(&params, values, n);
    PQclear(PQexecParams(conn, sql, (int)n, types, params.data, params.lengths, params.formats, 1));
}

/* Verification and hints, as after a batch: nothing is lost if they fail. */
static void run_post_commit(struct quarantine_retry *r, struct encoded_batch *encoded)
{
    struct post_commit_queue queue = {0};
    struct buf hints[POST_COMMIT_ANNOUNCE_PARAMS] = {0}, raises[POST_COMMIT_VERIFY_PARAMS] = {0};
    post_commit_queue_widen(&queue, r->calls->verifies, r->calls->verify_radius_m);
    post_commit_queue_batch(&queue, encoded->batch, encoded_batch_rows_to_store(encoded), &r->transaction.incidents, 0);
    if (queue.n_hints > 0) {
        post_commit_queue_encode_hints(&queue, hints);
        execute(r->conn, post_commit_announce_sql, POST_COMMIT_ANNOUNCE_PARAMS, post_commit_announce_types, hints);
    }
    if (queue.n_raises > 0) {
        post_commit_queue_encode_raises(&queue, raises);
        execute(r->conn, post_commit_verify_sql, POST_COMMIT_VERIFY_PARAMS, post_commit_verify_types, raises);
    }
    params_free(hints, POST_COMMIT_ANNOUNCE_PARAMS);
    params_free(raises, POST_COMMIT_VERIFY_PARAMS);
    post_commit_queue_free(&queue);
}

static int set_fault(const struct fault *fault, struct err *err)
{
    return fault->sqlstate[0] ? err_set(err, "%s (SQLSTATE %s)", fault->text, fault->sqlstate)
                              : err_set(err, "%s", fault->text);
}

static int not_in_quarantine(int64_t quarantine_id, struct err *err)
{
    return err_set(err, "%" PRId64 " is not in quarantine", quarantine_id);
}

static int result_of(struct quarantine_retry *r, struct encoded_batch *encoded, int64_t quarantine_id)
{
    switch (r->outcome) {
    case TRANSACTION_COMMITTED:
        if (encoded_batch_count(encoded, ROW_STORE) == 0)
            return QUARANTINE_RETRY_DUPLICATE;
        run_post_commit(r, encoded);
        return QUARANTINE_RETRY_STORED;
    case TRANSACTION_REFUSED:
        set_fault(&r->transaction.fault, r->err);
        return QUARANTINE_RETRY_REFUSED;
    case TRANSACTION_RETRY_LATER:
        return set_fault(&r->transaction.fault, r->err);
    case TRANSACTION_POSITION_MOVED:
        return not_in_quarantine(quarantine_id, r->err);
    default:
        return -1;
    }
}

static int unpack(const PGresult *row, struct batch *batch, struct err *err)
{
    struct batch_row *one = &batch->rows[0];
    *one = (struct batch_row){.record = column_text(row, 0, 0)};
    if (record_unpack(one->record, &one->alert, err) < 0) {
        err_prefix(err, "its record cannot be read");
        return -1;
    }
    one->alert.seq = column_int8(row, 0, 1);
    one->alert.incident = NO_INCIDENT;
    batch->n = 1;
    return 0;
}

static bool set_limits(PGconn *conn, struct err *err)
{
    struct fault fault;
    PGresult *result = PQexec(conn, SESSION_LIMITS);
    bool made = PQresultStatus(result) == PGRES_COMMAND_OK;
    if (!made) {
        fault_read(&fault, result);
        set_fault(&fault, err);
    }
    PQclear(result);
    return made;
}

/* The row in quarantine, or NULL with err set. */
static PGresult *read_row(PGconn *conn, int64_t quarantine_id, struct err *err)
{
    char text[24];
    const char *values[] = {text};
    snprintf(text, sizeof(text), "%" PRId64, quarantine_id);
    PGresult *row = PQexecParams(
        conn, "select record, journal_seq, coalesce(instance, '') from mobeye.quarantine where id = $1::bigint", 1,
        NULL, values, NULL, NULL, 1);
    if (PQresultStatus(row) == PGRES_TUPLES_OK && PQntuples(row) == 1)
        return row;
    struct fault fault;
    if (PQresultStatus(row) == PGRES_TUPLES_OK) {
        not_in_quarantine(quarantine_id, err);
    } else {
        fault_read(&fault, row);
        set_fault(&fault, err);
    }
    PQclear(row);
    return NULL;
}

static int retry_row(struct quarantine_retry *r, const PGresult *row, int64_t quarantine_id)
{
    struct batch *batch = batch_new(1);
    struct encoded_batch encoded = {0};
    int rc = unpack(row, batch, r->err);
    if (rc == 0) {
        r->calls->enrich(r->ctx, batch);
        encoded_batch_begin(&encoded, batch, PQgetvalue(row, 0, 2), r->calls->rules);
        encoded_batch_step(&encoded, SIZE_MAX);
        run_transaction(r, &encoded, quarantine_id);
        rc = result_of(r, &encoded, quarantine_id);
    }
    encoded_batch_free(&encoded);
    batch_free(&batch);
    return rc;
}

int quarantine_retry(PGconn *conn, int64_t quarantine_id, const struct quarantine_retry_calls *calls, void *ctx,
                     struct err *err)
{
    static const struct transaction_calls transaction_calls = {
        .send = send_sql, .send_params = send_params, .drop = drop, .correlate = correlate, .on_over = on_over};
    struct quarantine_retry r = {.conn = conn, .calls = calls, .ctx = ctx, .err = err};
    PGresult *row = set_limits(conn, err) ? read_row(conn, quarantine_id, err) : NULL;
    if (!row)
        return -1;
    transaction_init(&r.transaction, &transaction_calls, &r);
    int rc = retry_row(&r, row, quarantine_id);
    transaction_free(&r.transaction);
    PQclear(row);
    return rc;
}
