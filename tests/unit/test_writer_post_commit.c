/* What follows commits: verification, hints, the status of devices. */
#include "writer_rig.h"
#include "writer_steps.h"

RIG_SUITE(follow);

static const char verified_sql[] =
    "select coalesce(string_agg(concat_ws(' ', device_id, verified_by, priority), ';' order by device_id, "
    "incident_id), '') from mobeye.incident where verified_by is not null";

/* Plays them one by one, and waits until no post-commit work is left. */
static void play_all(struct owner *owner, const struct step *steps, size_t n)
{
    *owner = (struct owner){.total = n, .batch_rows = 1, .change = play_ours};
    ours = steps;
    owner_start(owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(owner) && writer_drained(owner->writer));
}

Test(follow, a_second_input_within_the_time_verifies)
{
    static const struct step steps[] = {
        {0, "NL-1", KIND_MOTION, PHASE_RAISE, 1, &default_rule, 0, 0, 0},
        {60, "NL-1", KIND_MOTION, PHASE_RAISE, 1, &default_rule, 0, 0, 0},
        {120, "NL-1", KIND_INTRUSION, PHASE_RAISE, 2, &default_rule, 0, 0, 0},
        {0, "NL-2", KIND_MOTION, PHASE_RAISE, 1, &default_rule, 0, 0, 0},
        {301, "NL-2", KIND_MOTION, PHASE_RAISE, 2, &default_rule, 0, 0, 0}, /* too late */
        {0, "NL-3", KIND_MOTION, PHASE_RAISE, 1, &default_rule, 0, 0, 0},
        {10, "NL-3", KIND_MOTION, PHASE_RAISE, 1, &default_rule, 0, 0, 0},   /* the same one */
        {20, "NL-3", KIND_MOTION, PHASE_UPDATE, 2, &default_rule, 0, 0, 0},  /* no raise */
        {0, "NL-4", KIND_BATTERY, PHASE_RAISE, 1, &technical_rule, 0, 0, 0}, /* no alarm */
        {10, "NL-4", KIND_BATTERY, PHASE_RAISE, 2, &technical_rule, 0, 0, 0},
    };
    struct owner owner;
    play_all(&owner, steps, STEPS(steps));
    RIG_EXPECT(&rig, verified_sql, "NL-1 second_input 1");
    RIG_EXPECT(&rig,
               "select string_agg(concat_ws(' ', incident_id, op, priority), ';' order by change_id) from "
               "mobeye.change where incident_id = 1",
               "1 new 2;1 alert 2;1 alert 2;1 verified 1");
    RIG_EXPECT(&rig, "select concat_ws(' ', incident_id, actor, action, note) from mobeye.incident_history",
               "1 mobeyed verified second_input");
    cr_expect_eq(writer_counts(owner.writer).verified, 1);
    owner_stop(&owner);
}

Test(follow, equipment_that_says_verified_is_believed)
{
    static const struct step steps[] = {
        {0, "NL-1", KIND_MOTION, PHASE_RAISE, 1, &default_rule, 0, 0, 0},
        {60, "NL-1", KIND_MOTION, PHASE_RAISE, 1, &default_rule, 0, 0, FLAG_VERIFIED},
        {70, "NL-1", KIND_MOTION, PHASE_RAISE, 1, &default_rule, 0, 0, FLAG_VERIFIED},
        {0, "NL-2", KIND_MOTION, PHASE_RAISE, 1, &default_rule, 0, 0, FLAG_VERIFIED},
    };
    struct owner owner;
    play_all(&owner, steps, STEPS(steps));
    RIG_EXPECT(&rig, verified_sql, "NL-1 second_input 1;NL-2 second_input 1");
    RIG_EXPECT(&rig, "select count(*) from mobeye.change where op = 'verified'", "2");
    RIG_EXPECT(&rig, "select count(*) from mobeye.incident_history where action = 'verified'", "2");
    owner_stop(&owner);
}

