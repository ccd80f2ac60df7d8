/* The work after commits with a simulated database: what fails is repeated, and delays nothing else. */
#include <endian.h>

#include "played_connection.h"
#include "store/pgtype.h"
#include "store/post_commit.h"
#include "store/post_commit_queue.h"

static const uint8_t journal[16] = "of the journal!", rules[16] = "of some rules..",
                     other_rules[16] = "of others.....!";

static struct post_commit *work;
static struct loop *loop;
static struct writer_options options;

/* Connected, and the writer is. */
static void setup(void)
{
    cr_redirect_stderr();
    loop = open_played_loop();
    options = (struct writer_options){.conninfo = "host=db",
                                      .instance = "test",
                                      .journal_uuid = journal,
                                      .rules = rules,
                                      .rules_text = "rules: []",
                                      .verifies = true,
                                      .verify_radius_m = 150};
    work = post_commit_new(loop, &options);
    post_commit_start(work);
    connect_played();
    pass(loop, CLOCK_HOUR);
    cr_assert_not(conn.querying, "nothing is done while the writer is not connected");
    cr_assert(post_commit_drained(work));
    post_commit_allow(work, true);
    cr_assert_not(post_commit_drained(work));
    pass(loop, 0);
}

static void teardown(void)
{
    post_commit_free(&work);
    post_commit_free(&work);
    loop_free(&loop);
}

TestSuite(post_commit, .init = setup, .fini = teardown, .timeout = 60);

#define BLOCKERS "mobeye.end_blockers"
#define RULES    "mobeye.store_ruleset"
#define RECHECK  "mobeye.verify_recent"
#define NUMBER   "mobeye.number_changes"

static void answer_to(const char *sql)
{
    assert_asks(sql);
    answer(0, 1, NULL);
}

static void fail_at(const char *sql, const char *sqlstate)
{
    assert_asks(sql);
    fail_query(sqlstate);
}

/* Of the second that has passed. */
static void answer_each_second(void)
{
    answer_to(BLOCKERS);
    answer_to(NUMBER);
}

static void do_all(void)
{
    answer_to(BLOCKERS);
    answer_to(RULES);
    answer_to(RECHECK);
    answer_to(NUMBER);
    cr_assert_not(conn.querying);
}

Test(post_commit, once_connected_all_is_done_and_from_then_on_what_is_due_each_second)
{
    do_all();
    cr_expect(post_commit_drained(work));
    for (int i = 0; i < 3; i++) {
        pass(loop, CLOCK_SECOND);
        answer_each_second();
        cr_expect_not(conn.querying);
    }
    post_commit_allow(work, false);
    pass(loop, CLOCK_HOUR);
    cr_expect_not(conn.querying);
    post_commit_allow(work, true);
    pass(loop, 0);
    do_all();
    cr_expect_str_eq(take_log(), "");
}

Test(post_commit, a_task_that_fails_is_tried_again_and_delays_no_other)
{
    answer_to(BLOCKERS);
    fail_at(RULES, "42501");
    cr_expect_not_null(strstr(take_log(), "storing the rules: failed: the server's reason (SQLSTATE 42501)"));
    answer_to(RECHECK);
    answer_to(NUMBER);
    cr_expect_not(post_commit_drained(work), "the rules wait");
    for (int i = 0; i < 4; i++) {
        pass(loop, CLOCK_SECOND);
        answer_each_second();
        cr_expect_not(conn.querying, "%d", i);
    }
    pass(loop, CLOCK_SECOND);
    fail_at(BLOCKERS, "57014"); /* people's changes are numbered all the same */
    answer_to(RULES);
    answer_to(NUMBER);
    cr_expect(post_commit_drained(work));
}

Test(post_commit, a_lock_is_waited_for_and_is_worth_a_line_only_if_it_stays)
{
    answer_to(BLOCKERS);
    answer_to(RULES);
    answer_to(RECHECK);
    for (int i = 1; i <= 10; i++) {
        cr_expect_str_eq(take_log(), "");
        fail_at(NUMBER, "55P03");
        cr_expect_not(conn.querying);
        pass(loop, CLOCK_SECOND);
        answer_to(BLOCKERS);
    }
    cr_expect_not_null(strstr(take_log(), "numbering people's changes: failed"));
    answer_to(NUMBER);
    cr_expect(post_commit_drained(work));
}

