/* Maintenance with a simulated database: which daemon does the jobs, what happens to failed ones, and what is known
 * about the queue. */
#include "played_connection.h"
#include "store/maintenance.h"
#include "store/maintenance_jobs.h"

static struct {
    struct maintenance *maintenance;
    struct loop *loop;
    struct metrics metrics;
    struct conf conf;
    unsigned reports;
    char silent[100];
} owner;

static void on_report(void *ctx, struct maintenance_report *ret)
{
    static const uint8_t journal[16] = "of the journal!";
    (void)ctx;
    owner.reports++;
    *ret = (struct maintenance_report){
        .journal_uuid = journal, .accepting_since_us = ALERT_NO_TIME, .applied_until_us = INT64_C(1795467851500000)};
}

static void on_silent(void *ctx, struct str device)
{
    (void)ctx;
    snprintf(owner.silent + strlen(owner.silent), sizeof(owner.silent) - strlen(owner.silent), "%.*s ", (int)device.len,
             device.p);
}

static void setup(void)
{
    static const struct maintenance_calls calls = {on_report, on_silent};
    cr_redirect_stderr();
    memset(&owner, 0, sizeof(owner));
    owner.loop = open_played_loop();
    owner.conf = (struct conf){.database.conninfo = (char *)"host=db", .instance = (char *)"test"};
    owner.maintenance = maintenance_new(owner.loop, &owner.metrics, &owner.conf, &calls, NULL);
    maintenance_suppress_log(owner.maintenance, false);
    connect_played();
}

static void teardown(void)
{
    maintenance_free(&owner.maintenance);
    cr_expect_null(owner.maintenance);
    maintenance_free(&owner.maintenance);
    loop_free(&owner.loop);
}

TestSuite(maintenance, .init = setup, .fini = teardown, .timeout = 60);

static void answer_nothing(void)
{
    answer(0, 1, NULL);
}

/* Of the jobs one, of the queue those rows of priority, incidents, overdue, waiting since (microseconds). */
static void answer_states(const char *late, int n, const char *const *queue)
{
    assert_asks("from mobeye.queue_state()");
    give_rows(2, 3, ROW("purge", "1795467000", late, "unheard_of", "1", "f"));
    give_named_rows(n, 4, ROW("priority", "incidents", "overdue", "waiting_since"), queue);
    end_query();
}

/* Up to the question who leads. */
static void report_and_read(void)
{
    assert_asks("select mobeye.report_daemon(");
    answer_nothing();
    answer_states("f", 0, NULL);
    assert_asks("try_to_lead");
}

static void lead(bool led, bool leads)
{
    give_named_rows(1, 1, ROW("is_led"), ROW(led ? "t" : "f"));
    give_named_rows(1, 1, ROW("try_to_lead"), ROW(leads ? "t" : "f"));
    end_query();
}

/* The job that was sent is number `job`. */
static void assert_job(size_t job)
{
    cr_assert(conn.querying, "job %s", maintenance_job(job));
    cr_assert_not_null(strstr(conn.sql, maintenance_jobs[job].sql), "job %s, sent %s", maintenance_job(job), conn.sql);
}

static size_t number_of(const char *word)
{
    size_t job = 0;
    while (strcmp(maintenance_job(job), word) != 0)
        job++;
    return job;
}

static void do_jobs(size_t from, size_t until)
{
    for (size_t job = from; job < until; job++) {
        assert_job(job);
        answer_nothing();
    }
}

/* How the jobs ended is stored, and read. */
static void end_cycle(void)
{
    assert_asks("report_maintenance");
    answer_states("f", 0, NULL);
    cr_expect_not(conn.querying, "the cycle is over");
}