/* A degree of latitude is 111 km: 0.001 is 111 m, 0.002 is 222 m. */
Test(follow, a_second_device_nearby_within_the_time_verifies_both)
{
    static const struct step steps[] = {
        {0, "NL-1", KIND_MOTION, PHASE_RAISE, 1, &default_rule, 5.38, 52.190, 0},
        {290, "NL-2", KIND_PANIC, PHASE_RAISE, 1, &default_rule, 5.38, 52.191, 0},
        {0, "NL-3", KIND_MOTION, PHASE_RAISE, 1, &default_rule, 5.38, 52.290, 0},
        {310, "NL-4", KIND_MOTION, PHASE_RAISE, 1, &default_rule, 5.38, 52.291, 0}, /* too late */
        {0, "NL-5", KIND_MOTION, PHASE_RAISE, 1, &default_rule, 5.38, 52.390, 0},
        {10, "NL-6", KIND_MOTION, PHASE_RAISE, 1, &default_rule, 5.38, 52.392, 0}, /* too far */
        {0, "NL-7", KIND_MOTION, PHASE_RAISE, 1, &default_rule, 5.38, 52.490, 0},
        {10, "NL-8", KIND_BATTERY, PHASE_RAISE, 1, &technical_rule, 5.38, 52.490, 0}, /* no alarm */
        {20, "NL-9", KIND_MOTION, PHASE_UPDATE, 1, &default_rule, 5.38, 52.490, 0},   /* no raise */
        {30, "NL-10", KIND_MOTION, PHASE_RAISE, 1, &plain_rule, 5.38, 52.490, 0},     /* verifies, is not verified */
    };
    struct owner owner;
    play_all(&owner, steps, STEPS(steps));
    RIG_EXPECT(&rig, verified_sql, "NL-1 second_device 1;NL-2 second_device 1;NL-7 second_device 1");
    owner_stop(&owner);
}

Test(follow, two_devices_of_one_incident_verify_it)
{
    static const struct step steps[] = {
        {0, "NL-1", KIND_MOTION, PHASE_RAISE, 1, &endpoint_rule, 5.38, 52.190, 0},
        {60, "NL-2", KIND_MOTION, PHASE_RAISE, 1, &endpoint_rule, 5.38, 52.191, 0},
    };
    struct owner owner;
    play_all(&owner, steps, STEPS(steps));
    RIG_EXPECT(&rig, verified_sql, "NL-1 second_device 1");
    owner_stop(&owner);
}

Test(follow, two_daemons_with_one_alert_each_verify_both)
{
    static const struct step steps[] = {
        {0, "NL-1", KIND_MOTION, PHASE_RAISE, 1, &default_rule, 5.38, 52.190, 0},
        {10, "NL-2", KIND_MOTION, PHASE_RAISE, 1, &default_rule, 5.38, 52.191, 0},
    };
    struct owner one = {.total = 1, .change = play_ours};
    struct owner other = {.total = 1, .change = play_theirs, .journal = {9, 1}};
    ours = steps;
    theirs = steps + 1;
    owner_start(&one, &rig, "one", rig.conninfo);
    owner_start(&other, &rig, "other", rig.conninfo);
    RIG_WAIT(&rig,
             OWNER_STORED(&one) && OWNER_STORED(&other) && writer_drained(one.writer) && writer_drained(other.writer));
    RIG_EXPECT(&rig, verified_sql, "NL-1 second_device 1;NL-2 second_device 1");
    RIG_EXPECT(&rig, "select count(*) from mobeye.change where op = 'verified'", "2");
    owner_stop(&one);
    owner_stop(&other);
}

