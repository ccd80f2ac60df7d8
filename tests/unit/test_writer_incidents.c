/* Incidents in the transaction that stores their alerts: created, joined, closed and counted once, whatever happens. */
#include "writer_rig.h"
#include "writer_steps.h"

RIG_SUITE(incidents);

static struct alert_areas *areas_of_play;

static void with_areas(struct batch_row *row, uint64_t seq)
{
    play_ours(row, seq);
    row->alert.areas = areas_of_play;
    row->alert.placement_id = 7;
}

Test(incidents, every_column_comes_back)
{
    static const struct step steps[] = {
        {0, "NL-1", KIND_PANIC, PHASE_RAISE, 1, &default_rule, 5.38421, 52.19634, 0},
        {1, "NL-2", KIND_BATTERY, PHASE_RAISE, 0, &technical_rule, 0, 0, 0},
    };
    struct owner owner = {.total = STEPS(steps), .change = with_areas};
    ours = steps;
    areas_of_play = mem_zalloc(sizeof(*areas_of_play) + 2 * sizeof(struct alert_area));
    areas_of_play->n = 2;
    areas_of_play->area[0] = (struct alert_area){STR("buurt"), STR("BU03070101")};
    areas_of_play->area[1] = (struct alert_area){STR("wijk"), STR("WK030701")};
    rig_sql(&rig, "insert into mobeye.team values ('noord')");
    rig_sql(&rig, "insert into mobeye.team_area values ('noord', 'wijk', 'WK030701')");
    rig_sql(&rig, "update mobeye.counter set value = 0");
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    RIG_EXPECT(&rig,
               "select row_to_json(t) from (select accepting, category, priority, kind, device_id, drill, rule, "
               "convert_from(uuid_send(rules), 'UTF8') as rules, team, gap, max_age, moved_over_m, settle, overdue, "
               "verify_within, verify_radius_m, verify_priority, first_seen, last_seen, last_received_at, urgent, "
               "alert_count, active, flaps, st_asewkt(geom) as geom, accuracy_m, location_source, areas, placement_id, "
               "verified_by, status, previous_id, restored_at from mobeye.incident where device_id = 'NL-1') t",
               "{\"accepting\":true,\"category\":\"alarm\",\"priority\":2,\"kind\":\"panic\",\"device_id\":\"NL-1\","
               "\"drill\":false,\"rule\":\"default\",\"rules\":\"rules of the rig\",\"team\":\"noord\","
               "\"gap\":\"04:30:00\",\"max_age\":null,\"moved_over_m\":null,\"settle\":\"00:10:00\","
               "\"overdue\":[\"00:15:00\",\"01:00:00\"],\"verify_within\":\"00:05:00\",\"verify_radius_m\":150,"
               "\"verify_priority\":1,"
               "\"first_seen\":\"2026-11-23T21:04:11+00:00\",\"last_seen\":\"2026-11-23T21:04:11+00:00\","
               "\"last_received_at\":\"2026-11-23T21:04:11+00:00\",\"urgent\":true,\"alert_count\":1,\"active\":1,"
               "\"flaps\":0,\"geom\":\"SRID=4326;POINT(5.38421 52.19634)\",\"accuracy_m\":10,"
               "\"location_source\":\"message\",\"areas\":[\"buurt:BU03070101\",\"wijk:WK030701\"],\"placement_id\":7,"
               "\"verified_by\":null,\"status\":\"new\",\"previous_id\":null,\"restored_at\":null}");
    RIG_EXPECT(&rig,
               "select concat_ws(' ', category, priority, kind, geom is null, location_source, team is null, gap) from "
               "mobeye.incident where device_id = 'NL-2'",
               "service 4 battery t none t 24:00:00");
    RIG_EXPECT(&rig,
               "select string_agg(concat_ws(' ', i.device_id, wijk_code, buurt_code, a.rules = i.rules), ';' order by "
               "a.device_id) from mobeye.alert_decoded a join mobeye.incident i using (incident_id)",
               "NL-1 WK030701 BU03070101 t;NL-2 WK030701 BU03070101 t");
    RIG_EXPECT(&rig,
               "select string_agg(concat_ws(' ', change_id, op, status, priority, category), ';' order by change_id) "
               "from mobeye.change where op = 'new'",
               "1 new new 2 alarm;2 new new 4 service");
    RIG_WAIT(&rig, rig_number(&rig, "select count(*) from mobeye.ruleset where text = 'rules: []'") == 1);
    owner_stop(&owner);
    free(areas_of_play);
}

