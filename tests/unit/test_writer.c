/* The writer against a real PostgreSQL: what is stored, and that it is stored once. */
#include "writer_rig.h"

RIG_SUITE(writer);

static void every_field(struct batch_row *row, uint64_t seq)
{
    struct alert *alert = &row->alert;
    if (seq == 1) {
        alert->kind = KIND_PANIC;
        alert->phase = PHASE_RESTORE;
        alert->input = -7;
        alert->drill = true;
        alert->flags = FLAG_CLOCK | FLAG_BAD_CAMERA_ZONE | FLAG_INACCURATE;
        alert->skew_us = -90061000001;
        alert->place.source = LOCATION_MESSAGE;
        alert->place.lon = 5.38421;
        alert->place.lat = -52.19634;
        alert->place.accuracy_m = 12.5f;
        alert->rule = STR("hotspot-night");
        alert->payload = STR("{\"a\": [1, \"\\u00e9\xc3\xa9\", null]}");
        alert->received_us = RIG_TIME_US + 1;
    } else if (seq == 2) {
        alert->kind = KIND_CAMERA;
        alert->phase = PHASE_UPDATE;
        alert->skew_us = ALERT_NO_TIME;
        alert->input = ALERT_NO_INT;
        alert->place.source = LOCATION_LAST_KNOWN;
        alert->occurred_us = RIG_TIME_US - 3 * CLOCK_DAY;
    } else {
        alert->flags = ALERT_FLAGS_ALL;
        alert->source = STR("");
    }
}

Test(writer, every_field_comes_back)
{
    struct owner owner = {.total = 3, .change = every_field};
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    cr_expect_str_eq(writer_state(owner.writer), "connected");
    cr_expect_gt(writer_partitions_until_us(owner.writer), clock_wall_us());
    owner_stop(&owner);
    RIG_EXPECT(
        &rig,
        "select row_to_json(t) from (select class, occurred_at, received_at, clock_skew, source, event_id, "
        "instance, journal_seq, endpoint, device_id, kind, phase, input, drill, flags, st_asewkt(geom) as geom, "
        "accuracy_m, location_source, rule, incident_id, payload from mobeye.alert_decoded where journal_seq = 1) t",
        "{\"class\":\"alarm\",\"occurred_at\":\"2026-11-23T21:04:11.000001+00:00\","
        "\"received_at\":\"2026-11-23T21:04:11.000001+00:00\",\"clock_skew\":\"-25:01:01.000001\","
        "\"source\":\"/mobeye/gateway-a\",\"event_id\":\"000001\",\"instance\":\"amersfoort-1\",\"journal_seq\":1,"
        "\"endpoint\":\"cameras\",\"device_id\":\"NL-0307-00001\",\"kind\":\"panic\",\"phase\":\"restore\","
        "\"input\":-7,\"drill\":true,\"flags\":[\"clock\",\"bad_camera_zone\",\"inaccurate\"],"
        "\"geom\":\"SRID=4326;POINT(5.38421 -52.19634)\",\"accuracy_m\":12.5,\"location_source\":\"message\","
        "\"rule\":\"hotspot-night\",\"incident_id\":null,\"payload\":{\"a\": [1, \"\xc3\xa9\xc3\xa9\", null]}}");
    RIG_EXPECT(&rig,
               "select row_to_json(t) from (select class, occurred_at, clock_skew, phase, input, drill, flags, "
               "accuracy_m, location_source, rule from mobeye.alert_decoded where journal_seq = 2) t",
               "{\"class\":\"camera\",\"occurred_at\":\"2026-11-20T21:04:11+00:00\",\"clock_skew\":null,"
               "\"phase\":\"update\",\"input\":null,\"drill\":false,\"flags\":[],\"accuracy_m\":null,"
               "\"location_source\":\"last_known\",\"rule\":null}");
    RIG_EXPECT(&rig,
               "select concat_ws(' ', cardinality(flags), source = '', geom is null) from patrol.alerts "
               "where journal_seq = 3",
               "26 t t");
    RIG_EXPECT(&rig, "select concat_ws(' ', journal, instance, position, checksum) from mobeye.journal_position",
               "11223344-5566-7788-99aa-bbccddeeff01 amersfoort-1 3 -2691343689449507777");
    RIG_EXPECT(&rig, "select count(*) from mobeye.alert_identity", "3");
}

