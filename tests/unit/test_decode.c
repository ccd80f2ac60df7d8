/* CloudEvents JSON to alert: the table of messages, and what each member becomes. */
#include <criterion/criterion.h>
#include <libpq-fe.h>
#include <math.h>

#include "../messages/messages.h"
#include "alert_equal.h"
#include "conf/conf.h"
#include "enrich/location.h"
#include "ingest/decode_cloudevents.h"
#include "ingest/validate.h"
#include "model/record.h"

#define TABLE MOBEYE_SOURCE "/tests/messages/cloudevents.txt"
#define NOW   INT64_C(1795467851250000) /* 2026-11-23T21:04:11.250Z */

static struct cloudevents_decoder *decoder;
static struct alert alert;
static struct reject reject;

static void setup(void)
{
    decoder = cloudevents_decoder_new();
}

static void teardown(void)
{
    cloudevents_decoder_free(&decoder);
}

TestSuite(decode, .init = setup, .fini = teardown);

static bool decode(const char *text)
{
    return decode_cloudevents(decoder, str_from(text), &alert, &reject);
}

#define HEAD "{\"specversion\":\"1.0\",\"id\":\"a\",\"source\":\"/s\",\"type\":\"mobeye.alert.v1\""
#define DATA "\"data\":{\"device\":\"NL-1\",\"kind\":\"motion\""

static char *flag_words(uint32_t flags)
{
    static char words[512];
    words[0] = '\0';
    for (unsigned bit = 0; alert_flag_word(bit); bit++)
        if (flags & (1u << bit)) {
            strcat(words, alert_flag_word(bit));
            strcat(words, " ");
        }
    return words;
}

/* ---- the table ---- */

static void check_accepted(const struct message *message)
{
    static const struct conf bounds = {.has_bounds = true, .bounds = {3.2, 50.7, 7.3, 53.6}};
    validate_time(&alert, NOW, NULL);
    location_set(&alert, &bounds, NULL);
    cr_expect(message->accept, "%s: accepted", message->name);
    cr_expect(alert.flags == message->flags, "%s: flags are %s", message->name, flag_words(alert.flags));
    cr_expect(str_eq(alert.event_id, buf_str(&message->id)), "%s: id", message->name);
    cr_expect(str_eq(alert.payload, buf_str(&message->bytes)), "%s: payload", message->name);
    cr_expect_eq(alert.place.lon != 0, alert.place.source == LOCATION_MESSAGE, "%s: place", message->name);
}

static void check_refused(const struct message *message)
{
    cr_expect(!message->accept, "%s: refused: %s: %s: %s", message->name, reject_word(reject.code), reject.field,
              reject.reason);
    cr_expect(reject.code == message->code, "%s: %s", message->name, reject_word(reject.code));
    cr_expect_str_eq(reject.field, message->field, "%s: %s", message->name, reject.field);
    cr_expect(str_eq(reject.id, buf_str(&message->id)), "%s: id is %.*s", message->name, (int)reject.id.len,
              reject.id.p);
    cr_expect(reject.reason[0], "%s: a reason", message->name);
}

Test(decode, every_message_of_the_table_becomes_what_it_says)
{
    struct messages table = messages_load(TABLE, NOW);
    cr_assert(table.n >= 150);
    for (size_t i = 0; i < table.n; i++) {
        const struct message *message = &table.all[i];
        if (decode_cloudevents(decoder, buf_str(&message->bytes), &alert, &reject))
            check_accepted(message);
        else
            check_refused(message);
    }
    messages_free(&table);
}

Test(decode, the_table_reaches_every_flag_code_and_field)
{
    static const char *const fields[] = {"specversion", "id", "source", "type", "data", "data.device", "data.kind"};
    struct messages table = messages_load(TABLE, NOW);
    uint32_t flags = 0;
    unsigned codes[REJECT_COUNT] = {0}, invalid[7] = {0};
    for (size_t i = 0; i < table.n; i++) {
        flags |= table.all[i].flags;
        if (table.all[i].accept)
            continue;
        codes[table.all[i].code]++;
        for (int j = 0; j < 7; j++)
            invalid[j] += table.all[i].code == REJECT_INVALID && strcmp(table.all[i].field, fields[j]) == 0;
    }
    /* Without those of DC-09, of the image and of the database. */
    uint32_t due = ALERT_FLAGS_ALL &
                   ~(uint32_t)(FLAG_STALE | FLAG_VERIFIED | FLAG_CANCEL | FLAG_IDENTITY_CONFLICT | FLAG_BAD_IMAGE);
    cr_expect(flags == due, "missing: %s", flag_words(due & ~flags));
    for (int i = 0; i < REJECT_COUNT; i++)
        cr_expect(codes[i] > 0, "no message is %s", reject_word((enum reject_code)i));
    for (int j = 0; j < 7; j++)
        cr_expect(invalid[j] >= 3, "%s", fields[j]);
    messages_free(&table);
}

