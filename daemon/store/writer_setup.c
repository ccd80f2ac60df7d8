/* From a connection to the journal's position in the database. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "store/writer_parts.h"

#define WAIT_LEAST_US CLOCK_SECOND
#define WAIT_MOST_US  (30 * CLOCK_SECOND)

/* Statements may take as long as they do; waiting for a lock may not: who holds it may be hung himself. */
void writer_prepare(struct writer *w)
{
    writer_set_state(w, WRITER_PREPARING, "connected");
    writer_query(w, "set client_min_messages = warning; set timezone = 'UTC'; set statement_timeout = 0; "
                    "set lock_timeout = '30s'; set idle_in_transaction_session_timeout = 0; listen mobeye_journal; "
                    "select current_setting('synchronous_commit')");
}

void writer_prepare_result(struct writer *w, PGresult *result)
{
    (void)w;
    if (PQresultStatus(result) == PGRES_TUPLES_OK && strcmp(PQgetvalue(result, 0, 0), "off") == 0)
        log_warning(WRITER_SUBJECT, "synchronous_commit is off: what is stored may be lost in a crash of the server");
}

void writer_prepared(struct writer *w)
{
    writer_check(w);
}

void writer_check(struct writer *w)
{
    w->schema = -1;
    writer_set_state(w, WRITER_CHECKING, "which schema version it has");
    writer_query(w, "select max(version) from mobeye.schema_version");
}

void writer_check_result(struct writer *w, PGresult *result)
{
    if (PQntuples(result) == 1 && !PQgetisnull(result, 0, 0))
        w->schema = atoi(PQgetvalue(result, 0, 0));
}

void writer_wait(struct writer *w, const char *reason)
{
    int64_t wait_us = pgconn_backoff_us(WAIT_LEAST_US, WAIT_MOST_US, w->retries++);
    log_limited(&w->schema_complaint, loop_mono_us(w->loop), LOG_LEVEL_ERROR, WRITER_SUBJECT,
                "%s; alerts stay in the journal", reason);
    writer_tell_up(w, false);
    writer_forget(w);
    writer_set_state(w, WRITER_WAITING, reason);
    loop_arm(&w->timer, WAIT_LEAST_US + wait_us);
}

static void premake_partitions(struct writer *w)
{
    char sql[300];
    int64_t keep_us[CLASS_COUNT];
    for (size_t i = 0; i < CLASS_COUNT; i++)
        keep_us[i] = w->keep_us[i] > 0 ? w->keep_us[i] : 31 * CLOCK_DAY;
    snprintf(sql, sizeof(sql),
             "select (extract(epoch from mobeye.premake_partitions(camera => interval '%" PRId64
             " microseconds', alarm => interval '%" PRId64 " microseconds', service => interval '%" PRId64
             " microseconds')) * 1000000)::bigint",
             keep_us[CLASS_CAMERA], keep_us[CLASS_ALARM], keep_us[CLASS_SERVICE]);
    writer_query(w, sql);
}

void writer_checked(struct writer *w)
{
    char reason[200];
    if (w->schema == WRITER_SCHEMA_VERSION) {
        log_recover(&w->schema_complaint, WRITER_SUBJECT, "the schema can be used now");
        w->upkeep_due = false;
        loop_arm(&w->minute, CLOCK_MINUTE);
        writer_set_state(w, WRITER_UPKEEP, "partitions are premade");
        premake_partitions(w);
        return;
    }
    if (w->schema < 0)
        snprintf(reason, sizeof(reason), "the database has no schema: run mobeyectl migrate");
    else if (w->schema < WRITER_SCHEMA_VERSION)
        snprintf(reason, sizeof(reason),
                 "the database has schema version %d, older than this program's %d: "
                 "run mobeyectl migrate",
                 w->schema, WRITER_SCHEMA_VERSION);
    else
        snprintf(reason, sizeof(reason),
                 "the database has schema version %d, newer than this program's %d: "
                 "install the mobeyed that belongs to it",
                 w->schema, WRITER_SCHEMA_VERSION);
    writer_wait(w, reason);
}

void writer_upkeep_result(struct writer *w, PGresult *result)
{
    log_recover(&w->upkeep_complaint, WRITER_SUBJECT, "partitions are premade again");
    if (PQntuples(result) == 1 && !PQgetisnull(result, 0, 0))
        w->partitions_until_us = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
}

/* After a failure as well: a partition that is missing is made when an alert needs it. */
void writer_upkeep_over(struct writer *w)
{
    if (!w->up) {
        writer_read_position(w);
        return;
    }
    writer_set_state(w, WRITER_IDLE, "maintenance is done");
    writer_next(w);
}

void writer_read_position(struct writer *w)
{
    char journal[IDENTITY_TEXT_SIZE], sql[400];
    w->asked_position = false;
    w->known = false;
    w->position = 0;
    w->checksum = 0;
    snprintf(sql, sizeof(sql),
             "select r.value, a.value, p.position, p.checksum from mobeye.counter r join mobeye.counter a "
             "on a.name = 'areas' left join mobeye.journal_position p on p.journal = '%s' where r.name = 'registry'",
             identity_text(w->journal, journal));
    writer_set_state(w, WRITER_POSITION, "how far the journal is stored");
    writer_query(w, sql);
}

static uint64_t number(PGresult *result, int column)
{
    return (uint64_t)strtoll(PQgetvalue(result, 0, column), NULL, 10);
}

void writer_position_result(struct writer *w, PGresult *result)
{
    if (PQntuples(result) != 1)
        return;
    w->registry_version = number(result, 0);
    w->areas_version = number(result, 1);
    w->known = !PQgetisnull(result, 0, 2);
    w->position = number(result, 2);
    w->checksum = number(result, 3);
}

/* The batch that comes next was made from an older registry, or older areas. */
static void tell_stale(struct writer *w)
{
    const struct batch *batch = w->n > 0 ? writer_batch(w)->batch : NULL;
    bool stale = batch && !batch->settled &&
                 (batch->registry_version != w->registry_version || batch->areas_version != w->areas_version);
    writer_forget(w);
    if (!stale)
        return;
    w->counts.stale++;
    w->calls.stale(w->ctx, w->registry_version, w->areas_version);
}

void writer_position_over(struct writer *w)
{
    struct writer_position position = {w->known, w->position, w->checksum};
    w->retries = 0;
    w->expect_duplicates = false;
    tell_stale(w);
    if (w->known && w->unsure.last_seq > 0 && w->unsure.last_seq == w->position && w->unsure_checksum == w->checksum)
        w->calls.stored(w->ctx, &w->unsure);
    w->unsure.last_seq = 0;
    uint64_t after = w->calls.position(w->ctx, position);
    if (w->asked_position) { /* for the journal's new UUID */
        writer_read_position(w);
        return;
    }
    log_debug(WRITER_SUBJECT, "the journal is stored up to %" PRIu64 ", the next batch follows on %" PRIu64,
              w->position, after);
    w->submitted_seq = after;
    writer_set_state(w, WRITER_IDLE, "the position is known");
    writer_tell_up(w, true);
    event_active(&w->kick, 0, 0);
    if (writer_wants(w))
        w->calls.ready(w->ctx);
}