static void every_word(struct batch_row *row, uint64_t seq)
{
    struct alert *alert = &row->alert;
    alert->kind = (enum alert_kind)(seq % KIND_COUNT);
    alert->phase = (enum alert_phase)(seq % PHASE_COUNT);
    alert->place.source = (enum location_source)(seq % LOCATION_COUNT);
    alert->flags = alert_flag_word(seq % 32) ? 1u << seq % 32 : 0;
}

/* The schema has the words in mobeye.alert_decoded. */
Test(writer, every_code_is_shown_as_its_word)
{
    char sql[400];
    struct owner owner = {.total = 64, .change = every_word};
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    owner_stop(&owner);
    for (uint64_t seq = 1; seq <= owner.total; seq++) {
        struct batch_row row = {0};
        every_word(&row, seq);
        snprintf(sql, sizeof(sql),
                 "select class = '%s' and kind = '%s' and phase = '%s' and location_source = '%s' and flags = '{%s}' "
                 "from mobeye.alert_decoded where journal_seq = %d",
                 alert_class_word(alert_class(row.alert.kind)), alert_kind_word(row.alert.kind),
                 alert_phase_word(row.alert.phase), alert_location_word(row.alert.place.source),
                 row.alert.flags ? alert_flag_word(seq % 32) : "", (int)seq);
        RIG_EXPECT(&rig, sql, "t");
    }
}

/* Every third record is about the event of the record before it. */
static uint64_t doubled(uint64_t seq)
{
    return seq % 3 == 0 ? seq - 1 : seq;
}

Test(writer, duplicates_within_a_batch_are_stored_once_and_the_earliest_wins)
{
    struct owner owner = {.total = 90, .event = doubled};
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    cr_expect_eq(owner.committed, 60);
    cr_expect_eq(owner.duplicate, 30);
    RIG_EXPECT(&rig, "select count(*) from mobeye.alert where journal_seq % 3 = 0", "0");
    RIG_EXPECT(&rig, "select concat_ws(' ', count(*), count(distinct event_id)) from mobeye.alert", "60 60");
    owner_stop(&owner);
}

static uint64_t every_hundred(uint64_t seq)
{
    return seq % 100;
}

Test(writer, duplicates_across_batches_are_left_out)
{
    struct owner owner = {.total = 1050, .batch_rows = 70, .event = every_hundred};
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    cr_expect_eq(owner.committed, 100);
    cr_expect_eq(owner.duplicate, 950);
    RIG_EXPECT(&rig, "select concat_ws(' ', count(*), count(distinct event_id), max(journal_seq)) from mobeye.alert",
               "100 100 100");
    RIG_EXPECT(&rig, "select count(*) from mobeye.alert_identity", "100");
    /* New ones after a batch consisting only of duplicates. */
    owner.event = NULL;
    owner_more(&owner, 100);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    cr_expect_eq(owner.committed, 200);
    owner_stop(&owner);
}

static uint64_t backwards(uint64_t seq)
{
    return 3001 - seq;
}

Test(writer, two_writers_with_the_same_alerts_in_another_order_store_each_once)
{
    struct owner forth = {.total = 3000, .batch_rows = 150};
    struct owner back = {.total = 3000, .batch_rows = 130, .event = backwards, .journal = {9, 1}};
    owner_start(&forth, &rig, "same", rig.conninfo);
    owner_start(&back, &rig, "same", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&forth) && OWNER_STORED(&back));
    cr_expect_eq(forth.committed + back.committed, 3000);
    cr_expect_eq(forth.duplicate + back.duplicate, 3000);
    cr_expect_eq(forth.downs + back.downs, 0);
    RIG_EXPECT(&rig, "select concat_ws(' ', count(*), count(distinct event_id)) from mobeye.alert", "3000 3000");
    RIG_EXPECT(&rig, "select deadlocks from pg_stat_database where datname = current_database()", "0");
    owner_stop(&forth);
    owner_stop(&back);
}

