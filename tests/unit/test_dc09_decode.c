/* Frames to alerts and replies: the table in tests/dc09/frames.txt, identity, payloads. */
#include "dc09_frames.h"

#include <math.h>

#include "ingest/json_read.h"

#include "journal/journal.h"
#include "model/record.h"

static const uint8_t zero_pad[DC09_PAD_MAX];

/* The alert as a line of the table. */
static char *alert_line(const struct alert *alert)
{
    char occurred[CLOCK_RFC3339_SIZE] = "-", place[64] = "-";
    if (alert->occurred_us != ALERT_NO_TIME)
        clock_format_rfc3339(alert->occurred_us, 0, occurred);
    if (alert->has_location)
        snprintf(place, sizeof(place), "%.6f,%.6f", alert->lon, alert->lat);
    const char *notes = alert->flags & FLAG_VERIFIED        ? "verified"
                        : alert->flags & FLAG_CANCEL        ? "cancel"
                        : alert->flags == FLAG_BAD_INPUT    ? "bad_input"
                        : alert->flags == FLAG_BAD_LOCATION ? "bad_location"
                        : alert->flags == 0                 ? "-"
                                                            : "other flags";
    char *line = NULL;
    cr_assert_geq(asprintf(&line, "%s %s %.*s %.*s %s %s %s", alert_kind_word(alert->kind),
                           alert_phase_word(alert->phase), TEXT(alert->kind_word), TEXT(alert->device), occurred, place,
                           notes),
                  0);
    return line;
}

static void ignore_name(void *ctx, struct str name)
{
    (void)ctx, (void)name;
}

static void ignore_value(void *ctx, const struct json_value *value)
{
    (void)ctx, (void)value;
}

static void ignore_close(void *ctx)
{
    (void)ctx;
}

/* jsonb takes it: an object of strict JSON, without escapes, not too long. */
static void check_payload(struct str payload, unsigned line)
{
    static const struct json_calls calls = {ignore_name, ignore_value, ignore_close};
    struct json_reader *reader = json_reader_new(&(struct json_limits){
        .bytes = ALERT_PAYLOAD_MAX, .at_once = ALERT_PAYLOAD_MAX, .levels = 16, .unique_names = true});
    size_t offset;
    cr_assert_leq(payload.len, (size_t)ALERT_PAYLOAD_MAX, "line %u", line);
    cr_assert_null(memmem(payload.p, payload.len, "\\u", 2), "line %u", line);
    const char *fault = json_read(reader, payload, &calls, NULL, &offset);
    cr_assert_null(fault, "line %u: %s, near byte %zu", line, fault, offset);
    json_reader_free(&reader);
}

/* What the payloads share is the same in all, and without it they are JSON still. */
static void check_shared(const struct dc09_message *message, unsigned line)
{
    for (size_t i = 0; i < message->n; i++) {
        struct str payload = message->alerts[i].payload;
        cr_assert_lt(message->shared_offset + message->shared_bytes, payload.len, "line %u", line);
        cr_assert_eq(memcmp(payload.p, message->alerts[0].payload.p, message->shared_offset + message->shared_bytes), 0,
                     "line %u", line);
        char *blank = mem_strndup(payload.p, payload.len);
        memset(blank + message->shared_offset, ' ', message->shared_bytes);
        check_payload((struct str){blank, payload.len}, line);
        free(blank);
    }
}