/* Raises, a repeat, a restore; and five hours later another. */
static const struct step night[] = {
    {0, "NL-1", KIND_MOTION, PHASE_RAISE, 1, &default_rule, 0, 0, 0},
    {60, "NL-1", KIND_MOTION, PHASE_RAISE, 1, NULL, 0, 0, 0},
    {120, "NL-1", KIND_MOTION, PHASE_RESTORE, 0, &default_rule, 0, 0, 0},
    {18300, "NL-1", KIND_MOTION, PHASE_RAISE, 1, &default_rule, 0, 0, 0},
};

static const char night_sql[] =
    "select string_agg(concat_ws(' ', accepting, alert_count, active, first_seen, last_seen, restored_at, status), ';' "
    "order by incident_id) from mobeye.incident";
static const char night_expected[] = "f 2 0 2026-11-23 21:04:11+00 2026-11-23 21:06:11+00 2026-11-23 21:06:11+00 new;"
                                     "t 1 1 2026-11-24 02:09:11+00 2026-11-24 02:09:11+00 new";

ParameterizedTestParameters(incidents, a_gap_ends_an_incident_in_one_batch_or_several)
{
    static size_t rows[] = {1, 2, 3, 4};
    return cr_make_param_array(size_t, rows, STEPS(rows));
}

ParameterizedTest(size_t *batch_rows, incidents, a_gap_ends_an_incident_in_one_batch_or_several)
{
    struct owner owner = {.total = STEPS(night), .batch_rows = *batch_rows, .change = play_ours};
    ours = night;
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    RIG_EXPECT(&rig, night_sql, night_expected);
    RIG_EXPECT(&rig, "select string_agg(incident_id::text, ' ' order by journal_seq) from mobeye.alert", "1 1 1 2");
    RIG_EXPECT(&rig, "select concat_ws(' ', count(*), bool_and(active)) from mobeye.incident_condition", "1 t");
    owner_stop(&owner);
}

Test(incidents, an_alert_that_was_resent_joins_nothing)
{
    struct owner owner = {.total = STEPS(night), .change = play_ours};
    ours = night;
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    rig_sql(&rig, "select mobeye.journal_rewind('11223344-5566-7788-99aa-bbccddeeff01', 0, 0)");
    RIG_WAIT(&rig, owner.positions == 2 && OWNER_STORED(&owner));
    cr_expect_eq(owner.duplicate, STEPS(night));
    RIG_EXPECT(&rig, night_sql, night_expected);
    owner_stop(&owner);
}

Test(incidents, a_restore_closes_service_and_nothing_else)
{
    static const struct step steps[] = {
        {0, "NL-1", KIND_MOTION, PHASE_RAISE, 1, &default_rule, 0, 0, 0},
        {1, "NL-1", KIND_BATTERY, PHASE_RAISE, 1, &technical_rule, 0, 0, 0},
        {2, "NL-1", KIND_BATTERY, PHASE_RAISE, 2, &technical_rule, 0, 0, 0},
        {3, "NL-1", KIND_BATTERY, PHASE_RESTORE, 1, &technical_rule, 0, 0, 0},
        {4, "NL-1", KIND_MOTION, PHASE_RESTORE, 0, &default_rule, 0, 0, 0},
        {5, "NL-1", KIND_BATTERY, PHASE_RESTORE, 0, NULL, 0, 0, 0},
        {6, "NL-1", KIND_BATTERY, PHASE_RAISE, 1, &technical_rule, 0, 0, 0},
    };
    struct owner owner = {.total = STEPS(steps), .batch_rows = 1, .change = play_ours};
    ours = steps;
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    RIG_EXPECT(&rig,
               "select string_agg(concat_ws(' ', category, accepting, status, outcome, closed_by_person, active, "
               "closed_at is null, restored_at), ';' order by incident_id) from mobeye.incident",
               "alarm t new f 0 t 2026-11-23 21:04:15+00;service f closed restored f 0 f 2026-11-23 21:04:16+00;"
               "service t new f 1 t");
    RIG_EXPECT(&rig,
               "select concat_ws(' ', incident_id, actor, action, from_status, to_status, outcome) from "
               "mobeye.incident_history",
               "2 mobeyed status new closed restored");
    RIG_EXPECT(&rig,
               "select string_agg(concat_ws(' ', incident_id, op, status), ';' order by change_id) from mobeye.change",
               "1 new new;2 new new;2 alert new;2 alert new;1 alert new;2 alert closed;2 status closed;3 new new");
    owner_stop(&owner);
}

