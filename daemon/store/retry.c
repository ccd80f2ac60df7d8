#include "store/retry.h"

#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alert/record.h"
#include "base/clock.h"
#include "store/copyrow.h"
#include "store/identity.h"
#include "store/sqlstate.h"

/* What became of a statement. */
enum outcome { OUTCOME_DONE, OUTCOME_FAILED, OUTCOME_REFUSED, OUTCOME_NO_PARTITION };

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

static bool alert_from_row(const PGresult *row, struct alert *ret, struct err *err)
{
    struct str record = {PQgetvalue(row, 0, 0), (size_t)PQgetlength(row, 0, 0)};
    uint64_t seq = 0;
    if (record_unpack(record, ret, err) < 0) {
        err_prefix(err, "its record cannot be read");
        return false;
    }
    if (PQgetlength(row, 0, 1) == sizeof(seq))
        memcpy(&seq, PQgetvalue(row, 0, 1), sizeof(seq));
    ret->seq = be64toh(seq);
    return true;
}

/* Takes the row out; NULL with err set. record_unpack()'s slices point into it. */
static PGresult *take_out(PGconn *conn, int64_t id, struct err *err)
{
    char text[24];
    const char *values[] = {text};
    snprintf(text, sizeof(text), "%" PRId64, id);
    PGresult *row = PQexecParams(conn,
                                 "delete from mobeye.quarantine where id = $1::bigint "
                                 "returning record, journal_seq, coalesce(instance, '')",
                                 1, NULL, values, NULL, NULL, 1);
    if (PQresultStatus(row) != PGRES_TUPLES_OK) {
        judge(conn, row, err);
        return NULL;
    }
    if (PQntuples(row) == 0) {
        err_set(err, "there is no %" PRId64 " in quarantine", id);
        PQclear(row);
        return NULL;
    }
    return row;
}

static enum outcome claim(PGconn *conn, const struct alert *alert, bool *ret_new, struct err *err)
{
    uint8_t id[IDENTITY_BYTES];
    char text[IDENTITY_TEXT_SIZE];
    const char *values[] = {text};
    identity_of(alert->source, alert->event_id, id);
    identity_text(id, text);
    PGresult *result = PQexecParams(conn,
                                    "insert into mobeye.alert_identity (id, stored_on) values ($1::uuid, "
                                    "(now() at time zone 'utc')::date) on conflict do nothing",
                                    1, NULL, values, NULL, NULL, 0);
    *ret_new = strcmp(PQcmdTuples(result), "1") == 0;
    return judge(conn, result, err);
}

static enum outcome copy(PGconn *conn, const struct alert *alert, struct str instance, struct err *err)
{
    struct buf data = {0};
    PGresult *result = PQexec(conn, COPYROW_ALERT_SQL);
    if (PQresultStatus(result) != PGRES_COPY_IN)
        return judge(conn, result, err);
    PQclear(result);
    buf_append_str(&data, copyrow_header);
    copyrow_alert(&data, alert, instance, NULL);
    copyrow_incident(&data, 0);
    buf_append_str(&data, copyrow_trailer);
    bool sent = PQputCopyData(conn, data.data, (int)data.len) == 1 && PQputCopyEnd(conn, NULL) == 1;
    buf_free(&data);
    if (!sent) {
        err_set(err, "%s", PQerrorMessage(conn));
        return OUTCOME_FAILED;
    }
    enum outcome outcome = OUTCOME_DONE;
    while ((result = PQgetResult(conn)) != NULL) {
        enum outcome one = judge(conn, result, err);
        outcome = one == OUTCOME_DONE ? outcome : one;
    }
    return outcome;
}

static enum outcome store(PGconn *conn, const struct alert *alert, struct str instance, bool *ret_new, struct err *err)
{
    enum outcome outcome = claim(conn, alert, ret_new, err);
    return outcome == OUTCOME_DONE && *ret_new ? copy(conn, alert, instance, err) : outcome;
}

/* The transaction without its begin and end. Of ret the slices are dead afterwards. */
static enum outcome try_alert(PGconn *conn, int64_t id, void (*enrich)(void *ctx, struct alert *alert), void *ctx,
                              bool *ret_new, struct alert *ret, struct err *err)
{
    PGresult *row = take_out(conn, id, err);
    if (!row || !alert_from_row(row, ret, err)) {
        PQclear(row);
        return OUTCOME_FAILED;
    }
    if (enrich)
        enrich(ctx, ret);
    struct str instance = {PQgetvalue(row, 0, 2), (size_t)PQgetlength(row, 0, 2)};
    enum outcome outcome = store(conn, ret, instance, ret_new, err);
    PQclear(row);
    return outcome;
}

static enum outcome transaction(PGconn *conn, int64_t id, void (*enrich)(void *ctx, struct alert *alert), void *ctx,
                                bool *ret_new, struct alert *ret, struct err *err)
{
    if (run(conn, "begin isolation level read committed", err) != OUTCOME_DONE)
        return OUTCOME_FAILED;
    enum outcome outcome = try_alert(conn, id, enrich, ctx, ret_new, ret, err);
    if (outcome == OUTCOME_DONE)
        outcome = run(conn, "commit", err);
    else
        run(conn, "rollback", NULL);
    return outcome;
}

static enum outcome make_partition(PGconn *conn, const struct alert *alert, struct err *err)
{
    char sql[200];
    snprintf(sql, sizeof(sql),
             "select mobeye.make_partitions('%s', to_timestamp(%" PRId64 "), to_timestamp(%" PRId64 "))",
             alert_class_word(alert_class(alert->kind)), alert->occurred_us / CLOCK_SECOND,
             alert->occurred_us / CLOCK_SECOND + 1);
    return run(conn, sql, err);
}

int retry_quarantined(PGconn *conn, int64_t quarantine_id, void (*enrich)(void *ctx, struct alert *alert), void *ctx,
                      struct err *err)
{
    struct alert alert;
    bool new = false;
    enum outcome outcome = transaction(conn, quarantine_id, enrich, ctx, &new, &alert, err);
    if (outcome == OUTCOME_NO_PARTITION && make_partition(conn, &alert, err) == OUTCOME_DONE)
        outcome = transaction(conn, quarantine_id, enrich, ctx, &new, &alert, err);
    if (outcome == OUTCOME_FAILED)
        return -1;
    if (outcome != OUTCOME_DONE)
        return RETRY_REFUSED;
    return new ? RETRY_STORED : RETRY_DUPLICATE;
}