Test(post_commit, what_fails_while_the_writer_is_not_connected_is_not_worth_a_line)
{
    answer_to(BLOCKERS);
    assert_asks(RULES);
    post_commit_allow(work, false);
    fail_query("42501");
    cr_expect_str_eq(take_log(), "");
    cr_expect_not(conn.querying);
}

Test(post_commit, a_server_that_only_follows_another_is_left_and_the_task_done_by_the_next)
{
    answer_to(BLOCKERS);
    answer_to(RULES);
    fail_at(RECHECK, "25006");
    cr_expect(conn.dropped);
    pass(loop, CLOCK_HOUR);
    cr_expect_not(conn.querying);
    cr_expect_not(post_commit_drained(work));
    connect_played();
    answer_to(BLOCKERS);
    answer_to(RECHECK);
    answer_to(NUMBER);
    cr_expect(post_commit_drained(work));
}

/* A pooler may pass on a connection on which another client listens. */
Test(post_commit, a_notification_that_nobody_asked_for_is_ignored)
{
    do_all();
    conn.calls.on_notify(conn.ctx, "17");
    cr_expect(post_commit_drained(work));
    cr_expect_not(conn.dropped);
}

Test(post_commit, incidents_that_were_verified_are_announced)
{
    char array[PGTYPE_ARRAY_HEADER_BYTES + 2 * 12], *p = pgtype_put_array(array, TYPE_INT8, 2);
    for (uint64_t id = 7; id <= 8; id++) {
        uint64_t be = htobe64(id);
        p = pgtype_put32(p, sizeof(be));
        memcpy(p, &be, sizeof(be));
        p += sizeof(be);
    }
    answer_to(BLOCKERS);
    answer_to(RULES);
    assert_asks(RECHECK);
    give_value(array, sizeof(array));
    end_query();
    cr_expect_eq(post_commit_verified(work), 2);
    answer_to(NUMBER);
    assert_asks(post_commit_announce_sql);
    cr_expect_not_null(memmem(conn.params, sizeof(conn.params), array + PGTYPE_ARRAY_HEADER_BYTES,
                              sizeof(array) - PGTYPE_ARRAY_HEADER_BYTES),
                       "both");
    fail_query("53100"); /* the queue of the notifications is full */
    cr_expect_not(post_commit_drained(work));
    for (int i = 0; i < 4; i++) {
        pass(loop, CLOCK_SECOND);
        answer_each_second();
    }
    pass(loop, CLOCK_SECOND);
    answer_each_second();
    answer_to(post_commit_announce_sql);
    cr_expect(post_commit_drained(work));
}

Test(post_commit, an_answer_of_another_shape_verifies_nothing)
{
    do_all();
    for (int len = 0; len < 40; len += 7) {
        char bytes[40] = {0};
        post_commit_allow(work, true);
        pass(loop, 0);
        answer_to(RULES);
        assert_asks(RECHECK);
        give_value(bytes, len);
        end_query();
        cr_expect_not(conn.querying, "nothing is announced");
        cr_expect_eq(post_commit_verified(work), 0);
    }
}

static void connect_writer_again(int64_t last_us)
{
    post_commit_allow(work, false);
    post_commit_verified_until(work, last_us);
    pass(loop, CLOCK_HOUR);
    post_commit_allow(work, true);
    pass(loop, 0);
    answer_to(BLOCKERS);
    answer_to(RULES);
}

static void assert_rechecks_since(int64_t last_us)
{
    uint64_t since = htobe64((uint64_t)pgtype_timestamp(last_us));
    assert_asks(RECHECK);
    cr_expect_arr_eq(conn.params, &since, sizeof(since));
}