static void check_case(const struct frame_case *c, struct dc09_decoder *decoder, const struct dc09_keys *keys)
{
    struct buf wire = on_the_wire(buf_str(&c->frame)), reply = {0};
    struct dc09_frame frame;
    struct dc09_message message = {0};
    size_t used = 0;
    enum dc09_result result = dc09_scan(buf_str(&wire), &frame, &used);
    cr_assert_eq(used, wire.len, "line %u: %zu bytes used of %zu", c->line, used, wire.len);
    if (result == DC09_COMPLETE)
        result = decode_dc09(decoder, &frame, keys, &message);
    enum dc09_verdict verdict = dc09_judge(result, &frame, &message, &c->policy, c->now_us, c->nacked);
    char how = verdict == DC09_STORE ? '+' : verdict == DC09_STORE_STALE ? '~' : '-';
    cr_expect_eq(how, c->how, "line %u: %c, %s", c->line, how, dc09_result_text(result));
    dc09_reply(&reply, how == '-' ? verdict : DC09_SAY_ACK, &frame, message.key, c->now_us, zero_pad);
    struct buf wanted = {0};
    if (c->answer.len > 0)
        wanted = on_the_wire(buf_str(&c->answer));
    cr_expect(str_eq(buf_str(&reply), buf_str(&wanted)), "line %u: the answer is %.*s", c->line, TEXT(buf_str(&reply)));
    cr_expect_eq(message.n, c->n_alerts, "line %u: %zu alerts", c->line, message.n);
    check_shared(&message, c->line);
    for (size_t i = 0; i < message.n && i < c->n_alerts; i++) {
        char *line = alert_line(&message.alerts[i]);
        cr_expect_str_eq(line, c->alerts[i], "line %u", c->line);
        free(line);
        check_payload(message.alerts[i].payload, c->line);
        cr_expect_leq(message.alerts[i].event_id.len, (size_t)ALERT_ID_MAX);
        cr_expect_eq(message.alerts[i].format, ALERT_SIA_DC09);
    }
    buf_free(&wanted);
    buf_free(&reply);
    buf_free(&wire);
}

Test(dc09_decode, every_frame_of_the_table_has_its_alerts_and_its_answer)
{
    struct frame_cases *all = load_frames();
    struct dc09_keys *keys = load_keys();
    struct dc09_decoder *decoder = dc09_decoder_new();
    for (size_t i = 0; i < all->n; i++)
        check_case(&all->cases[i], decoder, keys);
    dc09_decoder_free(&decoder);
    dc09_keys_free(&keys);
    free_frames(all);
}

/* A decoded frame with everything that its slices need. */
struct decoded {
    struct buf wire;
    struct dc09_frame frame;
    struct dc09_decoder *decoder;
    struct dc09_message message;
};

static void decode_body(struct decoded *d, const char *body, const struct dc09_keys *keys)
{
    size_t used = 0;
    *d = (struct decoded){.decoder = dc09_decoder_new()};
    dc09_build(&d->wire, str_from(body), false);
    cr_assert_eq(dc09_scan(buf_str(&d->wire), &d->frame, &used), DC09_COMPLETE);
    cr_assert_eq(decode_dc09(d->decoder, &d->frame, keys, &d->message), DC09_COMPLETE, "%s: %s", body,
                 d->message.reason);
}

static void decoded_free(struct decoded *d)
{
    dc09_decoder_free(&d->decoder);
    buf_free(&d->wire);
}

static bool same_identity(const char *a, const char *b)
{
    struct decoded first, second;
    decode_body(&first, a, NULL);
    decode_body(&second, b, NULL);
    bool same = str_eq(first.message.alerts[0].source, second.message.alerts[0].source) &&
                str_eq(first.message.alerts[0].event_id, second.message.alerts[0].event_id);
    cr_expect_eq(same, memcmp(first.message.digest, second.message.digest, DC09_DIGEST_SIZE) == 0);
    decoded_free(&first);
    decoded_free(&second);
    return same;
}

#define TIMED    "\"SIA-DCS\"0001L0#1234[#1234|Nri1/BA001]_21:15:00,12-01-2018"
#define TIMELESS "\"SIA-DCS\"0001L0#1234[#1234|Nri1/BA001]"

Test(dc09_decode, identity_is_of_account_id_sequence_body_and_timestamp)
{
    cr_expect(same_identity(TIMED, TIMED));
    cr_expect_not(same_identity(TIMED, "\"SIA-DCS\"0002L0#1234[#1234|Nri1/BA001]_21:15:00,12-01-2018"), "sequence");
    cr_expect_not(same_identity(TIMED, "\"SIA-DCS\"0001L0#1234[#1234|Nri1/BA002]_21:15:00,12-01-2018"), "data");
    cr_expect_not(same_identity(TIMED, "\"SIA-DCS\"0001L0#1234[#1234|Nri1/BA001][I]_21:15:00,12-01-2018"), "extended");
    cr_expect_not(same_identity(TIMED, "\"SIA-DCS\"0001L0#1234[#1234|Nri1/BA001]_21:15:01,12-01-2018"), "time");
    cr_expect_not(same_identity(TIMED, "\"SIA-DCS\"0001L0#4321[#1234|Nri1/BA001]_21:15:00,12-01-2018"), "account");
    cr_expect_not(same_identity(TIMED, "\"ADM-CID\"0001L0#1234[#1234|Nri1/BA001]_21:15:00,12-01-2018"), "ID");
    cr_expect_not(same_identity(TIMED, TIMELESS));
    cr_expect(same_identity("\"SIA-DCS\"0001L0#ABCD[NBA1]_21:15:00,12-01-2018",
                            "\"SIA-DCS\"0001L0#abcd[NBA1]_21:15:00,12-01-2018"),
              "the case of an account means nothing");
}