static void third_unreadable(struct batch_row *row, uint64_t seq)
{
    if (seq % 3 == 0)
        row->unreadable = "the record does not check";
}

Test(writer, unreadable_records_go_to_quarantine_once)
{
    struct owner owner = {.total = 6, .change = third_unreadable};
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    cr_expect_eq(owner.committed, 4);
    cr_expect_eq(owner.quarantined, 2);
    RIG_EXPECT(
        &rig,
        "select string_agg(concat_ws(' ', journal_seq, reason, identity, sqlstate, instance, length(record)), ';' "
        "order by journal_seq) from mobeye.quarantine",
        "3 the record does not check amersfoort-1 269;6 the record does not check amersfoort-1 269");
    rig_sql(&rig, "select mobeye.journal_rewind('11223344-5566-7788-99aa-bbccddeeff01', 0, 0)");
    RIG_WAIT(&rig, owner.positions == 2);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    cr_expect_eq(owner.quarantined, 2);
    cr_expect_eq(owner.duplicate, 6);
    RIG_EXPECT(&rig, "select count(*) from mobeye.quarantine", "2");
    /* A batch with nothing to store but the position. */
    owner.change = NULL;
    owner_more(&owner, 1);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    cr_expect_eq(owner.committed, 5);
    owner_stop(&owner);
}

static void all_unreadable(struct batch_row *row, uint64_t seq)
{
    (void)seq;
    row->unreadable = "the record does not check";
}

Test(writer, a_batch_of_damaged_records_alone_moves_the_position)
{
    struct owner owner = {.total = 2, .change = all_unreadable};
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    cr_expect_eq(owner.quarantined, 2);
    RIG_EXPECT(&rig, "select position from mobeye.journal_position", "2");
    owner_stop(&owner);
}

Test(writer, a_position_that_was_set_back_is_told_and_nothing_is_doubled)
{
    struct owner owner = {.total = 500};
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    cr_expect_eq(owner.positions, 1);
    cr_expect_not(owner.position.known);
    rig_sql(&rig, "select mobeye.journal_rewind('11223344-5566-7788-99aa-bbccddeeff01', 120, 99)");
    RIG_WAIT(&rig, owner.positions == 2);
    cr_expect(owner.position.known);
    cr_expect_eq(owner.position.position, 120);
    cr_expect_eq(owner.position.checksum, 99);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    cr_expect_eq(owner.duplicate, 380);
    cr_expect_eq(owner.committed, 500);
    /* From another journal: irrelevant to us. */
    rig_sql(&rig, "notify mobeye_journal, '00000000-0000-0000-0000-000000000000'");
    owner_more(&owner, 100);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    cr_expect_eq(owner.positions, 2);
    owner_stop(&owner);
}

Test(writer, a_position_that_moved_behind_our_back_is_found_by_the_next_batch)
{
    struct owner owner = {.total = 100};
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    for (unsigned i = 0; i < 2; i++) {
        /* The second time duplicates are expected, which is another way through the transaction. */
        rig_sql(&rig, "update mobeye.journal_position set position = 50");
        owner_more(&owner, 10);
        RIG_WAIT(&rig, OWNER_STORED(&owner));
        cr_expect_eq(owner.positions, 2 + i);
        cr_expect_eq(owner.position.position, 50);
    }
    rig_sql(&rig, "delete from mobeye.journal_position");
    owner_more(&owner, 10);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    cr_expect_not(owner.position.known);
    cr_expect_eq(owner.committed, 130);
    RIG_EXPECT(&rig, "select concat_ws(' ', count(*), count(distinct event_id)) from mobeye.alert", "130 130");
    owner_stop(&owner);
}