Test(maintenance, the_daemon_that_leads_does_all_jobs_and_says_how_they_ended)
{
    cr_assert_not_null(strstr(conn.sql, "'test', null, to_timestamp(1795467851.500000), array[]::text[]"), "%s",
                       conn.sql);
    report_and_read();
    lead(false, true);
    do_jobs(0, MAINTENANCE_JOBS);
    assert_asks("array['device_states', 'silent_endpoints'");
    assert_asks("array['', ''");
    end_cycle();
    cr_expect_eq(owner.metrics.maintenance_last_success_timestamp_seconds[number_of("purge")], 1795467000);
    cr_expect_eq(conn.worthy, 1, "the connection has proved its worth");
    pass(owner.loop, 19 * CLOCK_SECOND);
    cr_expect_eq(owner.reports, 1);
    pass(owner.loop, CLOCK_SECOND);
    cr_expect_eq(owner.reports, 2, "20 s later it reports again");
    report_and_read();
    lead(true, true);
    do_jobs(0, 4); /* those of every cycle: three of the others are due every minute, the rest every hour */
    assert_job(number_of("mutes"));
    answer_nothing();
    do_jobs(number_of("identity_filters"), number_of("retention_camera"));
    assert_asks("report_maintenance");
    cr_expect_not_null(strstr(conn.sql, "array['', '', '', '', null, '', null, '', null"), "%s", conn.sql);
    end_cycle();
    cr_expect_str_eq(take_log(), "");
}

Test(maintenance, a_daemon_that_does_not_lead_does_nothing_and_says_if_nobody_leads)
{
    report_and_read();
    lead(true, false);
    cr_expect_not(conn.querying);
    cr_expect_str_eq(take_log(), "");
    pass(owner.loop, 20 * CLOCK_SECOND);
    report_and_read();
    answer_nothing(); /* neither query has a result: that must not be taken for leading */
    cr_expect_not(conn.querying);
    cr_expect_not_null(strstr(take_log(), "no daemon has run maintenance"));
    pass(owner.loop, 2 * CLOCK_MINUTE);
    report_and_read();
    lead(false, false);
    cr_expect_not(conn.querying);
    cr_expect_not_null(strstr(take_log(), "no daemon has run maintenance"));
    maintenance_suppress_log(owner.maintenance, true);
    pass(owner.loop, CLOCK_HOUR);
    take_log();
    report_and_read();
    lead(false, false);
    cr_expect_str_eq(take_log(), "");
}

Test(maintenance, a_job_that_fails_delays_no_other_and_is_tried_again_soon)
{
    size_t purge = number_of("purge"), camera = number_of("retention_camera"), fixes = number_of("retention_fixes"),
           check = number_of("retention");
    static const char *const words[] = {"what", "class", "partition", "n", "error"};
    report_and_read();
    lead(false, true);
    do_jobs(0, 2);
    assert_job(2);
    answer(2, 1, ROW("NL-1", "NL-2"));
    cr_expect_str_eq(owner.silent, "NL-1 NL-2 ");
    assert_job(3);
    fail_query("55P03");
    do_jobs(4, camera);
    give_named_rows(3, 5, words,
                    ROW("partition", "camera", "alert_camera_20261101", "0", "it's locked", "rows", "camera", NULL, "0",
                        "denied", "partition", "camera", "alert_camera_20261102", "7", NULL));
    end_query();
    do_jobs(camera + 1, check);
    give_named_rows(2, 3, words, ROW("camera", "30", "5", "images", "25", "2"));
    end_query();
    assert_job(purge);
    fail_query("42501");
    do_jobs(number_of("secrecy"), MAINTENANCE_JOBS); /* the last, as it looks back to the report */
    assert_asks("report_maintenance");
    cr_expect_not_null(strstr(conn.sql, "'the server''s reason (SQLSTATE 55P03)'"), "%s", conn.sql);
    cr_expect_not_null(strstr(conn.sql, "'alert_camera_20261101: it''s locked; rows: denied'"), "%s", conn.sql);
    cr_expect_not_null(strstr(conn.sql, "'camera: 5 rows should have been erased up to 30 hours ago (expected less "
                                        "than 24); images: 2 rows should have"),
                       "%s", conn.sql);
    cr_expect_eq(owner.metrics.maintenance_failures_total[camera], 1);
    cr_expect_eq(owner.metrics.maintenance_failures_total[purge], 1);
    cr_expect_eq(owner.metrics.maintenance_failures_total[fixes], 0);
    answer_states("t", 0, NULL); /* purge: not for a day */
    const char *log = take_log();
    cr_expect_not_null(strstr(log, "maintenance: purge: the server's reason (SQLSTATE 42501)\n"), "%s", log);

    unsigned cycles = 1;
    for (bool tried = false; !tried; cycles++) {
        cr_assert_lt(cycles, 180u, "within the hour");
        pass(owner.loop, 20 * CLOCK_SECOND);
        assert_asks("select mobeye.report_daemon(");
        answer_nothing();
        answer_states("t", 0, NULL);
        lead(true, true);
        while (strstr(conn.sql, "report_maintenance") == NULL) {
            cr_expect_null(strstr(conn.sql, maintenance_jobs[fixes].sql), "that one succeeded");
            bool fails = strstr(conn.sql, maintenance_jobs[purge].sql) != NULL;
            tried |= fails;
            if (fails)
                fail_query("42501");
            else
                answer_nothing();
        }
        end_cycle();
    }
    cr_expect_eq(cycles, 16, "5 minutes later: %u", cycles);
    cr_expect_eq(owner.metrics.maintenance_failures_total[purge], 2);
    log = take_log();
    cr_expect_not_null(strstr(log, "it has not succeeded for a day"), "%s", log);
}