/* What a person does, by SQL. */
static void close_all(const char *ago)
{
    char sql[300];
    snprintf(sql, sizeof(sql),
             "update mobeye.incident set status = 'closed', accepting = false, closed_by_person = true, outcome = "
             "'no_trace', closed_at = '2026-11-23 21:04:11+00'::timestamptz + interval '%s'",
             ago);
    rig_sql(&rig, sql);
}

Test(incidents, what_comes_after_a_person_closed_it_counts_on_it_or_makes_a_linked_one)
{
    static const struct step steps[] = {
        {0, "NL-1", KIND_MOTION, PHASE_RAISE, 1, &default_rule, 0, 0, 0},
        {300, "NL-1", KIND_MOTION, PHASE_RAISE, 1, &default_rule, 0, 0, 0},
        {1200, "NL-1", KIND_MOTION, PHASE_RAISE, 1, &default_rule, 0, 0, 0},
    };
    struct owner owner = {.total = 1, .change = play_ours};
    ours = steps;
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    close_all("1 minute");
    owner_more(&owner, 1);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    RIG_EXPECT(&rig, "select concat_ws(' ', count(*), max(alert_count), max(status)) from mobeye.incident",
               "1 2 closed");
    owner_more(&owner, 1);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    RIG_EXPECT(&rig,
               "select string_agg(concat_ws(' ', accepting, alert_count, status, previous_id), ';' order by "
               "incident_id) from mobeye.incident",
               "f 2 closed;t 1 new 1");
    owner_stop(&owner);
}

/* Though it is raised again in the same batch. */
Test(incidents, a_mute_until_restored_ends_with_the_restore)
{
    static const struct step steps[] = {
        {0, "NL-1", KIND_MOTION, PHASE_RAISE, 1, &default_rule, 0, 0, 0},
        {1, "NL-1", KIND_MOTION, PHASE_RAISE, 2, &default_rule, 0, 0, 0},
        {10, "NL-1", KIND_MOTION, PHASE_RESTORE, 1, &default_rule, 0, 0, 0},
        {11, "NL-1", KIND_MOTION, PHASE_RESTORE, 2, &default_rule, 0, 0, 0},
        {12, "NL-1", KIND_MOTION, PHASE_RAISE, 1, &default_rule, 0, 0, 0},
    };
    static const char muted[] = "select concat_ws(' ', count(m), max(i.active)) from mobeye.incident i left join "
                                "mobeye.active_mute m using (incident_id)";
    struct owner owner = {.total = 2, .change = play_ours};
    ours = steps;
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    rig_sql(&rig,
            "insert into mobeye.mute (device_id, incident_id, until, reason, muted_by) "
            "select device_id, incident_id, now() + interval '1 day', 'door is open', 'jan' from mobeye.incident");
    owner_more(&owner, 1);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    RIG_EXPECT(&rig, muted, "1 1");
    owner_more(&owner, 2);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    RIG_EXPECT(&rig, muted, "0 1");
    owner_stop(&owner);
}

/* What comes after the gap belongs to the next incident, however soon it is restored. */
Test(incidents, a_mute_until_restored_ends_when_the_condition_goes_on_to_another_incident)
{
    static const struct step steps[] = {
        {0, "NL-1", KIND_MOTION, PHASE_RAISE, 1, &default_rule, 0, 0, 0},
        {18300, "NL-1", KIND_MOTION, PHASE_RAISE, 1, &default_rule, 0, 0, 0},
        {18300, "NL-1", KIND_MOTION, PHASE_RESTORE, 1, &default_rule, 0, 0, 0},
    };
    struct owner owner = {.total = 1, .change = play_ours};
    ours = steps;
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    rig_sql(&rig, "insert into mobeye.mute (device_id, incident_id, at, until, reason, muted_by) "
                  "select device_id, incident_id, last_received_at, last_received_at + interval '1 year', 'stuck', "
                  "'jan' from mobeye.incident");
    RIG_EXPECT(&rig, "select count(*) from patrol.queue", "0");
    owner_more(&owner, 2);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    RIG_EXPECT(&rig,
               "select string_agg(concat_ws(' ', incident_id, restored_at is null), ';' order by incident_id) "
               "from patrol.queue",
               "1 t;2 f");
    RIG_EXPECT(&rig, "select string_agg(op, ' ' order by change_id) from mobeye.change where incident_id = 1", "new");
    owner_stop(&owner);
}