Test(writer, a_journal_that_takes_a_new_uuid_is_asked_for_again)
{
    static const uint8_t fresh[16] = {0xaa};
    struct owner owner = {.total = 200};
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    owner.next_journal = fresh;
    rig_sql(&rig, "select mobeye.journal_rewind('11223344-5566-7788-99aa-bbccddeeff01', 100, 1)");
    RIG_WAIT(&rig, owner.positions == 3 && OWNER_STORED(&owner));
    cr_expect_not(owner.position.known);
    cr_expect_eq(owner.duplicate, 200);
    RIG_EXPECT(&rig,
               "select string_agg(concat_ws(' ', left(journal::text, 4), position), ';' order by position) from "
               "mobeye.journal_position",
               "1122 100;aa00 200");
    owner_stop(&owner);
}

static void long_ago(struct batch_row *row, uint64_t seq)
{
    if (seq % 10 == 3)
        row->alert.occurred_us = (INT64_C(1700000000) + (int64_t)seq * 86400) * CLOCK_SECOND;
}

Test(writer, a_missing_partition_is_made)
{
    struct owner owner = {.total = 100, .change = long_ago};
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    cr_expect_eq(owner.committed, 100);
    cr_expect_eq(owner.quarantined, 0);
    RIG_EXPECT(&rig, "select count(*) from mobeye.alert where occurred_at < '2025-01-01'", "10");
    owner_stop(&owner);
}

static void before_computers(struct batch_row *row, uint64_t seq)
{
    if (seq == 7)
        row->alert.occurred_us = -CLOCK_DAY;
}

Test(writer, an_alert_that_no_partition_can_be_made_for_is_quarantined)
{
    struct owner owner = {.total = 20, .change = before_computers};
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    cr_expect_eq(owner.committed, 19);
    RIG_EXPECT(&rig, "select concat_ws(' ', journal_seq, sqlstate) from mobeye.quarantine", "7 23514");
    owner_stop(&owner);
}

struct schema_case {
    const char *before, *repair, *says;
};

static const struct schema_case schema_cases[] = {
    {"create table mobeye.kept as select * from mobeye.schema_version; "
     "delete from mobeye.schema_version where version > 1",
     "insert into mobeye.schema_version select * from mobeye.kept where version > 1", "older"},
    {"insert into mobeye.schema_version values (99, 'later')", "delete from mobeye.schema_version where version = 99",
     "newer"},
    {"alter table mobeye.schema_version rename to hidden", "alter table mobeye.hidden rename to schema_version",
     "no schema"},
    {"alter schema mobeye rename to hidden", "alter schema hidden rename to mobeye", "no schema"},
    {"revoke all on schema mobeye from mobeye_ingest", "grant usage on schema mobeye to mobeye_ingest",
     "permission denied"},
};

/* The parameter is an index: the test runs in another process, where pointers point elsewhere. */
ParameterizedTestParameters(writer, a_schema_that_is_not_ours_is_waited_for)
{
    static size_t indices[] = {0, 1, 2, 3, 4};
    return cr_make_param_array(size_t, indices, sizeof(indices) / sizeof(indices[0]));
}

ParameterizedTest(size_t *index, writer, a_schema_that_is_not_ours_is_waited_for)
{
    const struct schema_case *schema = &schema_cases[*index];
    struct owner owner = {.total = 10};
    rig_sql(&rig, schema->before);
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, strstr(writer_state(owner.writer), schema->says));
    cr_expect_not(owner.up);
    cr_expect_not(writer_wants(owner.writer));
    rig_sql(&rig, schema->repair);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    cr_expect(owner.up);
    owner_stop(&owner);
}