/* The other daemon has looked at what was stored before, and has met no rule with verify_by yet. */
Test(follow, a_raise_whose_rule_verifies_nothing_verifies_that_of_another_daemon)
{
    static const struct step steps[] = {
        {0, "NL-1", KIND_MOTION, PHASE_RAISE, 1, &default_rule, 5.38, 52.190, 0},
        {10, "CAM-1", KIND_CAMERA, PHASE_RAISE, 1, &plain_rule, 5.38, 52.191, 0},
    };
    struct owner one = {.total = 1, .change = play_ours};
    struct owner other = {.change = play_theirs, .journal = {9, 1}};
    ours = steps;
    theirs = steps + 1;
    owner_start(&other, &rig, "other", rig.conninfo);
    RIG_WAIT(&rig, other.up && writer_drained(other.writer));
    owner_start(&one, &rig, "one", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&one) && writer_drained(one.writer));
    owner_stop(&one);
    other.total = 1;
    owner_feed(&other);
    RIG_WAIT(&rig, OWNER_STORED(&other) && writer_drained(other.writer));
    RIG_EXPECT(&rig, verified_sql, "NL-1 second_device 1");
    owner_stop(&other);
}

Test(follow, what_a_crash_left_unverified_is_verified_after_it)
{
    static const struct step steps[] = {
        {0, "NL-1", KIND_MOTION, PHASE_RAISE, 1, &default_rule, 5.38, 52.190, 0},
        {10, "NL-2", KIND_MOTION, PHASE_RAISE, 1, &default_rule, 5.38, 52.191, 0},
    };
    struct owner owner = {.total = STEPS(steps), .change = play_ours};
    ours = steps;
    rig_sql(&rig, "revoke execute on function mobeye.verify_incidents from mobeye_ingest");
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    owner_stop(&owner);
    RIG_EXPECT(&rig, verified_sql, "");
    rig_sql(&rig, "grant execute on function mobeye.verify_incidents to mobeye_ingest");
    owner = (struct owner){.change = play_ours};
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, owner.up && writer_drained(owner.writer));
    RIG_EXPECT(&rig, verified_sql, "NL-1 second_device 1;NL-2 second_device 1");
    owner_stop(&owner);
}

/* From now on the function fails with that SQLSTATE. What it was before, for mend_function(). */
static char *break_function(const char *name, const char *sqlstate)
{
    char sql[700];
    snprintf(sql, sizeof(sql), "select pg_get_functiondef('mobeye.%s'::regproc)", name);
    char *before = rig_text(&rig, sql);
    rig_sql(&rig, "create sequence if not exists mobeye.calls; grant usage on sequence mobeye.calls to public");
    snprintf(
        sql, sizeof(sql),
        "do $do$ declare f regproc := 'mobeye.%s'; begin execute format('create or replace function %%s(%%s) returns "
        "%%s language plpgsql as %%L', f, pg_get_function_arguments(f), pg_get_function_result(f), "
        "'begin perform nextval(''mobeye.calls''); raise sqlstate ''%s''; end'); end $do$",
        name, sqlstate);
    rig_sql(&rig, sql);
    return before;
}

static void mend_function(char *before)
{
    rig_sql(&rig, before);
    free(before);
}

/* How often a broken function was called: a sequence keeps what a transaction that fails takes back. */
static long long count_calls(void)
{
    return rig_number(&rig, "select case when is_called then last_value else 0 end from mobeye.calls");
}

Test(follow, a_failure_of_it_holds_up_no_batch_and_is_made_good)
{
    static const struct step steps[] = {
        {0, "NL-1", KIND_MOTION, PHASE_RAISE, 1, &default_rule, 0, 0, 0},
        {10, "NL-1", KIND_MOTION, PHASE_RAISE, 2, &default_rule, 0, 0, 0},
        {20, "NL-2", KIND_MOTION, PHASE_RAISE, 2, &default_rule, 0, 0, 0},
    };
    struct owner owner = {.total = 1, .batch_rows = 1, .change = play_ours};
    ours = steps;
    owner_start(&owner, &rig, "a", rig.conninfo);
    /* The verification of what came last before, and that of the first alert, cannot make good what is missed here. */
    RIG_WAIT(&rig, OWNER_STORED(&owner) && writer_drained(owner.writer));
    char *before = break_function("verify_incidents", "55P03");
    owner_more(&owner, 1);
    RIG_WAIT(&rig, OWNER_STORED(&owner) && count_calls() > 0);
    cr_expect_not(writer_drained(owner.writer));
    owner_more(&owner, 1);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    mend_function(before);
    RIG_WAIT(&rig, writer_drained(owner.writer));
    RIG_EXPECT(&rig, verified_sql, "NL-1 second_input 1");
    cr_expect_eq(owner.positions, 1);
    owner_stop(&owner);
}