/* Up to the note of how they ended: those that erase are refused. */
static void refuse_to_erase(void)
{
    while (strstr(conn.sql, "report_maintenance") == NULL) {
        bool erases = strstr(conn.sql, "apply_retention(") || strstr(conn.sql, "mobeye.purge(");
        char now[40];
        snprintf(now, sizeof(now), ", wall => to_timestamp(%d))", (int)(loop_wall_us(owner.loop) / CLOCK_SECOND));
        cr_expect_eq(strstr(conn.sql, now) != NULL, erases, "%s", conn.sql);
        if (erases)
            fail_query(MAINTENANCE_CLOCKS);
        else
            answer_nothing();
    }
}

Test(maintenance, jobs_that_erase_send_the_time_and_say_once_that_the_clocks_differ)
{
    log_open(LOG_LEVEL_INFO);
    report_and_read();
    lead(false, true);
    refuse_to_erase();
    end_cycle();
    cr_expect_eq(owner.metrics.maintenance_failures_total[number_of("retention_camera")], 1);
    cr_expect_eq(owner.metrics.maintenance_failures_total[number_of("purge")], 1);
    const char *log = take_log();
    cr_expect_not_null(strstr(log, "maintenance: the server's reason (SQLSTATE MB002)\n"), "%s", log);
    cr_expect_eq(strchr(log, '\n') - log + 1, (ptrdiff_t)strlen(log), "one line, not one for each job: %s", log);
    bool again = false;
    for (unsigned cycle = 1; !again; cycle++) {
        cr_assert_lt(cycle, 180u, "within the hour");
        pass(owner.loop, 20 * CLOCK_SECOND);
        report_and_read();
        lead(true, true);
        while (strstr(conn.sql, "report_maintenance") == NULL) {
            again |= strstr(conn.sql, "apply_retention(") != NULL;
            answer_nothing();
        }
        end_cycle();
    }
    log = take_log();
    cr_expect_not_null(strstr(log, "maintenance: the clocks agree again: what is past its retention is erased"), "%s",
                       log);
}

Test(maintenance, a_long_error_is_cut_between_two_characters)
{
    size_t camera = number_of("retention_camera");
    char error[1000] = "x";
    for (size_t i = 1; i + 2 < sizeof(error); i += 2)
        memcpy(error + i, "\u00e9", 3);
    report_and_read();
    lead(false, true);
    do_jobs(0, camera);
    answer(1, 5, ROW("partition", "camera", "alert_camera_20261101", "0", error));
    do_jobs(camera + 1, MAINTENANCE_JOBS);
    assert_asks("report_maintenance");
    cr_expect_not_null(strstr(conn.sql, "'alert_camera_20261101: x\u00e9"), "%s", conn.sql);
    cr_expect_not_null(strstr(conn.sql, "\u00e9', ''"), "%s", conn.sql);
}

Test(maintenance, a_report_that_fails_ends_the_cycle_and_is_made_again)
{
    log_open(LOG_LEVEL_INFO);
    fail_query("42P01");
    cr_expect_not(conn.querying);
    const char *log = take_log();
    cr_expect_not_null(strstr(log, "report failed: the server's reason (SQLSTATE 42P01)"), "%s", log);
    cr_expect_null(strstr(log, "stored again"), "%s", log);
    maintenance_suppress_log(owner.maintenance, true);
    pass(owner.loop, 5 * CLOCK_MINUTE);
    cr_expect_eq(owner.reports, 2);
    fail_query("42P01");
    cr_expect_str_eq(take_log(), "", "while the writer says the same");
    pass(owner.loop, 20 * CLOCK_SECOND);
    cr_expect_eq(owner.reports, 3);
    report_and_read();
    lead(true, false);
    cr_expect_not_null(strstr(take_log(), "reports are stored again"));
    cr_expect_not(conn.dropped);
}