Test(writer, a_table_that_refuses_everything_is_waited_for)
{
    struct owner owner = {.total = 10};
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    rig_sql(&rig, "revoke insert on mobeye.alert from mobeye_ingest");
    owner_more(&owner, 10);
    RIG_WAIT(&rig, strstr(writer_state(owner.writer), "permission denied"));
    cr_expect(owner.up, "the connection is");
    cr_expect_eq(owner.stored_seq, 10);
    rig_sql(&rig, "grant insert on mobeye.alert to mobeye_ingest");
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    cr_expect_eq(owner.committed, 20);
    cr_expect_eq(owner.positions, 1);
    RIG_EXPECT(&rig, "select count(*) from mobeye.quarantine", "0");
    owner_stop(&owner);
}

Test(writer, another_database_is_used_after_the_transaction_on_its_way)
{
    struct rig other;
    struct owner owner = {.total = 1000};
    rig_open(&other);
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, owner.stored_seq >= 300);
    rig_reconfigure(&owner, other.conninfo, "amersfoort-2");
    RIG_WAIT(&rig, owner.positions == 2 && OWNER_STORED(&owner));
    RIG_EXPECT(&other, "select concat_ws(' ', count(*), min(instance), max(instance)) from mobeye.alert_decoded",
               "1000 amersfoort-2 amersfoort-2");
    RIG_EXPECT(&other,
               "select application_name from pg_stat_activity where usename = 'mobeye_ingest' and datname = "
               "current_database() and application_name not like '% post-commit'",
               "mobeyed amersfoort-2");
    owner_stop(&owner);
    rig_close(&other);
}

/* Whatever is set for the database. */
Test(writer, its_sessions_commit_durably_and_read_what_is_committed)
{
    struct owner owner = {.total = 10};
    rig_sql(&rig,
            "do $$ begin execute format('alter database %I set synchronous_commit = off', current_database());"
            " execute format('alter database %I set idle_session_timeout = 9999999', current_database());"
            " execute format('alter database %I set statement_timeout = 60000', current_database());"
            " execute format('alter database %I set default_transaction_isolation = serializable', current_database());"
            " execute format('alter database %I set standard_conforming_strings = off', current_database()); end $$");
    rig_sql(&rig,
            "alter table mobeye.journal_position add constraint as_it_should_be check ("
            "current_setting('synchronous_commit') = 'on' and current_setting('standard_conforming_strings') = 'on' "
            "and current_setting('default_transaction_isolation') = 'read committed' "
            "and current_setting('idle_session_timeout') = '0' and current_setting('statement_timeout') = '0' "
            "and current_setting('idle_in_transaction_session_timeout') = '1min')");
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    owner_stop(&owner);
    cr_expect_eq(owner.committed, 10u);
}

Test(writer, its_sessions_commit_durably_after_a_reload_of_the_server_too)
{
    struct owner owner = {.total = 10};
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    rig_sql(&rig, "alter table mobeye.journal_position add constraint durable check ("
                  "current_setting('synchronous_commit') = 'on') not valid");
    rig_sql(&rig, "alter system set synchronous_commit = off");
    rig_sql(&rig, "select pg_reload_conf()");
    RIG_WAIT(&rig, rig_number(
                       &rig, "select count(*) from pg_settings where name = 'synchronous_commit' and setting = 'off'"));
    owner_more(&owner, 10);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    rig_sql(&rig, "alter system reset synchronous_commit");
    rig_sql(&rig, "select pg_reload_conf()");
    owner_stop(&owner);
    cr_expect_eq(owner.committed, 20u);
}

Test(writer, is_freed_at_once_where_the_server_hangs)
{
    struct owner owner = {.total = 100};
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    rig_sql(&rig, "begin; lock table mobeye.alert_identity in exclusive mode");
    owner_more(&owner, 300);
    RIG_WAIT(&rig, rig_waits(&rig, "amersfoort-1"));
    owner_stop(&owner);
    rig_sql(&rig, "commit");
}