/* Whatever that session has set. */
Test(follow, a_person_who_leaves_a_transaction_open_holds_up_storing_for_a_moment_only)
{
    static const struct step steps[] = {
        {0, "NL-1", KIND_MOTION, PHASE_RAISE, 1, &default_rule, 0, 0, 0},
        {10, "NL-1", KIND_MOTION, PHASE_RAISE, 2, &default_rule, 0, 0, 0},
    };
    struct owner owner = {.total = 1, .change = play_ours};
    char conninfo[1100];
    ours = steps;
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    rig_sql(&rig, "create role sitting login in role mobeye_patrol");
    rig_sql(&rig, "insert into mobeye.team values ('noord')");
    rig_sql(&rig, "insert into mobeye.person values ('sitting', 'Jan', 'noord', true)");
    snprintf(conninfo, sizeof(conninfo), "%s user=sitting", rig.admin_conninfo);
    PGconn *person = PQconnectdb(conninfo);
    cr_assert_eq(PQstatus(person), CONNECTION_OK, "%s", PQerrorMessage(person));
    PGresult *noted = PQexec(person, "begin; select patrol.note(max(incident_id), 'x') from patrol.incidents; "
                                     "set idle_in_transaction_session_timeout = 0");
    cr_assert_eq(PQresultStatus(noted), PGRES_COMMAND_OK, "%s", PQerrorMessage(person));
    PQclear(noted);
    owner_more(&owner, 1);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    PQclear(PQexec(person, "commit"));
    cr_assert_eq(PQstatus(person), CONNECTION_BAD);
    PQfinish(person);
    rig_sql(&rig, "drop role sitting");
    owner_stop(&owner);
}

static size_t count_hints(char *ret_first, size_t size)
{
    PGnotify *notify;
    size_t n = 0;
    PQconsumeInput(rig.admin);
    while ((notify = PQnotifies(rig.admin)) != NULL) {
        if (n++ == 0)
            snprintf(ret_first, size, "%s", notify->extra);
        PQfreemem(notify);
    }
    return n;
}

Test(follow, who_listens_is_told)
{
    static const struct step steps[] = {
        {0, "NL-1", KIND_MOTION, PHASE_RAISE, 1, &default_rule, 5.38, 52.19, 0},
        {10, "NL-1", KIND_MOTION, PHASE_RAISE, 2, &default_rule, 5.38, 52.19, 0},
    };
    struct owner owner;
    char first[300] = "";
    rig_sql(&rig, "listen mobeye_incident");
    play_all(&owner, steps, STEPS(steps));
    rig_sql(&rig, "select 1");
    cr_expect_eq(count_hints(first, sizeof(first)), 3, "new, alert, verified");
    cr_expect_not_null(strstr(first, "{\"incident_id\" : 1, \"op\" : \"new\", \"priority\" : "), "%s", first);
    cr_expect_not_null(strstr(first, ", \"category\" : \"alarm\"}"), "%s", first);
    owner_stop(&owner);
}

/* The work after a commit, and how to see of the device of a step that it is done. */
static const struct {
    const char *name, *sqlstate; /* of its function; no SQLSTATE: the right to call it is taken away */
    const char *done_sql;        /* NULL: all that can be seen is that the others are done */
} tasks[] = {
    {"end_blockers", "55P03", NULL},
    {"store_ruleset", "40001", "select count(*) from mobeye.ruleset where $1 <> ''"},
    {"verify_recent", "55P03", NULL},
    {"number_changes", NULL,
     "select count(*) from mobeye.change c join mobeye.incident i using (incident_id) where i.device_id = $1 and c.op "
     "= 'note' "
     "and c.change_id is not null"},
    {"notify_incidents", "55P03", NULL},
    {"verify_incidents", "22000",
     "select count(*) from mobeye.incident where device_id = $1 and verified_by is not null"},
    {"store_device_status", "XX000", "select count(*) from mobeye.device_status where device_id = $1"},
};

