/*
 * The transaction that stores a batch, against a server that fails at any statement and sends invalid replies. Whatever
 * it does, what is reported as stored is stored completely, and nothing else is.
 */
#include "played_server.h"

TestSuite(transaction, .timeout = 120);

/* What is committed is whole and reported, and nothing else is reported as committed. */
static void assert_sound(void)
{
    if (!server.committed) {
        cr_assert_neq(server.outcome, TRANSACTION_COMMITTED, "it is not committed");
        return;
    }
    cr_assert(server.outcome == TRANSACTION_COMMITTED || server.outcome == TRANSACTION_LOST);
    size_t duplicates = encoded_batch_count(&server.encoded, ROW_DUPLICATE);
    cr_assert_eq(server.stored_alerts + server.stored_quarantined + duplicates, ROWS);
    cr_assert_eq(server.stored_images, has_image && server.encoded.status[WITH_IMAGE - 1] == ROW_STORE,
                 "with its alert or not at all");
}

static const struct fault kinds[] = {
    {SQLSTATE_RETRY, "40001", "serialization", 0},    {SQLSTATE_STOP, "42501", "denied", 0},
    {SQLSTATE_RECONNECT, "25006", "read-only", 0},    {SQLSTATE_RECONNECT, "", "closed", 0},
    {SQLSTATE_PARTITION, "23514", "no partition", 1}, {SQLSTATE_REFUSED, "22003", "out of range", 0},
    {SQLSTATE_REFUSED, "22003", "out of range", 1},   {SQLSTATE_REFUSED, "22003", "out of range", 4},
    {SQLSTATE_REFUSED, "23505", "duplicate", 1},
};

/* The statements of a batch without a fault. */
static unsigned count_statements(void)
{
    start_server();
    store_batch(journal);
    assert_sound();
    cr_assert_eq(server.outcome, TRANSACTION_COMMITTED);
    cr_assert_eq(server.stored_alerts, ROWS - 1);
    cr_assert_eq(server.stored_quarantined, 1);
    unsigned n = server.statements;
    stop_server();
    return n;
}

/* The first of a line is refused; the others are stored. */
static void assert_refused_alone(const struct fault *fault)
{
    bool of_alert = begins(server.failed, "copy mobeye.alert "),
         of_image = begins(server.failed, "copy mobeye.snapshot");
    if (fault->class != SQLSTATE_REFUSED || !(of_alert || (of_image && fault->line == 1)) || fault->line == 0)
        return;
    /* Row 1 is unreadable, and the only image is that of one row. */
    size_t row = of_image ? WITH_IMAGE - 1 : fault->line;
    cr_assert_eq(server.outcome, TRANSACTION_COMMITTED);
    cr_assert_eq(server.encoded.status[row], ROW_REFUSED);
    cr_assert_eq(server.stored_quarantined, 2);
}

Test(transaction, each_statement_may_fail)
{
    unsigned n = count_statements();
    for (unsigned at = 1; at <= n; at++)
        for (size_t kind = 0; kind < STEPS(kinds); kind++) {
            enum sqlstate_class class = kinds[kind].class;
            start_server();
            server.faults[0] = (struct planned_fault){at, kinds[kind]};
            store_batch(journal);
            assert_sound();
            if (class == SQLSTATE_RETRY || class == SQLSTATE_STOP)
                cr_assert_eq(server.outcome, TRANSACTION_RETRY_LATER, "statement %u, %s", at, kinds[kind].sqlstate);
            else if (class == SQLSTATE_RECONNECT)
                cr_assert_eq(server.outcome, TRANSACTION_LOST, "statement %u", at);
            else
                cr_assert_neq(server.outcome, TRANSACTION_LOST, "statement %u", at);
            if (class == SQLSTATE_PARTITION && begins(server.failed, "copy mobeye.alert "))
                cr_assert_eq(server.outcome, TRANSACTION_COMMITTED, "the partition is created");
            assert_refused_alone(&kinds[kind]);
            stop_server();
        }
}

Test(transaction, a_plain_batch_commits_in_one_message_with_its_alerts)
{
    has_unreadable = has_image = false;
    start_server();
    store_batch(journal);
    assert_sound();
    cr_assert_eq(server.outcome, TRANSACTION_COMMITTED);
    cr_assert_not_null(strstr(server.sql, COPYROW_ALERT_SQL "; "), "%s", server.sql);
    cr_assert_eq(server.stored_alerts, ROWS);
    stop_server();
}

Test(transaction, any_two_statements_may_fail)
{
    unsigned n = count_statements(), stored = 0;
    for (unsigned first = 1; first <= n; first++)
        for (unsigned second = first + 1; second <= first + 2 * n; second++)
            for (size_t kind = 0; kind < STEPS(kinds) * STEPS(kinds); kind++) {
                start_server();
                server.faults[0] = (struct planned_fault){first, kinds[kind / STEPS(kinds)]};
                server.faults[1] = (struct planned_fault){second, kinds[kind % STEPS(kinds)]};
                store_batch(journal);
                assert_sound();
                stored += server.outcome == TRANSACTION_COMMITTED;
                stop_server();
            }
    cr_assert_gt(stored, 0);
}

static void assert_nothing_stored(enum transaction_state outcome)
{
    store_batch(journal);
    assert_sound();
    cr_assert_eq(server.outcome, outcome, "%d", server.outcome);
    cr_assert(!server.committed);
}

