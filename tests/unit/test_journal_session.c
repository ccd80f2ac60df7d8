/* The writer's session with a database that is played: what it makes of answers of another shape than expected. In
 * place of pgconn.c, so that nothing connects. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/journal_session.h"
#include "store/pgconn.h"

TestSuite(journal_session, .timeout = 60);

/* ---- the connection ---- */

struct pgconn {
    struct pgconn_calls calls;
    void *ctx;
    char sql[1000]; /* sent last */
    unsigned sent, configured;
    bool querying, dropped;
};

static struct pgconn conn;

struct pgconn *pgconn_new(struct loop *loop, const struct pgconn_calls *calls, void *ctx)
{
    (void)loop;
    conn = (struct pgconn){.calls = *calls, .ctx = ctx};
    return &conn;
}

void pgconn_set_log_texts(struct pgconn *c, const char *subject, const char *meanwhile)
{
    (void)c, (void)subject, (void)meanwhile;
}

void pgconn_suppress_log(struct pgconn *c, bool suppress)
{
    (void)c, (void)suppress;
}

void pgconn_free(struct pgconn **c)
{
    *c = NULL;
}

void pgconn_start(struct pgconn *c)
{
    (void)c;
}

void pgconn_configure(struct pgconn *c, const char *conninfo, const char *application_name)
{
    (void)conninfo, (void)application_name;
    c->configured++;
    c->querying = false;
}

void pgconn_drop(struct pgconn *c, const char *why)
{
    c->dropped = true;
    c->querying = false;
    c->calls.on_down(c->ctx, why);
}

void pgconn_reset_backoff(struct pgconn *c)
{
    (void)c;
}

void pgconn_query(struct pgconn *c, const char *sql)
{
    cr_assert(!c->querying, "one at a time");
    snprintf(c->sql, sizeof(c->sql), "%s", sql);
    c->querying = true;
    c->sent++;
}

void pgconn_query_params(struct pgconn *c, const char *sql, size_t n, const Oid *types, const struct buf *values)
{
    (void)n, (void)types, (void)values;
    pgconn_query(c, sql);
}

void pgconn_query_rows(struct pgconn *c, const char *sql, size_t n, const Oid *types, const struct buf *values)
{
    pgconn_query_params(c, sql, n, types, values);
}

bool pgconn_querying(const struct pgconn *c)
{
    return c->querying;
}

PGconn *pgconn_pq(struct pgconn *c)
{
    (void)c;
    return NULL;
}

int64_t pgconn_backoff_us(int64_t least_us, int64_t most_us, unsigned round)
{
    (void)least_us, (void)most_us, (void)round;
    return 0;
}

/* ---- the server ---- */

enum { COLUMNS_MAX = 4 };

/* Rows of text; NULL: null. */
static void give_rows(int n, int columns, const char *const *values)
{
    PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    PGresAttDesc descriptions[COLUMNS_MAX];
    for (int i = 0; i < columns; i++)
        descriptions[i] = (PGresAttDesc){.name = (char *)"c", .typlen = -1, .atttypmod = -1};
    cr_assert(PQsetResultAttrs(result, columns, descriptions));
    for (int i = 0; i < n * columns; i++)
        cr_assert(
            PQsetvalue(result, i / columns, i % columns, (char *)values[i], values[i] ? (int)strlen(values[i]) : -1));
    conn.calls.on_result(conn.ctx, result);
    PQclear(result);
}

static void end_query(void)
{
    conn.querying = false;
    conn.calls.on_result(conn.ctx, NULL);
}

static void answer(int n, int columns, const char *const *values)
{
    give_rows(n, columns, values);
    end_query();
}

/* Without a SQLSTATE, as from a connection that breaks. */
static void fail_query(void)
{
    PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_FATAL_ERROR);
    conn.calls.on_result(conn.ctx, result);
    PQclear(result);
    end_query();
}

/* ---- its owner ---- */