/* Two daemons may store in a different order than they received. */
Test(incidents, the_first_receipt_is_the_earliest)
{
    static const struct step steps[] = {
        {60, "NL-1", KIND_MOTION, PHASE_RAISE, 1, &default_rule, 0, 0, 0},
        {90, "NL-1", KIND_MOTION, PHASE_RAISE, 1, &default_rule, 0, 0, 0},
        {30, "NL-1", KIND_MOTION, PHASE_RAISE, 2, &default_rule, 0, 0, 0},
    };
    struct owner owner = {.total = 2, .batch_rows = 1, .change = play_ours};
    static const char received[] = "select concat_ws(' ', first_received_at, last_received_at) from mobeye.incident";
    ours = steps;
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    RIG_EXPECT(&rig, received, "2026-11-23 21:05:11+00 2026-11-23 21:05:41+00");
    owner_more(&owner, 1);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    RIG_EXPECT(&rig, received, "2026-11-23 21:04:41+00 2026-11-23 21:05:41+00");
    owner_stop(&owner);
}

/* The person's transaction is in progress when the daemon reads: it is waited for. */
Test(incidents, a_person_who_is_closing_it_comes_first)
{
    static const struct step steps[] = {
        {0, "NL-1", KIND_MOTION, PHASE_RAISE, 1, &default_rule, 0, 0, 0},
        {1200, "NL-1", KIND_MOTION, PHASE_RAISE, 1, &default_rule, 0, 0, 0},
    };
    struct owner owner = {.total = 1, .change = play_ours};
    ours = steps;
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    rig_sql(&rig, "begin");
    close_all("1 minute");
    owner_more(&owner, 1);
    RIG_WAIT(&rig, rig_waits(&rig, "amersfoort-1"));
    rig_sql(&rig, "commit");
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    RIG_EXPECT(&rig,
               "select string_agg(concat_ws(' ', accepting, alert_count, status, previous_id), ';' order by "
               "incident_id) from mobeye.incident",
               "f 1 closed;t 1 new 1");
    owner_stop(&owner);
}

static const char *const streets[] = {"NL-1", "NL-2", "NL-3", "NL-4", "NL-5", "NL-6", "NL-7", "NL-8", "NL-9", "NL-10"};

static void crowd(struct batch_row *row, uint64_t seq)
{
    struct step step = {
        (int)seq, streets[seq * 7 % 10], KIND_MOTION, PHASE_RAISE, 1 + (int)(seq / 10 % 3), &default_rule, 0, 0, 0};
    if (seq > 100 && seq % 11 == 4)
        step.phase = PHASE_RESTORE;
    play(row, &step);
}

Test(incidents, two_daemons_at_once_make_one_of_each_key)
{
    struct owner one = {.total = 600, .batch_rows = 20, .change = crowd};
    struct owner other = {.total = 600, .batch_rows = 15, .change = crowd, .journal = {9, 1}};
    owner_start(&one, &rig, "one", rig.conninfo);
    owner_start(&other, &rig, "other", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&one) && OWNER_STORED(&other));
    cr_expect_eq(one.committed + other.committed, 1200);
    cr_expect_eq(one.downs + other.downs, 0);
    RIG_EXPECT(&rig, "select concat_ws(' ', count(*), bool_and(accepting)) from mobeye.incident", "10 t");
    RIG_EXPECT(&rig,
               "select count(*) from mobeye.incident i where alert_count <> (select count(*) from mobeye.alert a where "
               "a.incident_id = i.incident_id and phase = 0 /* raise */)",
               "0");
    RIG_EXPECT(&rig, "select count(*) from mobeye.alert where incident_id is null", "0");
    RIG_EXPECT(
        &rig,
        "select count(*) from mobeye.incident i where active <> (select count(*) from mobeye.incident_condition t "
        "where t.incident_id = i.incident_id and t.active)",
        "0");
    owner_stop(&one);
    owner_stop(&other);
}