Test(decode, an_accepted_message_survives_its_record)
{
    struct messages table = messages_load(TABLE, NOW);
    struct buf record = {0};
    for (size_t i = 0; i < table.n; i++) {
        if (!decode_cloudevents(decoder, buf_str(&table.all[i].bytes), &alert, &reject))
            continue;
        validate_time(&alert, NOW, NULL);
        alert.endpoint = STR("cameras");
        record.len = 0;
        record_pack(&record, &alert);
        struct alert back;
        struct err err;
        cr_assert_eq(record_unpack(buf_str(&record), &back, &err), 0, "%s: %s", table.all[i].name, err.text);
        const char *difference = alert_difference(&alert, &back);
        cr_expect(!difference, "%s: %s", table.all[i].name, difference);
    }
    buf_free(&record);
    messages_free(&table);
}

/* With a database to ask, as in MOBEYE_TEST_CONNINFO="host=/run/postgresql dbname=postgres". */
Test(decode, postgresql_takes_what_is_accepted)
{
    const char *conninfo = getenv("MOBEYE_TEST_CONNINFO");
    if (!conninfo)
        cr_skip_test("MOBEYE_TEST_CONNINFO is not set");
    PGconn *db = PQconnectdb(conninfo);
    cr_assert_eq(PQstatus(db), CONNECTION_OK, "%s", PQerrorMessage(db));
    struct messages table = messages_load(TABLE, NOW);
    for (size_t i = 0; i < table.n; i++) {
        if (!decode_cloudevents(decoder, buf_str(&table.all[i].bytes), &alert, &reject))
            continue;
        const char *text = alert.payload.p;
        int len = (int)alert.payload.len;
        char *copy = mem_strndup(text, (size_t)len);
        PGresult *result =
            PQexecParams(db, "select jsonb_typeof($1::jsonb)", 1, NULL, (const char *const[]){copy}, NULL, NULL, 0);
        cr_expect(PQresultStatus(result) == PGRES_TUPLES_OK, "%s: %s", table.all[i].name, PQerrorMessage(db));
        PQclear(result);
        free(copy);
    }
    messages_free(&table);
    PQfinish(db);
}

/* ---- members ---- */

Test(decode, every_member_of_the_example_is_read)
{
    cr_assert(decode("{\"specversion\": \"1.0\", \"id\": \"7f1c-000123\", \"source\": \"/mobeye/gateway-1\","
                     "\"type\": \"mobeye.alert.v1\", \"time\": \"2026-11-23T21:04:11.250Z\", \"data\": {"
                     "\"device\": \"NL-0307-00042\", \"kind\": \"camera\", \"phase\": \"update\", \"input\": 1,"
                     "\"location\": {\"type\": \"Point\", \"coordinates\": [5.38421, 52.19634], \"accuracy_m\": 12,"
                     "\"fix_time\": \"2026-11-23T21:04:02Z\"}, \"battery_pct\": 88, \"signal_dbm\": -91,"
                     "\"text\": \"Beweging hal\", \"drill\": true, \"camera\": {\"label\": \"person\","
                     "\"score\": 0.87, \"box\": [0.1, 0.2, 0.4, 0.9], \"track\": \"1732394651.2-x9\","
                     "\"camera_zone\": \"oprit\"}}}"),
              "%s", reject.reason);
    cr_expect_eq(alert.format, ALERT_CLOUDEVENTS);
    cr_expect(str_is(alert.event_id, "7f1c-000123"));
    cr_expect(str_is(alert.source, "/mobeye/gateway-1"));
    cr_expect(str_is(alert.device, "NL-0307-00042"));
    cr_expect_eq(alert.kind, KIND_CAMERA);
    cr_expect(str_is(alert.kind_word, "camera"));
    cr_expect_eq(alert.phase, PHASE_UPDATE);
    cr_expect_eq(alert.input, 1);
    cr_expect(alert.drill);
    cr_expect_eq(alert.flags, 0);
    cr_expect_eq(alert.occurred_us, NOW);
    cr_expect_eq(alert.skew_us, ALERT_NO_TIME);
    cr_expect(alert.has_location && alert.lon == 5.38421 && alert.lat == 52.19634);
    cr_expect_eq(alert.accuracy_m, 12);
    cr_expect_eq(alert.fix_us, NOW - 9250 * CLOCK_MS);
    cr_expect_eq(alert.battery_pct, 88);
    cr_expect_eq(alert.signal_dbm, -91);
    cr_expect_eq(alert.camera.score, 0.87f);
    cr_expect(str_is(alert.camera.label, "person"));
    cr_expect(str_is(alert.camera.track, "1732394651.2-x9"));
    cr_expect(str_is(alert.camera.zone, "oprit"));
}