Test(dc09_decode, another_line_is_another_identity_only_without_a_timestamp)
{
    cr_expect(same_identity(TIMED, "\"SIA-DCS\"0001R1L2#1234[#1234|Nri1/BA001]_21:15:00,12-01-2018"));
    cr_expect_not(same_identity(TIMELESS, "\"SIA-DCS\"0001L2#1234[#1234|Nri1/BA001]"));
    cr_expect_not(same_identity(TIMELESS, "\"SIA-DCS\"0001R1L0#1234[#1234|Nri1/BA001]"));
    cr_expect(same_identity(TIMELESS, TIMELESS));
}

Test(dc09_decode, a_plain_frame_and_its_encrypted_twins_are_one_alert)
{
    struct dc09_keys *keys = load_keys();
    const char *content = "#1256|Nri1/BA001]_21:15:00,12-01-2018";
    const struct dc09_key *key = dc09_keys_find(keys, STR("1256"));
    struct decoded plain, secret[2];
    decode_body(&plain, "\"SIA-DCS\"0001L0#1256[#1256|Nri1/BA001]_21:15:00,12-01-2018", NULL);
    for (uint8_t i = 0; i < 2; i++) {
        struct buf body = {0};
        uint8_t pad[DC09_PAD_MAX];
        memset(pad, i, sizeof(pad));
        buf_printf(&body, "\"*SIA-DCS\"0001L0#1256[");
        dc09_encrypt(key, str_from(content), pad, &body);
        buf_append(&body, "", 1);
        decode_body(&secret[i], body.data, keys);
        buf_free(&body);
        cr_expect(str_eq(plain.message.alerts[0].event_id, secret[i].message.alerts[0].event_id));
        cr_expect(str_eq(plain.message.alerts[0].source, secret[i].message.alerts[0].source));
    }
    cr_expect_not(str_eq(secret[0].frame.content, secret[1].frame.content), "the pads differ");
    decoded_free(&plain);
    decoded_free(&secret[0]);
    decoded_free(&secret[1]);
    dc09_keys_free(&keys);
}

Test(dc09_decode, an_encrypted_frame_needs_neither_an_account_in_its_data_nor_a_time)
{
    struct dc09_keys *keys = load_keys();
    struct decoded d;
    struct buf body = {0};
    buf_printf(&body, "\"*SIA-DCS\"0001L0#1256[");
    dc09_encrypt(dc09_keys_find(keys, STR("1256")), STR("|Nri1/BA001]"), zero_pad, &body);
    buf_append(&body, "", 1);
    decode_body(&d, body.data, keys);
    cr_assert_eq(d.message.n, (size_t)1);
    cr_expect_eq(d.message.alerts[0].kind, KIND_INTRUSION);
    decoded_free(&d);
    buf_free(&body);
    dc09_keys_free(&keys);
}

Test(dc09_decode, the_events_of_a_frame_have_ids_of_their_own)
{
    struct decoded d;
    decode_body(&d, "\"SIA-DCS\"0042L0#1234[#1234|NBA1/BA1]_21:15:00,12-01-2018", NULL);
    cr_assert_eq(d.message.n, (size_t)2);
    cr_expect_not(str_eq(d.message.alerts[0].event_id, d.message.alerts[1].event_id));
    cr_expect_eq(memcmp(d.message.alerts[1].event_id.p, "0042-", 5), 0);
    cr_expect_not(d.message.undated);
    decoded_free(&d);
}

/* From a set without a clock, which sends the same frame from home to home. */
Test(dc09_decode, a_timestamp_that_is_no_time_is_none)
{
    struct decoded d;
    decode_body(&d, "\"SIA-DCS\"0001L0#1234[#1234|Nri1/BA1]_00:00:00,00-00-0000", NULL);
    cr_assert(d.message.content.has_time);
    cr_expect(d.message.undated);
    decoded_free(&d);
}