static struct {
    struct journal_session *session;
    struct loop *loop;
    unsigned positions, readies, losses;
    char reason[300];
    bool runs_due;
} owner;

static void on_position(void *ctx)
{
    (void)ctx;
    owner.positions++;
}

static void on_ready(void *ctx)
{
    (void)ctx;
    owner.readies++;
}

static void on_lost(void *ctx, const char *reason)
{
    (void)ctx;
    owner.losses++;
    snprintf(owner.reason, sizeof(owner.reason), "%s", reason);
}

static void on_due(void *ctx)
{
    (void)ctx;
    if (owner.runs_due)
        journal_session_run_due(owner.session);
}

static const uint8_t journal[16] = "of the journal!";

/* Connected, and its settings are applied: it asks for the version of the schema. */
static void connect_session(void)
{
    static const struct journal_session_calls calls = {
        .on_position = on_position, .on_ready = on_ready, .on_lost = on_lost, .on_due = on_due};
    struct err err;
    struct writer_options options = {.conninfo = "host=db", .instance = "test", .journal_uuid = journal};
    log_open(LOG_LEVEL_ERROR);
    memset(&owner, 0, sizeof(owner));
    owner.loop = loop_new(&err);
    owner.session = journal_session_new(owner.loop, &options, &calls, NULL);
    journal_session_start(owner.session);
    conn.calls.on_up(conn.ctx);
    end_query();
    cr_assert_not_null(strstr(conn.sql, "schema_version"), "%s", conn.sql);
}

static void close_session(void)
{
    journal_session_free(&owner.session);
    loop_free(&owner.loop);
}

static const char *version(int version)
{
    static char text[16];
    snprintf(text, sizeof(text), "%d", version);
    return text;
}

#define ROW(...) ((const char *[]){__VA_ARGS__})

/* Up to the question how far the journal is stored. */
static void pass_schema(void)
{
    answer(1, 2, ROW(version(WRITER_SCHEMA_VERSION), "on"));
    cr_assert_not_null(strstr(conn.sql, "premake_partitions"), "%s", conn.sql);
    answer(1, 1, ROW("1795467851000000"));
    cr_assert_not_null(strstr(conn.sql, "journal_position"), "%s", conn.sql);
}

static void assert_waits(const char *why)
{
    cr_expect_not(journal_session_ready(owner.session));
    cr_expect_not(conn.querying, "it waits before it asks again");
    cr_expect_eq(owner.positions + owner.readies, 0);
    cr_expect_eq(owner.losses, 1);
    cr_expect_not_null(strstr(owner.reason, why), "%s", owner.reason);
    cr_expect_not_null(strstr(journal_session_text(owner.session), why), "%s", journal_session_text(owner.session));
}

Test(journal_session, a_known_position_makes_it_ready)
{
    connect_session();
    pass_schema();
    answer(1, 4, ROW("3", "4", "17", "-5"));
    cr_expect(journal_session_ready(owner.session) && journal_session_position_holds(owner.session));
    cr_expect(owner.positions == 1 && owner.readies == 1);
    const struct journal_position *position = journal_session_position(owner.session);
    cr_expect(position->stored.known && position->stored.position == 17 && position->stored.checksum == (uint64_t)-5);
    cr_expect(position->registry_version == 3 && position->areas_version == 4);
    cr_expect_eq(journal_session_partitions_until_us(owner.session), 1795467851000000);
    close_session();
}

Test(journal_session, a_schema_of_another_version_or_none_is_waited_for)
{
    static const char *const why[] = {"older than this program's", "newer than this program's", "has no schema",
                                      "has no schema"};
    for (int i = 0; i < 4; i++) {
        connect_session();
        if (i < 2)
            answer(1, 2, ROW(version(WRITER_SCHEMA_VERSION + (i == 0 ? -1 : 1)), "on"));
        else if (i == 2)
            answer(1, 2, ROW(NULL, "on"));
        else
            answer(0, 2, NULL);
        assert_waits(why[i]);
        close_session();
    }
}

