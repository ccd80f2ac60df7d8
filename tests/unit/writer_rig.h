/*
 * For the tests of the writer: a database for each test, an owner that feeds it invented alerts, and waiting for
 * conditions. Needs MOBEYE_TEST_CONNINFO (tests/with-postgres --migrate); a test without it is skipped.
 */
#ifndef MOBEYE_TESTS_WRITER_RIG_H
#define MOBEYE_TESTS_WRITER_RIG_H

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <event2/event_struct.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "enrich/correlate.h"
#include "enrich/incident_key.h"
#include "model/record.h"
#include "store/writer.h"

/* 2026-11-23T21:04:11Z */
#define RIG_TIME_US   (INT64_C(1795467851) * CLOCK_SECOND)
#define RIG_WAIT_US   (90 * CLOCK_SECOND)
#define RIG_BATCHES   3
#define RIG_ROW_BYTES 4096

struct rig {
    struct loop *loop;
    struct event tick; /* so that a turn of the loop ends */
    char name[64];     /* of the database */
    char conninfo[512], admin_conninfo[512];
    PGconn *admin;
};

/* What the pipeline is in the daemon. */
struct owner {
    struct rig *rig;
    struct writer *writer;
    uint8_t journal[16];
    const char *tag;      /* in the identities */
    const char *instance; /* NULL: amersfoort-1 */
    uint64_t total, next;
    size_t batch_rows;
    uint64_t (*event)(uint64_t seq);                     /* which event a record is about; NULL: its own */
    void (*change)(struct batch_row *row, uint64_t seq); /* makes the alert another; NULL: as it is */
    uint64_t committed, duplicate, quarantined, conflicts, stored_seq;
    unsigned positions, ups, downs, folds, stales;
    uint64_t registry_version, areas_version; /* that batches are said to be made with */
    bool settled;                             /* and which is good enough */
    struct writer_position position;          /* the last that was told */
    const uint8_t *next_journal;              /* to be taken when the position is told */
    bool up;
    struct batch *spare[RIG_BATCHES];
    size_t n_spare;
};

/* Waits for the condition, and fails if it does not occur. */
#define RIG_WAIT(rig, condition)                                                                                       \
    do {                                                                                                               \
        int64_t deadline_us_ = clock_mono_us() + RIG_WAIT_US;                                                          \
        while (!(condition)) {                                                                                         \
            cr_assert(clock_mono_us() < deadline_us_, "this did not come: %s", #condition);                            \
            loop_turn((rig)->loop);                                                                                    \
        }                                                                                                              \
    } while (0)

static inline void rig_tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what, (void)arg;
}

/* Runs SQL as a superuser in the test's database. */
static inline void rig_sql(struct rig *rig, const char *sql)
{
    PGresult *result = PQexec(rig->admin, sql);
    ExecStatusType status = PQresultStatus(result);
    cr_assert(status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK, "%s: %s", sql, PQerrorMessage(rig->admin));
    PQclear(result);
}