static bool is_done(size_t task, const char *device)
{
    const char *values[] = {device};
    PGresult *result = PQexecParams(rig.admin, tasks[task].done_sql, 1, NULL, values, NULL, NULL, 0);
    cr_assert_eq(PQresultStatus(result), PGRES_TUPLES_OK, "%s", PQerrorMessage(rig.admin));
    bool done = atoi(PQgetvalue(result, 0, 0)) > 0;
    PQclear(result);
    return done;
}

static bool others_are_done(size_t broken, const char *device, size_t *hints)
{
    char first[300];
    *hints += count_hints(first, sizeof(first));
    for (size_t i = 0; i < STEPS(tasks); i++)
        if (i != broken && tasks[i].done_sql && !is_done(i, device))
            return false;
    return *hints > 0 || strcmp(tasks[broken].name, "notify_incidents") == 0;
}

/* By SQLSTATEs of every class but that of a lost connection. */
Test(follow, a_task_that_fails_holds_up_none_of_the_others)
{
    static const char *const devices[] = {"NL-0", "NL-1", "NL-2", "NL-3", "NL-4", "NL-5", "NL-6"};
    static struct step steps[2 * STEPS(tasks)];
    char sql[300];
    ours = steps;
    for (size_t i = 0; i < STEPS(steps); i++)
        steps[i] = (struct step){
            10 * (int)i, devices[i / 2], KIND_MOTION, PHASE_RAISE, 1 + (int)i % 2, &default_rule, 0, 0, 0};
    rig_sql(&rig, "listen mobeye_incident");
    for (size_t i = 0; i < STEPS(tasks); i++) {
        struct owner owner = {.total = 2 * (i + 1), .change = play_ours};
        size_t hints = 0;
        char *before = tasks[i].sqlstate ? break_function(tasks[i].name, tasks[i].sqlstate) : NULL;
        snprintf(sql, sizeof(sql), "revoke execute on function mobeye.%s from mobeye_ingest", tasks[i].name);
        if (!before)
            rig_sql(&rig, sql);
        rig_sql(&rig, "delete from mobeye.ruleset");
        owner_start(&owner, &rig, "a", rig.conninfo);
        RIG_WAIT(&rig, OWNER_STORED(&owner));
        snprintf(
            sql, sizeof(sql),
            "insert into mobeye.change (at, incident_id, op, status, priority, category) select clock_timestamp(), "
            "incident_id, 'note', status, priority, category from mobeye.incident where device_id = '%s'",
            devices[i]);
        rig_sql(&rig, sql);
        RIG_WAIT(&rig, others_are_done(i, devices[i], &hints));
        if (tasks[i].done_sql)
            cr_expect_not(is_done(i, devices[i]), "%s is broken", tasks[i].name);
        snprintf(sql, sizeof(sql), "grant execute on function mobeye.%s to mobeye_ingest", tasks[i].name);
        if (before)
            mend_function(before);
        else
            rig_sql(&rig, sql);
        owner_stop(&owner);
    }
}

static void with_status(struct batch_row *row, uint64_t seq)
{
    play_ours(row, seq);
    row->alert.registered = strcmp(ours[seq - 1].device, "NL-1") == 0;
    row->alert.battery_pct = seq < 3 ? (int32_t)seq : ALERT_NO_INT;
    row->alert.signal_dbm = -90;
}

