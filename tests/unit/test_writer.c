/* The writer against a real PostgreSQL: what is stored, and that it is stored once. */
#include "writer_rig.h"

static struct rig rig;

static void setup(void)
{
    rig_open(&rig);
}

static void teardown(void)
{
    if (rig.loop)
        rig_close(&rig);
}

TestSuite(writer, .init = setup, .fini = teardown, .timeout = 300);

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
        alert->location_source = LOCATION_MESSAGE;
        alert->place_lon = 5.38421;
        alert->place_lat = -52.19634;
        alert->place_accuracy_m = 12.5f;
        alert->rule = STR("hotspot-night");
        alert->payload = STR("{\"a\": [1, \"\\u00e9\xc3\xa9\", null]}");
        alert->received_us = RIG_TIME_US + 1;
    } else if (seq == 2) {
        alert->kind = KIND_CAMERA;
        alert->phase = PHASE_UPDATE;
        alert->skew_us = ALERT_NO_TIME;
        alert->input = ALERT_NO_INT;
        alert->location_source = LOCATION_LAST_KNOWN;
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
        "accuracy_m, location_source, rule, incident_id, payload from mobeye.alert where journal_seq = 1) t",
        "{\"class\":\"alarm\",\"occurred_at\":\"2026-11-23T21:04:11.000001+00:00\","
        "\"received_at\":\"2026-11-23T21:04:11.000001+00:00\",\"clock_skew\":\"-25:01:01.000001\","
        "\"source\":\"/mobeye/gateway-a\",\"event_id\":\"000001\",\"instance\":\"amersfoort-1\",\"journal_seq\":1,"
        "\"endpoint\":\"cameras\",\"device_id\":\"NL-0307-00001\",\"kind\":\"panic\",\"phase\":\"restore\","
        "\"input\":-7,\"drill\":true,\"flags\":[\"clock\",\"bad_camera_zone\",\"inaccurate\"],"
        "\"geom\":\"SRID=4326;POINT(5.38421 -52.19634)\",\"accuracy_m\":12.5,\"location_source\":\"message\","
        "\"rule\":\"hotspot-night\",\"incident_id\":null,\"payload\":{\"a\": [1, \"\xc3\xa9\xc3\xa9\", null]}}");
    RIG_EXPECT(&rig,
               "select row_to_json(t) from (select class, occurred_at, clock_skew, phase, input, drill, flags, "
               "accuracy_m, location_source, rule from mobeye.alert where journal_seq = 2) t",
               "{\"class\":\"camera\",\"occurred_at\":\"2026-11-20T21:04:11+00:00\",\"clock_skew\":null,"
               "\"phase\":\"update\",\"input\":null,\"drill\":false,\"flags\":[],\"accuracy_m\":null,"
               "\"location_source\":\"last_known\",\"rule\":null}");
    RIG_EXPECT(&rig,
               "select concat_ws(' ', cardinality(flags), source = '', geom is null) from patrol.alerts "
               "where journal_seq = 3",
               "21 t t");
    RIG_EXPECT(&rig, "select concat_ws(' ', journal, instance, position, checksum) from mobeye.journal_position",
               "11223344-5566-7788-99aa-bbccddeeff01 amersfoort-1 3 -2691343689449507777");
    RIG_EXPECT(&rig, "select count(*) from mobeye.alert_identity where stored_on = (now() at time zone 'utc')::date",
               "3");
}