/* One has created the incident of the first step, but not committed it, when the other comes with the second. */
static void expect_other_joins(const struct step steps[2])
{
    struct owner one = {.instance = "one", .total = 0, .change = play_ours};
    struct owner other = {.instance = "other", .total = 0, .change = play_theirs, .journal = {9, 1}};
    ours = steps;
    theirs = steps + 1;
    owner_start(&one, &rig, "one", rig.conninfo);
    owner_start(&other, &rig, "other", rig.conninfo);
    RIG_WAIT(&rig, one.up && other.up);
    rig_sql(&rig, "begin; lock table mobeye.alert in share mode");
    owner_more(&one, 1);
    RIG_WAIT(&rig, rig_waits(&rig, "one"));
    owner_more(&other, 1);
    RIG_WAIT(&rig, rig_waits(&rig, "other"));
    rig_sql(&rig, "commit");
    RIG_WAIT(&rig, OWNER_STORED(&one) && OWNER_STORED(&other));
    RIG_EXPECT(&rig, "select concat_ws(' ', count(*), sum(alert_count), sum(active)) from mobeye.incident", "1 2 1");
    cr_expect_eq(writer_counts(other.writer).restarts, 1);
    cr_expect_eq(other.folds, 2);
    owner_stop(&one);
    owner_stop(&other);
}

Test(incidents, a_key_that_another_daemon_is_making_is_joined)
{
    static const struct step steps[] = {
        {0, "NL-1", KIND_MOTION, PHASE_RAISE, 1, &default_rule, 0, 0, 0},
        {1, "NL-1", KIND_MOTION, PHASE_RAISE, 1, &default_rule, 0, 0, 0},
    };
    expect_other_joins(steps);
}

/* The rules of the two give different keys for one condition: it leads to one incident, and is active in one. */
Test(incidents, a_thread_that_another_daemon_is_making_is_followed)
{
    static const struct step steps[] = {
        {0, "NL-1", KIND_MOTION, PHASE_RAISE, 1, &default_rule, 0, 0, 0},
        {1, "NL-1", KIND_MOTION, PHASE_RAISE, 1, &endpoint_rule, 0, 0, 0},
    };
    expect_other_joins(steps);
}

/* The database is retried from time to time, not continuously. */
Test(incidents, a_thread_to_an_incident_that_was_deleted_by_hand_waits_for_maintenance)
{
    struct owner owner = {.total = 1, .change = play_ours};
    ours = night;
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    rig_sql(&rig, "delete from mobeye.incident");
    owner_more(&owner, 3);
    RIG_WAIT(&rig, strstr(writer_state(owner.writer), "does not exist"));
    rig_sql(&rig, "select mobeye.purge('1 year')");
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    owner_stop(&owner);
}

static void kill_backends(void)
{
    rig_sql(&rig,
            "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'mobeye_ingest' and datname = "
            "current_database()");
}

Test(incidents, a_commit_whose_answer_was_lost_counts_once)
{
    struct owner owner = {.total = 0, .change = play_ours};
    ours = night;
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, owner.up);
    rig_sql(&rig, "create function mobeye.wait() returns trigger language plpgsql as $$ begin "
                  "perform pg_advisory_xact_lock(1); return null; end $$");
    rig_sql(&rig, "grant execute on function mobeye.wait() to public");
    rig_sql(&rig,
            "create constraint trigger wait after insert on mobeye.incident deferrable initially deferred for each row "
            "execute function mobeye.wait()");
    rig_sql(&rig, "select pg_advisory_lock(1)");
    owner_more(&owner, STEPS(night));
    RIG_WAIT(&rig, rig_number(&rig, "select count(*) from pg_stat_activity where query like '%commit' and wait_event = "
                                    "'advisory' and datname = current_database()") == 1);
    kill_backends();
    RIG_WAIT(&rig, owner.positions == 2);
    rig_sql(&rig, "select pg_advisory_unlock(1)");
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    RIG_EXPECT(&rig,
               "select string_agg(concat_ws(' ', accepting, alert_count), ';' order by incident_id) from "
               "mobeye.incident",
               "f 2;t 1");
    RIG_EXPECT(&rig, "select string_agg(concat_ws(' ', change_id, op), ';' order by change_id) from mobeye.change",
               "1 new;2 new");
    owner_stop(&owner);
}