Test(post_commit, what_was_stored_before_the_first_loss_is_verified_however_many_follow)
{
    do_all();
    post_commit_verified_until(work, CLOCK_SECOND); /* read again, while connected */
    connect_writer_again(CLOCK_HOUR);
    assert_rechecks_since(CLOCK_HOUR);
    fail_query("57014");
    answer_to(NUMBER);
    connect_writer_again(2 * CLOCK_HOUR);
    assert_rechecks_since(CLOCK_HOUR);
    answer(0, 1, NULL);
    answer_to(NUMBER);
    connect_writer_again(3 * CLOCK_HOUR);
    assert_rechecks_since(3 * CLOCK_HOUR);
}

Test(post_commit, what_was_stored_before_is_unverified_until_it_has_been_looked_at)
{
    cr_expect_eq(post_commit_unverified_us(work), INT64_MAX, "the writer has only just connected");
    do_all();
    cr_expect_eq(post_commit_unverified_us(work), 0);
    connect_writer_again(CLOCK_HOUR);
    assert_rechecks_since(CLOCK_HOUR);
    cr_expect_eq(post_commit_unverified_us(work), INT64_MAX, "the answer is awaited");
    fail_query("57014");
    cr_expect_eq(post_commit_unverified_us(work), INT64_MAX, "it failed");
}

Test(post_commit, what_becomes_due_while_a_recheck_is_on_its_way_is_rechecked_too)
{
    do_all();
    connect_writer_again(CLOCK_HOUR);
    assert_rechecks_since(CLOCK_HOUR);
    post_commit_allow(work, false); /* the writer's session alone is lost */
    post_commit_verified_until(work, 2 * CLOCK_HOUR);
    post_commit_allow(work, true);
    answer(0, 1, NULL);
    answer_to(RULES);
    assert_rechecks_since(2 * CLOCK_HOUR);
}

Test(post_commit, sessions_that_were_ended_are_named_in_the_log)
{
    assert_asks(BLOCKERS);
    answer(2, 1, ROW("anna (psql)", "bert (pgAdmin)"));
    const char *log = take_log();
    cr_expect_not_null(strstr(log, "ended anna (psql): it held a lock"), "%s", log);
    cr_expect_not_null(strstr(log, "ended bert (pgAdmin): it held a lock"), "%s", log);
    answer_to(RULES);
}

Test(post_commit, rules_are_stored_again_if_they_are_others)
{
    do_all();
    post_commit_reconfigure(work, &options);
    pass(loop, 0);
    cr_expect_not(conn.querying);
    cr_expect(post_commit_drained(work));
    options.rules = other_rules;
    post_commit_reconfigure(work, &options);
    pass(loop, 0);
    assert_asks(RULES);
    cr_expect_arr_eq(conn.params, other_rules, sizeof(other_rules));
    answer(0, 1, NULL);
    options.rules = NULL;
    post_commit_reconfigure(work, &options);
    pass(loop, 0);
    cr_expect_not(conn.querying, "none are known");
    options.rules = other_rules;
    post_commit_reconfigure(work, &options);
    pass(loop, 0);
    answer_to(RULES);
}

Test(post_commit, rules_that_change_while_the_old_ones_are_being_stored_are_stored_next)
{
    answer_to(BLOCKERS);
    assert_asks(RULES);
    options.rules = other_rules;
    post_commit_reconfigure(work, &options);
    answer(0, 1, NULL);
    assert_asks(RULES);
    cr_expect_arr_eq(conn.params, other_rules, sizeof(other_rules));
    answer(0, 1, NULL);
    answer_to(RECHECK);
    answer_to(NUMBER);
    cr_expect(post_commit_drained(work));
}

Test(post_commit, what_another_server_was_asked_is_asked_of_the_new_one)
{
    answer_to(BLOCKERS);
    assert_asks(RULES);
    options.conninfo = "host=other";
    post_commit_reconfigure(work, &options);
    cr_expect_eq(conn.configured, 2);
    cr_expect_not(conn.querying);
    pass(loop, CLOCK_HOUR);
    cr_expect_not(conn.querying);
    connect_played();
    do_all();
}