Test(follow, what_devices_say_is_noted_at_most_once_a_minute)
{
    static const struct step steps[] = {
        {0, "NL-1", KIND_MOTION, PHASE_RAISE, 1, NULL, 5.38, 52.19, 0},
        {10, "NL-1", KIND_KEEPALIVE, PHASE_RAISE, 0, NULL, 0, 0, 0},
        {20, "stranger", KIND_BATTERY, PHASE_RAISE, 0, NULL, 0, 0, 0},
        {30, "NL-1", KIND_MOTION, PHASE_RAISE, 1, NULL, 0, 0, 0},
    };
    struct owner owner = {.total = 3, .change = with_status};
    ours = steps;
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, rig_number(&rig, "select count(*) from mobeye.device_status") == 2);
    RIG_EXPECT(&rig,
               "select string_agg(concat_ws(' ', device_id, registered, first_received_at, last_occurred_at, endpoint, "
               "source, kind, battery_pct, signal_dbm, st_asewkt(fix), fix_accuracy_m, fix_at, alerts), ';' order by "
               "device_id) from mobeye.device_status",
               "NL-1 t 2026-11-23 21:04:21+00 2026-11-23 21:04:21+00 cameras /mobeye/gateway-a keepalive 2 -90 "
               "SRID=4326;POINT(5.38 52.19) 10 2026-11-23 21:04:11+00 2;"
               "stranger f 2026-11-23 21:04:31+00 2026-11-23 21:04:31+00 cameras /mobeye/gateway-a battery -90 1");
    owner_more(&owner, 1);
    RIG_WAIT(&rig, OWNER_STORED(&owner) && writer_drained(owner.writer));
    RIG_EXPECT(&rig, "select alerts from mobeye.device_status where device_id = 'NL-1'", "2");
    cr_expect_eq(writer_status_written_until_us(owner.writer), RIG_TIME_US + 30 * CLOCK_SECOND);
    owner_stop(&owner);
}

/* Each: NL-1 and NL-2 are noted; then both are heard again within the minute. */
static void hear_twice(struct owner *owner)
{
    static const struct step steps[] = {
        {0, "NL-1", KIND_KEEPALIVE, PHASE_RAISE, 0, NULL, 0, 0, 0},
        {1, "NL-2", KIND_KEEPALIVE, PHASE_RAISE, 0, NULL, 0, 0, 0},
        {30, "NL-1", KIND_KEEPALIVE, PHASE_RAISE, 0, NULL, 0, 0, 0},
        {31, "NL-2", KIND_KEEPALIVE, PHASE_RAISE, 0, NULL, 0, 0, 0},
    };
    *owner = (struct owner){.total = 2, .change = play_ours};
    ours = steps;
    owner_start(owner, &rig, "a", rig.conninfo);
    /* The writer hears that a note is stored after everybody else can see it. */
    RIG_WAIT(&rig, rig_number(&rig, "select count(*) from mobeye.device_status") == 2 &&
                       writer_status_written_until_us(owner->writer) == INT64_MAX);
    owner_more(owner, 2);
    RIG_WAIT(&rig, OWNER_STORED(owner) && writer_drained(owner->writer));
}

static const char alerts_sql[] =
    "select string_agg(device_id || ' ' || alerts, ';' order by device_id) from mobeye.device_status";

Test(follow, a_device_that_is_missed_is_noted_at_once)
{
    struct owner owner;
    hear_twice(&owner);
    writer_mark_silent(owner.writer, STR("NL-2"));
    writer_mark_silent(owner.writer, STR("NL-3"));
    RIG_WAIT(&rig, rig_number(&rig, "select alerts from mobeye.device_status where device_id = 'NL-2'") == 2);
    RIG_EXPECT(&rig, alerts_sql, "NL-1 1;NL-2 2");
    RIG_WAIT(&rig, writer_status_written_until_us(owner.writer) == RIG_TIME_US + 30 * CLOCK_SECOND);
    owner_stop(&owner);
}

Test(follow, at_a_stop_what_devices_said_is_noted)
{
    struct owner owner;
    hear_twice(&owner);
    writer_flush_now(owner.writer);
    cr_expect_not(writer_drained(owner.writer));
    RIG_WAIT(&rig, writer_drained(owner.writer));
    RIG_EXPECT(&rig, alerts_sql, "NL-1 2;NL-2 2");
    owner_stop(&owner);
}