/* The first value of the first row as text, "" for none. Free it. */
static inline char *rig_text(struct rig *rig, const char *sql)
{
    PGresult *result = PQexec(rig->admin, sql);
    cr_assert(PQresultStatus(result) == PGRES_TUPLES_OK, "%s: %s", sql, PQerrorMessage(rig->admin));
    char *text = mem_strdup(PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    return text;
}

static inline long long rig_number(struct rig *rig, const char *sql)
{
    char *text = rig_text(rig, sql);
    long long number = atoll(text);
    free(text);
    return number;
}

/* Whether the writer of that instance waits for a lock. Other locks are autovacuum's, which comes and goes. */
static inline bool rig_waits(struct rig *rig, const char *instance)
{
    char sql[200];
    snprintf(sql, sizeof(sql),
             "select count(*) from pg_stat_activity where application_name = 'mobeyed %s' and wait_event_type = 'Lock'",
             instance);
    return rig_number(rig, sql) == 1;
}

#define RIG_EXPECT(rig, sql, expected)                                                                                 \
    do {                                                                                                               \
        char *text_ = rig_text(rig, sql);                                                                              \
        cr_expect_str_eq(text_, expected, "%s: %s, not %s", sql, text_, expected);                                     \
        free(text_);                                                                                                   \
    } while (0)

static inline void rig_admin(struct rig *rig, const char *conninfo)
{
    rig->admin = PQconnectdb(conninfo);
    cr_assert(PQstatus(rig->admin) == CONNECTION_OK, "%s", PQerrorMessage(rig->admin));
    rig_sql(rig, "set client_min_messages = warning; set timezone = 'UTC'");
}

/* To the server, but not to the database that is copied. */
static inline void rig_admin_server(struct rig *rig)
{
    char conninfo[1000];
    snprintf(conninfo, sizeof(conninfo), "%s dbname=postgres", getenv("MOBEYE_TEST_CONNINFO"));
    rig_admin(rig, conninfo);
}

/* A copy of the migrated database, which takes a third of the time of a migration. The daemon's own role uses it. */
static inline void rig_open(struct rig *rig)
{
    static unsigned count;
    const char *conninfo = getenv("MOBEYE_TEST_CONNINFO");
    char sql[200];
    struct err err;
    if (!conninfo)
        cr_skip_test("needs a PostgreSQL: tests/with-postgres --migrate sets MOBEYE_TEST_CONNINFO");
    *rig = (struct rig){0};
    log_open(getenv("MOBEYE_TEST_DEBUG") ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
    snprintf(rig->name, sizeof(rig->name), "writer_%d_%u", (int)getpid(), count++);
    snprintf(rig->admin_conninfo, sizeof(rig->admin_conninfo), "%s dbname=%s", conninfo, rig->name);
    snprintf(rig->conninfo, sizeof(rig->conninfo), "%s dbname=%s user=mobeye_ingest", conninfo, rig->name);
    rig->loop = loop_new(&err);
    cr_assert_not_null(rig->loop);
    event_assign(&rig->tick, loop_base(rig->loop), -1, EV_PERSIST, rig_tick, NULL);
    event_add(&rig->tick, &(struct timeval){0, 20000});
    rig_admin_server(rig);
    snprintf(sql, sizeof(sql), "create database %s template mobeye strategy file_copy", rig->name);
    rig_sql(rig, sql);
    PQfinish(rig->admin);
    rig_admin(rig, rig->admin_conninfo);
}

/* Safe if it was never opened, as in a skipped test. */
static inline void rig_close(struct rig *rig)
{
    char sql[200];
    if (!rig->loop)
        return;
    PQfinish(rig->admin);
    rig_admin_server(rig);
    snprintf(sql, sizeof(sql), "drop database %s with (force)", rig->name);
    rig_sql(rig, sql);
    PQfinish(rig->admin);
    event_del(&rig->tick);
    loop_free(&rig->loop);
}

/* A suite whose tests have each a `rig` of their own. */
#define RIG_SUITE(suite)                                                                                               \
    static struct rig rig;                                                                                             \
    static void setup(void)                                                                                            \
    {                                                                                                                  \
        rig_open(&rig);                                                                                                \
    }                                                                                                                  \
    static void teardown(void)                                                                                         \
    {                                                                                                                  \
        rig_close(&rig);                                                                                               \
    }                                                                                                                  \
    TestSuite(suite, .init = setup, .fini = teardown, .timeout = 300)

static inline struct str rig_printf(struct buf *arena, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static inline struct str rig_printf(struct buf *arena, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *at = buf_reserve(arena, 0);
    int len = vsnprintf(at, arena->cap - arena->len, fmt, args);
    va_end(args);
    cr_assert((size_t)len < arena->cap - arena->len);
    arena->len += (size_t)len;
    return (struct str){at, (size_t)len};
}

static const uint8_t rig_rules[16] = "rules of the rig";

static inline void owner_row(struct owner *owner, struct batch *batch, uint64_t seq)
{
    uint64_t event = owner->event ? owner->event(seq) : seq;
    struct buf *arena = &batch->bytes;
    struct batch_row *row = &batch->rows[batch->n++];
    *row = (struct batch_row){0};
    row->alert = (struct alert){
        .format = ALERT_CLOUDEVENTS,
        .source = rig_printf(arena, "/mobeye/gateway-%s", owner->tag),
        .event_id = rig_printf(arena, "%06" PRIu64, event),
        .device = rig_printf(arena, "NL-0307-%05" PRIu64, event % 20000),
        .kind = event % 10 == 0  ? KIND_KEEPALIVE
                : event % 5 == 0 ? KIND_CAMERA
                                 : KIND_MOTION,
        .kind_word = STR("motion"),
        .input = 1,
        .occurred_us = RIG_TIME_US + (int64_t)event,
        .skew_us = -250000,
        .received_us = RIG_TIME_US + CLOCK_SECOND,
        .endpoint = STR("cameras"),
        .accuracy_m = NAN,
        .place.accuracy_m = NAN,
        .fix_us = ALERT_NO_TIME,
        .battery_pct = ALERT_NO_INT,
        .signal_dbm = ALERT_NO_INT,
        .camera.score = NAN,
        .seq = seq,
        .checksum = seq * 0x9e3779b97f4a7c15,
    };
    row->alert.payload =
        rig_printf(arena,
                   "{\"specversion\":\"1.0\",\"id\":\"%06" PRIu64
                   "\",\"source\":\"/mobeye/gateway-%s\",\"type\":\"mobeye.alert.v1\","
                   "\"time\":\"2026-11-23T21:04:11.250Z\",\"data\":{\"device\":\"NL-0307-%05" PRIu64
                   "\",\"kind\":\"motion\",\"phase\":\"raise\",\"input\":1,\"battery_pct\":88,\"signal_dbm\":-91,"
                   "\"text\":\"Beweging hal\",\"drill\":false}}",
                   event, owner->tag, event % 20000);
    row->alert.incident = NO_INCIDENT;
    if (owner->change)
        owner->change(row, seq);
    incident_key_condition(NULL, &row->alert);
    row->record = row->alert.payload;
}

static inline void owner_feed(struct owner *owner)
{
    while (owner->n_spare > 0 && owner->next <= owner->total && writer_wants(owner->writer)) {
        struct batch *batch = owner->spare[--owner->n_spare];
        batch_clear(batch);
        buf_reserve(&batch->bytes, owner->batch_rows * RIG_ROW_BYTES);
        batch->first_seq = owner->next;
        batch->registry_version = owner->registry_version;
        batch->areas_version = owner->areas_version;
        batch->versions_waived = owner->settled;
        while (batch->n < owner->batch_rows && owner->next <= owner->total)
            owner_row(owner, batch, owner->next++);
        batch->last_seq = owner->next - 1;
        batch->last_checksum = batch->last_seq * 0x9e3779b97f4a7c15;
        writer_submit(owner->writer, batch);
    }
}

static inline uint64_t owner_position(void *ctx, struct writer_position position)
{
    struct owner *owner = ctx;
    owner->positions++;
    owner->position = position;
    if (owner->next_journal) {
        memcpy(owner->journal, owner->next_journal, 16);
        writer_set_journal(owner->writer, owner->next_journal);
        owner->next_journal = NULL;
        return 0;
    }
    owner->stored_seq = position.position;
    owner->next = position.position + 1;
    return position.position;
}

static inline void owner_ready(void *ctx)
{
    owner_feed(ctx);
}

static inline void owner_stored(void *ctx, const struct writer_stored *stored)
{
    struct owner *owner = ctx;
    cr_expect_gt(stored->last_seq, owner->stored_seq, "parts come in order");
    cr_expect_eq(stored->committed + stored->duplicate + stored->quarantined, stored->last_seq - owner->stored_seq);
    owner->stored_seq = stored->last_seq;
    owner->committed += stored->committed;
    owner->duplicate += stored->duplicate;
    owner->quarantined += stored->quarantined;
    owner->conflicts += stored->conflicts;
}

static inline void owner_fold(void *ctx, struct incident_set *set, struct batch *batch, const uint8_t *store)
{
    struct owner *owner = ctx;
    owner->folds++;
    correlate(set, batch, store);
}

static inline void owner_stale(void *ctx, uint64_t registry_version, uint64_t areas_version)
{
    struct owner *owner = ctx;
    owner->stales++;
    owner->registry_version = registry_version;
    owner->areas_version = areas_version;
}

static inline void owner_done(void *ctx, struct batch *batch, const uint8_t *store)
{
    (void)store;
    struct owner *owner = ctx;
    cr_assert_lt(owner->n_spare, RIG_BATCHES, "a batch came back twice");
    owner->spare[owner->n_spare++] = batch;
    owner_feed(owner);
}

static inline void owner_up(void *ctx, bool up)
{
    struct owner *owner = ctx;
    cr_expect_neq(up, owner->up, "up and down take turns");
    owner->up = up;
    if (up)
        owner->ups++;
    else
        owner->downs++;
}

/* Fields that are set before it stay: total, batch_rows, event, change. */
static inline void owner_start(struct owner *owner, struct rig *rig, const char *tag, const char *conninfo)
{
    static const struct writer_calls calls = {owner_position, owner_ready, owner_fold, owner_stale,
                                              owner_stored,   owner_done,  owner_up};
    owner->rig = rig;
    owner->tag = tag;
    owner->next = 1;
    if (owner->batch_rows == 0)
        owner->batch_rows = 100;
    if (owner->journal[0] == 0)
        memcpy(owner->journal, "\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff\x01", 16);
    for (owner->n_spare = 0; owner->n_spare < RIG_BATCHES; owner->n_spare++)
        owner->spare[owner->n_spare] = batch_new(owner->batch_rows);
    struct writer_options options = {.conninfo = conninfo,
                                     .instance = owner->instance ? owner->instance : "amersfoort-1",
                                     .journal_uuid = owner->journal,
                                     .rules = rig_rules,
                                     .rules_text = "rules: []",
                                     .verifies = true,
                                     .verify_radius_m = 150};
    owner->writer = writer_new(rig->loop, &options, &calls, owner);
    writer_start(owner->writer);
}

static inline void rig_reconfigure(struct owner *owner, const char *conninfo, const char *instance)
{
    struct writer_options options = {.conninfo = conninfo,
                                     .instance = instance,
                                     .rules = rig_rules,
                                     .rules_text = "rules: []",
                                     .verifies = true,
                                     .verify_radius_m = 150};
    writer_reconfigure(owner->writer, &options);
}

static inline void owner_stop(struct owner *owner)
{
    writer_free(&owner->writer);
    cr_expect_eq(owner->n_spare, RIG_BATCHES, "every batch comes back");
    for (size_t i = 0; i < owner->n_spare; i++)
        batch_free(&owner->spare[i]);
}

/* More alerts are there to be stored. */
static inline void owner_more(struct owner *owner, uint64_t n)
{
    owner->total += n;
    owner_feed(owner);
}

#define OWNER_STORED(owner) ((owner)->stored_seq == (owner)->total && writer_idle((owner)->writer))

#endif