Test(maintenance, a_server_that_only_follows_another_is_left)
{
    answer_nothing();
    fail_query("25006");
    cr_expect(conn.dropped);
    pass(owner.loop, CLOCK_HOUR);
    cr_expect_not(conn.querying, "nothing is sent while it is not connected");
    connect_played();
    cr_expect_eq(owner.reports, 2);
    report_and_read();
    lead(false, true);
    conn.dropped = false;
    assert_job(0);
    fail_query(NULL);
    cr_expect(conn.dropped);
    cr_expect_eq(owner.metrics.maintenance_failures_total[0], 1);
}

Test(maintenance, a_change_of_an_endpoint_is_reported_within_a_second)
{
    maintenance_run_soon(owner.maintenance); /* this cycle's report is on its way already */
    report_and_read();
    lead(true, false);
    pass(owner.loop, CLOCK_SECOND);
    cr_expect_eq(owner.reports, 2);
    report_and_read();
    lead(true, false);
    pass(owner.loop, 10 * CLOCK_SECOND);
    cr_expect_eq(owner.reports, 2);
    maintenance_run_soon(owner.maintenance);
    pass(owner.loop, CLOCK_SECOND);
    cr_expect_eq(owner.reports, 3);
}

Test(maintenance, the_queue_is_counted_by_priority_and_its_oldest_incident_ages)
{
    answer_nothing();
    answer_states("f", 5,
                  ROW("1", "2", "1", "1795467841000000", "5", "3", "0", NULL, "2", "4", "2", "1795467821000000", "3",
                      "1", "0", "1795467831000000", "9", "1", "1", NULL));
    cr_expect_eq(owner.metrics.queue_open[0], 2);
    cr_expect_eq(owner.metrics.queue_open[1], 4);
    cr_expect_eq(owner.metrics.queue_open[2], 1);
    cr_expect_eq(owner.metrics.queue_open[3], 0);
    cr_expect_eq(owner.metrics.queue_open[4], 3);
    cr_expect_eq(owner.metrics.queue_overdue, 4, "of a priority without a metric of its own too");
    maintenance_gauges(owner.maintenance);
    cr_expect_eq(owner.metrics.queue_oldest_seconds, 30);
    pass(owner.loop, 12 * CLOCK_SECOND);
    maintenance_gauges(owner.maintenance);
    cr_expect_eq(owner.metrics.queue_oldest_seconds, 42);
    lead(true, false);
    pass(owner.loop, 20 * CLOCK_SECOND);
    answer_nothing();
    answer_states("f", 1, ROW("2", "1", "0", "9995467821000000")); /* by a clock that is ahead */
    maintenance_gauges(owner.maintenance);
    cr_expect_eq(owner.metrics.queue_oldest_seconds, 0);
    cr_expect_eq(owner.metrics.queue_open[0] + owner.metrics.queue_open[4] + owner.metrics.queue_overdue, 0);
    lead(true, false);
    pass(owner.loop, 20 * CLOCK_SECOND);
    answer_nothing();
    answer_states("f", 0, NULL);
    maintenance_gauges(owner.maintenance);
    cr_expect_eq(owner.metrics.queue_open[1] + owner.metrics.queue_oldest_seconds, 0, "nothing waits");
}

Test(maintenance, another_database_is_reported_to_once_it_is_connected)
{
    struct conf same = owner.conf, other = owner.conf;
    maintenance_reload(owner.maintenance, &same);
    cr_expect_eq(conn.configured, 1);
    other.database.conninfo = (char *)"host=other";
    maintenance_reload(owner.maintenance, &other);
    cr_expect_eq(conn.configured, 2);
    pass(owner.loop, CLOCK_HOUR);
    cr_expect_not(conn.querying);
    connect_played();
    cr_expect_eq(owner.reports, 2);
    report_and_read();
}