Test(dc09_decode, a_stamp_can_be_read_back_from_the_event_id)
{
    struct decoded d;
    uint8_t digest[DC09_DIGEST_SIZE];
    int64_t first_us = 0;
    decode_body(&d, "\"SIA-DCS\"0001L0#1234[#1234|NBA1/BA2]", NULL);
    cr_assert(d.message.undated);
    cr_expect_not(dc09_undated_id(d.message.alerts[0].event_id, digest, &first_us), "not stamped yet");
    dc09_set_identity(d.decoder, &d.message, 1543698900123456);
    for (size_t i = 0; i < d.message.n; i++) {
        cr_assert(dc09_undated_id(d.message.alerts[i].event_id, digest, &first_us));
        cr_expect_eq(first_us, 1543698900123456);
        cr_expect_arr_eq(digest, d.message.digest, sizeof(digest));
    }
    cr_expect_not(str_eq(d.message.alerts[0].event_id, d.message.alerts[1].event_id));
    char before[ALERT_ID_MAX];
    size_t len = d.message.alerts[0].event_id.len;
    memcpy(before, d.message.alerts[0].event_id.p, len);
    dc09_set_identity(d.decoder, &d.message, 1543698900123456);
    cr_expect(str_eq(d.message.alerts[0].event_id, (struct str){before, len}), "stamping again changes nothing");
    dc09_set_identity(d.decoder, &d.message, 1543698900123457);
    cr_expect_not(str_eq(d.message.alerts[0].event_id, (struct str){before, len}));
    decoded_free(&d);
}

Test(dc09_decode, other_event_ids_are_not_timeless)
{
    static const char *const ids[] = {
        "",
        "@1",
        "0001-00112233445566778899aabbccddeeff-1",
        "0001-00112233445566778899aabbccddeeff-1@",
        "0001-00112233445566778899aabbccddeeff-1@12x",
        "0001-00112233445566778899aabbccddeefg-1@12",
        "0001x00112233445566778899aabbccddeeff-1@12",
        "0001-00112233445566778899aabbccddeeff1-@12",
        "an event id of some gateway that has an @ in it, and is long enough",
    };
    uint8_t digest[DC09_DIGEST_SIZE];
    int64_t first_us = 0;
    char endless[ALERT_ID_MAX + 2] = "0001-00112233445566778899aabbccddeeff-1@";
    for (size_t i = strlen(endless); i < sizeof(endless) - 1; i++)
        endless[i] = '1';
    cr_expect_not(dc09_undated_id((struct str){endless, sizeof(endless) - 1}, digest, &first_us));
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
        cr_expect_not(dc09_undated_id(str_from(ids[i]), digest, &first_us), "%s", ids[i]);
    cr_expect(dc09_undated_id(STR("0001-00112233445566778899aabbccddeeff-1@12"), digest, &first_us));
    cr_expect_eq(first_us, 12);
    cr_expect_eq(digest[1], 0x11);
}