static void expect_nothing_optional(void)
{
    cr_expect_eq(alert.phase, PHASE_RAISE);
    cr_expect_eq(alert.input, ALERT_NO_INT);
    cr_expect(!alert.drill);
    cr_expect_eq(alert.occurred_us, ALERT_NO_TIME);
    cr_expect(!alert.has_location);
    cr_expect(isnan(alert.accuracy_m));
    cr_expect_eq(alert.fix_us, ALERT_NO_TIME);
    cr_expect_eq(alert.battery_pct, ALERT_NO_INT);
    cr_expect_eq(alert.signal_dbm, ALERT_NO_INT);
    cr_expect(isnan(alert.camera.score));
    cr_expect(alert.camera.label.len == 0 && alert.camera.track.len == 0 && alert.camera.zone.len == 0);
}

Test(decode, what_is_not_given_has_its_default)
{
    cr_assert(decode(HEAD "," DATA "}}"));
    cr_expect_eq(alert.flags, 0);
    expect_nothing_optional();
}

Test(decode, what_is_flagged_has_its_default)
{
    cr_assert(decode(HEAD ",\"time\":5," DATA ",\"phase\":1,\"input\":-1,\"drill\":1,\"battery_pct\":101,"
                          "\"signal_dbm\":\"\",\"location\":{\"type\":\"Point\",\"coordinates\":[200,0],"
                          "\"accuracy_m\":5,\"fix_time\":\"2026-11-23T21:04:02Z\"},"
                          "\"camera\":{\"label\":1,\"track\":2,\"camera_zone\":3,\"score\":4}}}"));
    cr_expect_neq(alert.flags, 0);
    expect_nothing_optional();
}

Test(decode, nothing_of_a_message_is_left_for_the_next)
{
    cr_assert(decode(HEAD ",\"time\":\"2026-11-23T21:04:11Z\"," DATA
                          ",\"phase\":\"update\",\"input\":3,\"drill\":true,\"battery_pct\":1,\"signal_dbm\":-1,"
                          "\"location\":{\"type\":\"Point\",\"coordinates\":[5,52],\"accuracy_m\":5},"
                          "\"camera\":{\"label\":\"p\",\"track\":\"t\",\"camera_zone\":\"z\",\"score\":1}}}"));
    cr_assert(!decode("{\"id\":\"x\",\"data\":{\"a\":[[["));
    cr_assert(decode(HEAD "," DATA ",\"location\":{}}}"));
    cr_expect_eq(alert.flags, FLAG_BAD_LOCATION);
    expect_nothing_optional();
    cr_assert(!decode("{}"));
    cr_expect_eq(reject.id.len, 0);
    cr_expect_str_eq(reject.field, "specversion");
}

Test(decode, a_kind_is_known_by_its_word)
{
    cr_assert(decode(HEAD ",\"data\":{\"device\":\"NL-1\",\"kind\":\"holdup\"}}"));
    cr_expect_eq(alert.kind, KIND_HOLDUP);
    cr_assert(decode(HEAD ",\"data\":{\"device\":\"NL-1\",\"kind\":\"glasbreuk\"}}"));
    cr_expect_eq(alert.kind, KIND_UNKNOWN);
    cr_expect(str_is(alert.kind_word, "glasbreuk"));
}

Test(decode, fractions_of_percent_and_dbm_are_rounded)
{
    cr_assert(decode(HEAD "," DATA ",\"battery_pct\":54.6,\"signal_dbm\":-90.4}}"));
    cr_expect_eq(alert.battery_pct, 55);
    cr_expect_eq(alert.signal_dbm, -90);
}

Test(decode, a_bad_accuracy_or_fix_time_leaves_the_location)
{
    cr_assert(decode(HEAD "," DATA ",\"location\":{\"type\":\"Point\",\"coordinates\":[5.1,52.2],\"accuracy_m\":-1,"
                          "\"fix_time\":\"\"}}}"));
    cr_expect_eq(alert.flags, FLAG_BAD_ACCURACY | FLAG_BAD_FIX_TIME);
    cr_expect(alert.has_location && alert.lon == 5.1 && alert.lat == 52.2);
}