Test(transaction, a_guard_that_affects_no_row_ends_it_and_sends_nothing)
{
    start_server();
    server.guard_tag = "UPDATE 0";
    server.unsent = SIZE_MAX;
    assert_nothing_stored(TRANSACTION_POSITION_MOVED);
    cr_assert_eq(server.unsent, 0, "the COPY that was on its way has no rows");
    stop_server();
}

Test(transaction, a_commit_that_is_answered_by_a_rollback_is_none)
{
    start_server();
    server.commit_tag = "ROLLBACK";
    assert_nothing_stored(TRANSACTION_LOST);
    stop_server();
}

Test(transaction, other_incidents_than_were_stored_are_an_answer_that_cannot_be)
{
    static const int lacking[] = {1, -1};
    for (size_t i = 0; i < STEPS(lacking); i++) {
        start_server();
        server.lacks_incidents = lacking[i];
        assert_nothing_stored(TRANSACTION_LOST);
        stop_server();
    }
}

Test(transaction, what_another_daemon_creates_each_time_is_left_after_some_attempts)
{
    start_server();
    server.incidents_taken = true;
    assert_nothing_stored(TRANSACTION_RETRY_LATER);
    cr_assert_eq(server.transaction.restarts_total, 5);
    stop_server();

    start_server();
    server.leads_nowhere = true;
    assert_nothing_stored(TRANSACTION_RETRY_LATER);
    cr_assert_eq(server.transaction.restarts_total, 5);
    cr_assert_str_eq(server.transaction.fault.sqlstate, "02000");
    stop_server();
}

Test(transaction, duplicates_are_counted_and_expected_from_then_on)
{
    start_server();
    server.knows_identities = true;
    server.identities_taken = true;
    store_batch(journal);
    assert_sound();
    cr_assert_eq(server.outcome, TRANSACTION_COMMITTED);
    cr_assert_eq(server.stored_alerts, 0);
    cr_assert_eq(encoded_batch_count(&server.encoded, ROW_DUPLICATE), ROWS - 1);
    cr_assert(server.transaction.expect_duplicates);
    stop_server();
}

Test(transaction, what_an_earlier_period_has_is_a_duplicate)
{
    start_server();
    server.searches = server.found_before = true;
    store_batch(journal);
    assert_sound();
    cr_expect_eq(server.outcome, TRANSACTION_COMMITTED);
    cr_expect_eq(server.stored_alerts, ROWS - 2);
    cr_expect_eq(encoded_batch_count(&server.encoded, ROW_DUPLICATE), 1);
    stop_server();
}

Test(transaction, each_statement_may_fail_where_earlier_periods_are_searched)
{
    for (int found = 0; found < 2; found++)
        for (size_t kind = 0; kind < STEPS(kinds); kind++) {
            bool failed = true;
            for (unsigned at = 1; failed; at++) {
                cr_assert_lt(at, 50u);
                start_server();
                server.searches = true;
                server.found_before = found;
                server.faults[0] = (struct planned_fault){at, kinds[kind]};
                store_batch(journal);
                assert_sound();
                failed = server.statements >= at;
                cr_assert(failed || server.outcome == TRANSACTION_COMMITTED);
                stop_server();
            }
        }
}

/* Somebody else's constraint refuses what the current period would accept. */
Test(transaction, a_period_that_is_closed_however_often_is_left_after_some_attempts)
{
    start_server();
    server.period_closed = true;
    store_batch(journal);
    assert_sound();
    cr_expect_eq(server.outcome, TRANSACTION_RETRY_LATER);
    cr_expect_eq(server.transaction.restarts_total, 5u);
    stop_server();
}

Test(transaction, quarantine_takes_the_record_alone_if_it_refuses_the_description)
{
    start_server();
    server.description_refused = true;
    store_batch(journal);
    assert_sound();
    cr_assert_eq(server.outcome, TRANSACTION_COMMITTED);
    cr_assert_eq(server.stored_quarantined, 1);
    cr_assert(server.transaction.record_only);
    stop_server();
}

Test(transaction, without_quarantine_a_refused_row_ends_it)
{
    has_unreadable = false;
    unsigned n = 0, refused = 0;
    start_server();
    store_batch(NULL);
    cr_assert_eq(server.stored_alerts, ROWS);
    n = server.statements;
    stop_server();
    for (unsigned at = 1; at <= n; at++) {
        start_server();
        server.faults[0] = (struct planned_fault){at, {SQLSTATE_REFUSED, "22003", "out of range", 1}};
        store_batch(NULL);
        assert_sound();
        cr_assert(server.outcome == TRANSACTION_REFUSED || server.outcome == TRANSACTION_RETRY_LATER);
        refused += server.outcome == TRANSACTION_REFUSED;
        stop_server();
    }
    cr_assert_eq(refused, 3, "of the alerts, their incidents, their images");
}

Test(transaction, the_row_whose_incident_is_refused_goes_to_quarantine)
{
    for (size_t row = 2; row <= ROWS; row++) {
        start_server();
        server.bad_incident = row;
        store_batch(journal);
        assert_sound();
        cr_assert_eq(server.outcome, TRANSACTION_COMMITTED);
        cr_assert_eq(server.encoded.status[row - 1], ROW_REFUSED);
        cr_assert_eq(server.stored_quarantined, 2);
        stop_server();
    }
}