static void play_poison(struct batch_row *row, uint64_t seq)
{
    play_ours(row, seq);
    if (seq == 2)
        row->alert.event_id = STR("poison");
}

Test(incidents, an_alert_that_is_refused_counts_nowhere)
{
    struct owner owner = {.total = STEPS(night), .change = play_poison};
    ours = night;
    rig_sql(&rig, "alter table mobeye.alert add constraint no_poison check (event_id <> 'poison')");
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    cr_expect_eq(owner.quarantined, 1);
    RIG_EXPECT(&rig,
               "select string_agg(concat_ws(' ', accepting, alert_count, active), ';' order by incident_id) from "
               "mobeye.incident",
               "f 1 0;t 1 1");
    RIG_EXPECT(&rig, "select count(*) from mobeye.change", "2");
    owner_stop(&owner);
}

Test(incidents, a_batch_from_an_older_registry_is_prepared_again)
{
    struct owner owner = {.total = 1, .batch_rows = 1, .change = play_ours};
    ours = night;
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    rig_sql(&rig, "update mobeye.counter set value = 5 where name = 'registry'");
    rig_sql(&rig, "update mobeye.counter set value = 3 where name = 'areas'");
    owner_more(&owner, 3);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    cr_expect_eq(owner.stales, 1);
    cr_expect_eq(owner.registry_version, 5);
    cr_expect_eq(owner.areas_version, 3);
    cr_expect_eq(owner.committed, 4);
    cr_expect_eq(writer_counts(owner.writer).stale, 1);
    RIG_EXPECT(&rig, night_sql, night_expected);
    owner_stop(&owner);
}

/* So that somebody who keeps editing does not keep alerts from being stored. */
Test(incidents, a_batch_that_was_received_before_the_registry_was_read_is_not_prepared_again)
{
    struct owner owner = {.total = STEPS(night), .batch_rows = 1, .change = play_ours, .settled = true};
    ours = night;
    rig_sql(&rig, "update mobeye.counter set value = 5");
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    cr_expect_eq(owner.stales, 0);
    cr_expect_eq(owner.positions, 1);
    owner_stop(&owner);
}

Test(incidents, a_first_batch_from_an_older_registry_is_prepared_again)
{
    struct owner owner = {.total = STEPS(night), .change = play_ours};
    ours = night;
    rig_sql(&rig, "update mobeye.counter set value = 5 where name = 'registry'");
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    cr_expect_eq(owner.stales, 1);
    RIG_EXPECT(&rig, night_sql, night_expected);
    owner_stop(&owner);
}

/* Somebody has an uncommitted change: nobody waits, and its number is assigned after its commit. */
Test(incidents, changes_are_numbered_in_the_order_of_commits)
{
    struct owner one = {.total = 200, .batch_rows = 10, .change = crowd};
    struct owner other = {.total = 200, .batch_rows = 15, .change = crowd, .journal = {9, 1}};
    rig_sql(&rig, "begin; insert into mobeye.change (incident_id, op, status, priority, category) values "
                  "(0, 'note', 'new', 1, 'alarm'), (0, 'link', 'new', 1, 'alarm')");
    owner_start(&one, &rig, "one", rig.conninfo);
    owner_start(&other, &rig, "other", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&one) && OWNER_STORED(&other));
    long long before = rig_number(&rig, "select value from mobeye.counter where name = 'changes'");
    /* Verification is post-commit work: its changes are numbered within a second. */
    RIG_WAIT(&rig, rig_number(&rig, "select count(*) from mobeye.change where change_id is null") == 2);
    RIG_EXPECT(&rig, "select count(*) - max(change_id) from mobeye.change where change_id is not null", "0");
    rig_sql(&rig, "commit");
    RIG_WAIT(&rig, rig_number(&rig, "select count(*) from mobeye.change where change_id is null") == 0);
    cr_expect_geq(rig_number(&rig, "select change_id from mobeye.change where op = 'note'"), before + 1);
    RIG_EXPECT(&rig,
               "select concat_ws(' ', count(*) filter (where change_id is null), count(distinct change_id) = count(*), "
               "(select change_id from mobeye.change where op = 'link') - (select change_id from mobeye.change where "
               "op = 'note')) from mobeye.change",
               "0 t 1");
    owner_stop(&one);
    owner_stop(&other);
}