/* Without its row a journal would pass for one that the database does not know, and be stored again, without end. */
Test(journal_session, a_position_that_is_not_answered_is_not_taken_for_unknown)
{
    connect_session();
    pass_schema();
    answer(0, 4, NULL);
    assert_waits("mobeye.counter");
    close_session();

    connect_session();
    pass_schema();
    answer(1, 4, ROW("3", "4", NULL, NULL));
    cr_expect(journal_session_ready(owner.session));
    cr_expect_not(journal_session_position(owner.session)->stored.known, "of a new journal it is");
    close_session();
}

Test(journal_session, partitions_of_which_nothing_is_told_keep_nobody_waiting)
{
    for (int i = 0; i < 2; i++) {
        connect_session();
        answer(1, 2, ROW(version(WRITER_SCHEMA_VERSION), "off"));
        answer(i, 1, ROW(NULL));
        answer(1, 4, ROW("3", "4", "17", "-5"));
        cr_expect(journal_session_ready(owner.session));
        cr_expect_eq(journal_session_partitions_until_us(owner.session), 0);
        close_session();
    }
}

Test(journal_session, a_connection_that_breaks_within_a_question_is_dropped)
{
    for (int step = 0; step < 3; step++) {
        connect_session();
        if (step == 2)
            pass_schema();
        else if (step == 1)
            answer(1, 2, ROW(version(WRITER_SCHEMA_VERSION), "on"));
        fail_query();
        cr_expect(conn.dropped);
        cr_expect_not(journal_session_ready(owner.session));
        cr_expect_eq(owner.losses, 1);
        close_session();
    }
}

Test(journal_session, what_is_due_is_done_once_it_is_ready)
{
    char text[64];
    connect_session();
    owner.runs_due = true;
    pass_schema();
    journal_session_set_journal(owner.session, (const uint8_t *)"another journal");
    answer(1, 4, ROW("3", "4", "17", "-5"));
    cr_expect_eq(owner.readies, 0, "that was the position of the old one");
    cr_expect_not_null(strstr(conn.sql, "616e6f74-6865-7220-6a6f-75726e616c00"), "%s", conn.sql);
    answer(1, 4, ROW("3", "4", NULL, NULL));
    cr_expect_eq(owner.readies, 1);

    unsigned sent = conn.sent;
    conn.calls.on_notify(conn.ctx, "00000000-0000-0000-0000-000000000000");
    cr_expect_eq(conn.sent, sent, "of another journal");
    conn.calls.on_notify(conn.ctx, "616e6f74-6865-7220-6a6f-75726e616c00");
    cr_expect_eq(conn.sent, sent + 1, "its position was moved back");
    cr_expect_not(journal_session_position_holds(owner.session));
    answer(1, 4, ROW("3", "4", "2", "9"));
    cr_expect_eq(journal_session_position(owner.session)->stored.position, 2);

    struct writer_options options = {.conninfo = "host=other", .instance = "test", .journal_uuid = journal};
    journal_session_reconfigure(owner.session, &options);
    cr_expect_eq(conn.configured, 2);
    snprintf(text, sizeof(text), "%s", journal_session_text(owner.session));
    cr_expect_not_null(strstr(text, "configuration changed"), "%s", text);
    close_session();
}

Test(journal_session, a_server_that_was_changed_and_changed_back_is_kept)
{
    struct writer_options options = {.conninfo = "host=other", .instance = "test", .journal_uuid = journal};
    connect_session();
    journal_session_reconfigure(owner.session, &options); /* a question is on its way: later */
    cr_expect(journal_session_due(owner.session));
    options.conninfo = "host=db";
    journal_session_reconfigure(owner.session, &options);
    cr_expect_not(journal_session_due(owner.session));
    pass_schema();
    answer(1, 4, ROW("3", "4", "17", "-5"));
    cr_expect(journal_session_ready(owner.session));
    cr_expect_eq(conn.configured, 1);
    close_session();
    journal_session_free(&owner.session);
}