Test(decode, strings_without_escapes_are_slices_of_the_payload)
{
    const char *text = HEAD "," DATA ",\"camera\":{\"label\":\"person\"}}}";
    cr_assert(decode(text));
    const struct str slices[] = {alert.event_id, alert.source, alert.device, alert.kind_word, alert.camera.label};
    for (size_t i = 0; i < sizeof(slices) / sizeof(slices[0]); i++)
        cr_expect(slices[i].p > text && slices[i].p < text + strlen(text));
}

Test(decode, strings_with_escapes_hold_until_the_next_message)
{
    cr_assert(decode("{\"specversion\":\"1.0\",\"id\":\"\\u0061\\n\",\"source\":\"\\/s\",\"type\":\"mobeye.alert.v1\","
                     "\"data\":{\"device\":\"N\\u004c\",\"kind\":\"\\u00e9\\ud83d\\udea8\",\"text\":\"\\\"\","
                     "\"camera\":{\"label\":\"\\t\",\"track\":\"\\\\\",\"camera_zone\":\"\\u0001\"}}}"));
    cr_expect(str_is(alert.event_id, "a\n"));
    cr_expect(str_is(alert.source, "/s"));
    cr_expect(str_is(alert.device, "NL"));
    cr_expect(str_is(alert.kind_word, "é🚨"));
    cr_expect(str_is(alert.camera.label, "\t"));
    cr_expect(str_is(alert.camera.track, "\\"));
    cr_expect(str_is(alert.camera.zone, "\001"));
}

/* ---- refusals ---- */

Test(decode, a_reason_never_repeats_the_sender)
{
    static const char *const messages[] = {
        "{\"GEHEIM\":1,\"GEHEIM\":2}",
        "{\"GEHEIM\":GEHEIM}",
        "{\"id\":\"GEHEIM\",\"specversion\":\"GEHEIM\"}",
        "{\"specversion\":\"1.0\",\"id\":\"GEHEIM\",\"source\":{\"GEHEIM\":1}}",
        HEAD ",\"data\":{\"device\":\"GEHEIM GEHEIM\"}}",
        "GEHEIM",
    };
    for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
        cr_assert(!decode(messages[i]));
        cr_expect(!strstr(reject.reason, "GEHEIM") && !strstr(reject.field, "GEHEIM"), "%s", reject.reason);
    }
}

Test(decode, a_reason_says_what_is_allowed)
{
    cr_assert(!decode(HEAD ",\"data\":{\"device\":\"\",\"kind\":\"motion\"}}"));
    cr_expect_str_eq(reject.reason,
                     "is not allowed (expected a string of 1 to 64 characters from A-Z a-z 0-9 . _ : / -)");
    cr_assert(!decode("{\"specversion\":\"1.0\"}"));
    cr_expect_str_eq(reject.reason, "is missing (expected a string of 1 to 128 bytes)");
    cr_assert(!decode("{\"a\":1e999}"));
    cr_expect_str_eq(reject.reason, "a number is out of range for an IEEE double, near byte 5");
    cr_assert(!decode("{\"a\":\"\\u0000\"}"));
    cr_expect_str_eq(reject.reason, "U+0000 is not allowed, near byte 6");
}

/* Every prefix of a message is refused, and the id is reported once it has been read. */
Test(decode, a_message_cut_off_anywhere_is_malformed)
{
    const char *text =
        "{\"specversion\":\"1.0\",\"id\":\"abc\",\"source\":\"/s\",\"type\":\"mobeye.alert.v1\",\"data\":"
        "{\"device\":\"N\\u004c\",\"kind\":\"motion\",\"n\":[1.5e3,true,null,{\"é\":\"\\ud83d\\udea8\"}]}}";
    size_t id_end = (size_t)(strstr(text, "abc\"") - text) + 4;
    for (size_t len = 0; len < strlen(text); len++) {
        char *exact = mem_strndup(text, len);
        cr_assert(!decode_cloudevents(decoder, (struct str){exact, len}, &alert, &reject), "%zu bytes", len);
        cr_expect_eq(reject.code, REJECT_MALFORMED, "%zu bytes", len);
        cr_expect(str_is(reject.id, len < id_end ? "" : "abc"), "%zu bytes", len);
        free(exact);
    }
    cr_assert(decode(text), "%s", reject.reason);
}
