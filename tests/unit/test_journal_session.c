/* The writer's session with a simulated database: how it handles results of an unexpected shape. In place of pgconn.c,
 * so that nothing connects. */
#include "played_connection.h"
#include "store/journal_session.h"

TestSuite(journal_session, .timeout = 60);

static struct {
    struct journal_session *session;
    struct loop *loop;
    unsigned positions, readies, losses, results, ends, failures;
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

static void on_result(void *ctx, PGresult *result)
{
    (void)ctx, (void)result;
    owner.results++;
}

static void on_end(void *ctx, const struct fault *fault)
{
    (void)ctx;
    owner.ends++;
    owner.failures += fault != NULL;
}

static const uint8_t journal[16] = "of the journal!";

/* Connected, and its settings are applied: it asks for the version of the schema. */
static void connect_session(void)
{
    static const struct journal_session_calls calls = {.on_position = on_position,
                                                       .on_ready = on_ready,
                                                       .on_lost = on_lost,
                                                       .on_due = on_due,
                                                       .on_result = on_result,
                                                       .on_end = on_end};
    struct writer_options options = {.conninfo = "host=db", .instance = "test", .journal_uuid = journal};
    cr_redirect_stderr();
    memset(&owner, 0, sizeof(owner));
    owner.loop = open_played_loop();
    owner.session = journal_session_new(owner.loop, &options, &calls, NULL);
    journal_session_start(owner.session);
    connect_played();
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

/* Up to the question how far the journal is stored. */
static void pass_schema(void)
{
    answer(1, 1, ROW(version(WRITER_SCHEMA_VERSION)));
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
    answer(1, 5, ROW("3", "4", "17", "-5", "1795467851000000"));
    cr_expect(journal_session_ready(owner.session) && journal_session_position_holds(owner.session));
    cr_expect(owner.positions == 1 && owner.readies == 1);
    const struct journal_position *position = journal_session_position(owner.session);
    cr_expect(position->stored.known && position->stored.position == 17 && position->stored.checksum == (uint64_t)-5);
    cr_expect_eq(position->verified_until_us, 1795467851000000);
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
            answer(1, 1, ROW(version(WRITER_SCHEMA_VERSION + (i == 0 ? -1 : 1))));
        else if (i == 2)
            answer(1, 2, ROW(NULL, "on"));
        else
            answer(0, 2, NULL);
        assert_waits(why[i]);
        close_session();
    }
}

/* Without its row a journal would be taken for one that the database does not know, and be stored again and again. */
Test(journal_session, a_position_that_is_not_answered_is_not_taken_for_unknown)
{
    connect_session();
    pass_schema();
    answer(0, 4, NULL);
    assert_waits("mobeye.counter");
    close_session();

    connect_session();
    pass_schema();
    answer(1, 5, ROW("3", "4", NULL, NULL, NULL));
    cr_expect(journal_session_ready(owner.session));
    cr_expect_not(journal_session_position(owner.session)->stored.known, "of a new journal it is");
    close_session();
}

Test(journal_session, partitions_of_which_nothing_is_told_keep_nobody_waiting)
{
    for (int i = 0; i < 2; i++) {
        connect_session();
        answer(1, 1, ROW(version(WRITER_SCHEMA_VERSION)));
        answer(i, 1, ROW(NULL));
        answer(1, 5, ROW("3", "4", "17", "-5", "1795467851000000"));
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
            answer(1, 1, ROW(version(WRITER_SCHEMA_VERSION)));
        fail_query(NULL);
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
    answer(1, 5, ROW("3", "4", "17", "-5", "1795467851000000"));
    cr_expect_eq(owner.readies, 0, "that was the position of the old one");
    cr_expect_not_null(strstr(conn.sql, "616e6f74-6865-7220-6a6f-75726e616c00"), "%s", conn.sql);
    answer(1, 5, ROW("3", "4", NULL, NULL, NULL));
    cr_expect_eq(owner.readies, 1);

    unsigned sent = conn.sent;
    conn.calls.on_notify(conn.ctx, "00000000-0000-0000-0000-000000000000");
    cr_expect_eq(conn.sent, sent, "of another journal");
    conn.calls.on_notify(conn.ctx, "616e6f74-6865-7220-6a6f-75726e616c00");
    cr_expect_eq(conn.sent, sent + 1, "its position was moved back");
    cr_expect_not(journal_session_position_holds(owner.session));
    answer(1, 5, ROW("3", "4", "2", "9", "1795467851000000"));
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
    journal_session_reconfigure(owner.session, &options); /* a query is in progress: later */
    cr_expect(journal_session_due(owner.session));
    options.conninfo = "host=db";
    journal_session_reconfigure(owner.session, &options);
    cr_expect_not(journal_session_due(owner.session));
    pass_schema();
    answer(1, 5, ROW("3", "4", "17", "-5", "1795467851000000"));
    cr_expect(journal_session_ready(owner.session));
    cr_expect_eq(conn.configured, 1);
    close_session();
    journal_session_free(&owner.session);
}

/* Ready, with position 17. */
static void make_ready(void)
{
    connect_session();
    owner.runs_due = true;
    pass_schema();
    answer(1, 5, ROW("3", "4", "17", "-5", "1795467851000000"));
    cr_assert(journal_session_ready(owner.session));
}

Test(journal_session, what_may_not_be_read_is_waited_for_and_asked_again)
{
    connect_session();
    fail_query("42501");
    assert_waits("the server's reason");
    cr_expect_not_null(strstr(take_log(), "the server's reason; alerts stay in the journal"));
    pass(owner.loop, CLOCK_SECOND);
    assert_asks("schema_version");
    fail_query("42P01");
    cr_expect_not_null(strstr(owner.reason, "has no schema"), "%s", owner.reason);
    pass(owner.loop, CLOCK_SECOND);
    assert_asks("schema_version");
    fail_query("3F000");
    cr_expect_not_null(strstr(owner.reason, "has no schema"), "%s", owner.reason);
    pass(owner.loop, CLOCK_SECOND);
    pass_schema();
    fail_query("42501");
    cr_expect_not(journal_session_ready(owner.session));
    cr_expect_eq(owner.positions, 0);
    pass(owner.loop, CLOCK_SECOND);
    pass_schema();
    answer(1, 5, ROW("3", "4", "17", "-5", "1795467851000000"));
    cr_expect(journal_session_ready(owner.session));
    close_session();
}

Test(journal_session, the_schema_is_checked_again_each_minute_while_the_position_holds)
{
    make_ready();
    pass(owner.loop, CLOCK_MINUTE);
    assert_asks("schema_version");
    cr_expect(journal_session_position_holds(owner.session), "a batch may be submitted meanwhile");
    cr_expect_not(journal_session_ready(owner.session), "but not be sent");
    answer(1, 1, ROW(version(WRITER_SCHEMA_VERSION)));
    cr_expect_str_eq(take_log(), "");
    assert_asks("premake_partitions");
    cr_expect(journal_session_position_holds(owner.session));
    fail_query("53100");
    cr_expect_not_null(strstr(take_log(), "partitions cannot be created in advance: the server's reason"));
    cr_expect(journal_session_ready(owner.session), "all the same");
    cr_expect_eq(owner.readies, 2);
    cr_expect_eq(owner.positions, 1, "the position was not read again");
    pass(owner.loop, CLOCK_MINUTE);
    answer(1, 1, ROW(version(WRITER_SCHEMA_VERSION + 1))); /* migrated by a newer program */
    cr_expect_not(journal_session_ready(owner.session) || journal_session_position_holds(owner.session));
    cr_expect_not_null(strstr(owner.reason, "newer than this program's"), "%s", owner.reason);
    close_session();
}

Test(journal_session, another_server_is_connected_to_while_the_schema_is_waited_for)
{
    struct writer_options options = {.conninfo = "host=other", .instance = "test", .journal_uuid = journal};
    connect_session();
    answer(0, 2, NULL);
    journal_session_reconfigure(owner.session, &options); /* its owner has other work */
    cr_expect_eq(conn.configured, 1);
    pass(owner.loop, CLOCK_SECOND);
    cr_expect_eq(conn.configured, 2);
    cr_expect_not(conn.querying);
    conn.calls.on_waiting(conn.ctx, "no answer; next try in 5 s");
    cr_expect_not_null(strstr(journal_session_text(owner.session), "next try in 5 s"));
    options.conninfo = "host=third"; /* while none is connected */
    owner.runs_due = true;
    journal_session_reconfigure(owner.session, &options);
    cr_expect_eq(conn.configured, 3);
    close_session();
}

Test(journal_session, another_server_is_connected_to_after_the_transaction)
{
    struct writer_options options = {.conninfo = "host=other", .instance = "test", .journal_uuid = journal};
    make_ready();
    owner.runs_due = false;
    session_send(journal_session_session(owner.session), "begin");
    journal_session_reconfigure(owner.session, &options);
    cr_expect(journal_session_due(owner.session));
    cr_expect_not(journal_session_position_holds(owner.session), "no other batch is taken");
    answer(0, 1, NULL);
    cr_expect(owner.results == 1 && owner.ends == 1 && owner.failures == 0);
    cr_expect(journal_session_run_due(owner.session));
    cr_expect_eq(conn.configured, 2);
    close_session();
}

Test(journal_session, once_it_is_ready_results_and_failures_are_the_owners)
{
    make_ready();
    session_send(journal_session_session(owner.session), "copy");
    fail_query("25006");
    cr_expect(owner.ends == 1 && owner.failures == 1);
    cr_expect_not(conn.dropped, "the transaction says what it means");
    cr_expect(journal_session_ready(owner.session));
    close_session();
}

Test(journal_session, a_server_that_hangs_is_reported_and_that_it_answers_again)
{
    make_ready();
    log_open(LOG_LEVEL_INFO);
    pass(owner.loop, 20 * CLOCK_SECOND);
    session_send(journal_session_session(owner.session), "commit");
    pass(owner.loop, 29 * CLOCK_SECOND);
    cr_expect_str_eq(take_log(), "");
    pass(owner.loop, 2 * CLOCK_SECOND);
    cr_expect_not_null(strstr(take_log(), "the server has not answered for more than 30 s; alerts stay"));
    cr_expect(conn.querying, "nothing is cancelled");
    answer(0, 1, NULL);
    cr_expect_not_null(strstr(take_log(), "the server answers again"));
    pass(owner.loop, 30 * CLOCK_SECOND); /* the check of the schema is asked within them, and not answered yet */
    cr_expect_str_eq(take_log(), "");
    close_session();
}

/* The move of the position by which a batch is stored once. */
static const char *move_of(const struct batch *batch)
{
    static struct buf sql;
    sql.len = 0;
    journal_session_append_move(owner.session, batch, &sql);
    return sql.data;
}

Test(journal_session, the_position_moves_from_where_it_was_read_with_the_reference_data_of_the_batch)
{
    struct batch batch = {.last_seq = 20, .last_checksum = 9, .registry_version = 3, .areas_version = 4};
    make_ready();
    const char *sql = move_of(&batch);
    cr_expect_not_null(strstr(sql, "update mobeye.journal_position set position = 20, checksum = 9"), "%s", sql);
    cr_expect_not_null(strstr(sql, "and position = 17 and (select array_agg"), "%s", sql);
    cr_expect_not_null(strstr(sql, "= '{4,3}'"), "%s", sql);
    journal_session_moved(owner.session, &batch);
    batch.versions_waived = true;
    sql = move_of(&batch);
    cr_expect_not_null(strstr(sql, "and position = 20 and true"), "%s", sql);
    journal_session_read_position(owner.session);
    answer(1, 5, ROW("3", "4", NULL, NULL, NULL));
    sql = move_of(&batch);
    cr_expect_not_null(strstr(sql, "insert into mobeye.journal_position"), "%s", sql);
    cr_expect_not_null(strstr(sql, "where true on conflict do nothing"), "%s", sql);
    close_session();
}

Test(journal_session, alerts_of_a_class_are_kept_a_month_if_nothing_else_is_configured)
{
    struct writer_options options = {.conninfo = "host=db", .instance = "test", .journal_uuid = journal};
    options.keep_us[CLASS_ALARM] = 7 * CLOCK_DAY;
    connect_session();
    journal_session_reconfigure(owner.session, &options);
    answer(1, 1, ROW(version(WRITER_SCHEMA_VERSION)));
    cr_expect_not_null(strstr(conn.sql, "alarm => interval '604800000000 microseconds', camera => interval "
                                        "'2678400000000 microseconds'"),
                       "%s", conn.sql);
    close_session();
}