Test(dc09_decode, the_account_is_that_of_the_header_then_that_of_the_data_then_none)
{
    static const struct {
        const char *body, *source;
    } cases[] = {
        {"\"SIA-DCS\"0001L0#12ab[#9999|Nri1/BA001]", "dc09:12AB"},
        {"\"SIA-DCS\"0001L0[#12ab|Nri1/BA001]", "dc09:12AB"},
        {"\"SIA-DCS\"0001L0[#0123456789ABCDEF|Nri1/BA001]", "dc09:0123456789ABCDEF"},
        {"\"SIA-DCS\"0001L0[#0123456789ABCDEF0|Nri1/BA001]", "dc09:0"},
        {"\"SIA-DCS\"0001L0[#12|Nri1/BA001]", "dc09:0"},
        {"\"SIA-DCS\"0001L0[#wxyz|Nri1/BA001]", "dc09:0"},
        {"\"SIA-DCS\"0001L0[|Nri1/BA001]", "dc09:0"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct decoded d;
        decode_body(&d, cases[i].body, NULL);
        cr_expect(str_is(d.message.alerts[0].source, cases[i].source), "%s: %.*s", cases[i].body,
                  TEXT(d.message.alerts[0].source));
        decoded_free(&d);
    }
}

Test(dc09_decode, bytes_that_are_no_text_are_pictures_in_the_payload_and_question_marks_in_the_word)
{
    struct decoded d;
    decode_body(&d, "\"SIA-DCS\"0001L0#1234[#1234|N~\x01\x7f\x80~]", NULL);
    const struct alert *alert = &d.message.alerts[0];
    cr_expect_eq(alert->kind, KIND_UNKNOWN);
    cr_expect(str_is(alert->kind_word, "~???~"), "%.*s", TEXT(alert->kind_word));
    static const char raw[] = "\"raw\":\"~\xe2\x90\x81\xe2\x90\xa1\xc2\x80~\"";
    cr_expect_not_null(memmem(alert->payload.p, alert->payload.len, raw, strlen(raw)), "%.*s", TEXT(alert->payload));
    decoded_free(&d);
}

Test(dc09_decode, all_that_is_not_in_the_message_says_so)
{
    struct decoded d;
    decode_body(&d, TIMELESS, NULL);
    const struct alert *alert = &d.message.alerts[0];
    cr_expect_eq(alert->skew_us, ALERT_NO_TIME);
    cr_expect_eq(alert->fix_us, ALERT_NO_TIME);
    cr_expect_eq(alert->battery_pct, ALERT_NO_INT);
    cr_expect_eq(alert->signal_dbm, ALERT_NO_INT);
    cr_expect(isnan(alert->camera.score) && isnan(alert->accuracy_m));
    cr_expect(alert->camera.label.len == 0 && alert->camera.track.len == 0 && alert->camera.zone.len == 0 &&
              !alert->drill);
    cr_expect(str_is(alert->source, "dc09:1234"));
    cr_expect_eq(alert->input, 1);
    decoded_free(&d);
}

static void expect_payload(const char *body, const char *payload, const struct dc09_keys *keys)
{
    struct decoded d;
    decode_body(&d, body, keys);
    struct str got = d.message.alerts[d.message.n - 1].payload;
    cr_expect(str_is(got, payload), "%.*s", TEXT(got));
    decoded_free(&d);
}

Test(dc09_decode, a_payload_holds_all_that_is_known)
{
    expect_payload("\"SIA-DCS\"0001R2L0#12ab[#12AB|NBA1|Oid7/ri3/ti21:14/BV002|A\xc3\xa9\xe9\x01\"][X5.5][Y52.5][Qx]"
                   "_21:15:00,12-01-2018",
                   "{\"protocol\":\"sia-dc09\",\"id\":\"SIA-DCS\",\"encrypted\":false,\"crc\":\"hex\","
                   "\"sequence\":\"0001\",\"receiver\":\"2\",\"line\":\"0\",\"account\":\"12ab\","
                   "\"sent\":\"2018-12-01T21:15:00Z\",\"frame\":\"D1A00065\\\"SIA-DCS\\\"0001R2L0#12ab[#12AB|NBA1|"
                   "Oid7/ri3/ti21:14/BV002|A\xc3\xa9\xc3\xa9\xe2\x90\x81\\\"][X5.5][Y52.5][Qx]_21:15:00,12-01-2018\","
                   "\"extended\":[{\"field\":\"longitude\",\"id\":\"X\",\"value\":\"5.5\"},"
                   "{\"field\":\"latitude\",\"id\":\"Y\",\"value\":\"52.5\"},"
                   "{\"field\":\"other\",\"id\":\"Q\",\"value\":\"x\"}],"
                   "\"event\":{\"number\":2,\"of\":2,\"raw\":\"BV002\",\"code\":\"BV\",\"qualifier\":\"O\","
                   "\"zone\":\"002\",\"area\":\"3\",\"user\":\"7\",\"clock\":\"21:14\","
                   "\"text\":\"\xc3\xa9\xc3\xa9\xe2\x90\x81\\\"\",\"verified\":true}}",
                   NULL);
    struct dc09_keys *keys = load_keys();
    struct buf body = {0};
    buf_printf(&body, "\"*NULL\"0001L0#1128[");
    dc09_encrypt(dc09_keys_find(keys, STR("1128")), STR("]_21:15:00,12-01-2018"), zero_pad, &body);
    buf_append(&body, "", 1);
    struct buf wanted = {0};
    buf_printf(&wanted,
               "{\"protocol\":\"sia-dc09\",\"id\":\"NULL\",\"encrypted\":true,\"crc\":\"hex\",\"sequence\":\"0001\","
               "\"line\":\"0\",\"account\":\"1128\",\"sent\":\"2018-12-01T21:15:00Z\",\"frame\":\"%04X%04X"
               "\\\"*NULL\\\"0001L0#1128[%s\",\"body\":\"]_21:15:00,12-01-2018\"}",
               dc09_crc((struct str){body.data, body.len - 1}), (unsigned)body.len - 1, strchr(body.data, '[') + 1);
    buf_append(&wanted, "", 1);
    expect_payload(body.data, wanted.data, keys);
    buf_free(&wanted);
    buf_free(&body);
    dc09_keys_free(&keys);
}

/* Decodes data of DC09_BODY_MAX bytes, all of them those that cost the most. */
static void check_largest(const char *begin, const char *unit, char last)
{
    struct buf body = {0};
    buf_printf(&body, "\"SIA-DCS\"0001L0#1234[%s", begin);
    while (body.len + strlen(unit) + 1 <= DC09_BODY_MAX)
        buf_printf(&body, "%s", unit);
    while (body.len + 1 < DC09_BODY_MAX)
        buf_append(&body, "\x01", 1);
    buf_append(&body, &last, 1);
    buf_append(&body, "", 1);
    struct decoded d;
    decode_body(&d, body.data, NULL);
    for (size_t i = 0; i < d.message.n; i++)
        check_payload(d.message.alerts[i].payload, 0);
    decoded_free(&d);
    buf_free(&body);
}

Test(dc09_decode, the_largest_payload_is_not_too_large)
{
    check_largest("NBA1|A", "\x01", ']');
    check_largest("\x01", "\x01", ']');
    check_largest("Nri\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01/BA1", "\x01", ']');
    check_largest("NBA1]", "[\x01]", ']');
    check_largest("NBA1][V", "\x01", ']');
    check_largest("NBA1][", "\x01\x01][", ']');
}

/* 64 events with a text, and modifiers, that fill the frame: 24 kB each before they were cut and shared. */
Test(dc09_decode, the_largest_frame_fits_into_one_message_of_the_journal)
{
    for (size_t e = 0; e < 2; e++) {
        struct buf body = {0}, records = {0};
        buf_printf(&body, "\"SIA-DCS\"0001L0#1234[N%s", e == 1 ? "ri" : "");
        while (e == 1 && body.len < DC09_BODY_MAX - 64 * 4 - 2)
            buf_append(&body, "\x01", 1);
        for (int i = 0; i < 64; i++)
            buf_append_str(&body, STR("/BA1"));
        buf_append_str(&body, e == 0 ? STR("|A") : STR(""));
        while (body.len + 1 < DC09_BODY_MAX)
            buf_append(&body, "\x01", 1);
        buf_append(&body, "]", 2);
        struct decoded d;
        decode_body(&d, body.data, NULL);
        cr_assert_eq(d.message.n, 64);
        check_shared(&d.message, 0);
        for (size_t i = 0; i < d.message.n; i++) {
            struct alert alert = d.message.alerts[i];
            alert.occurred_us = alert.received_us = 0;
            record_pack(&records, &alert);
        }
        size_t bytes = records.len - 63 * d.message.shared_bytes;
        cr_assert_leq(bytes + 64 * 16, (size_t)JOURNAL_MESSAGE_BYTES);
        cr_assert_leq(bytes, (size_t)(e == 0 ? 100 : 60) * 1024, "%zu", bytes);
        buf_free(&records);
        decoded_free(&d);
        buf_free(&body);
    }
}

Test(dc09_decode, the_window_is_40_s_behind_to_20_s_ahead)
{
    const int64_t now = 1543698900 * CLOCK_SECOND;
    cr_expect(dc09_in_time(now, now));
    cr_expect(dc09_in_time(now - 40 * CLOCK_SECOND, now));
    cr_expect_not(dc09_in_time(now - 40 * CLOCK_SECOND - 1, now));
    cr_expect(dc09_in_time(now + 20 * CLOCK_SECOND, now));
    cr_expect_not(dc09_in_time(now + 20 * CLOCK_SECOND + 1, now));
    cr_expect_not(dc09_in_time(ALERT_NO_TIME, now));
}
