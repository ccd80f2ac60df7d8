/* An alert as a journal record, and back; nothing damaged gets through. */
#include <criterion/criterion.h>
#include <endian.h>
#include <math.h>
#include <string.h>

#include "alert_equal.h"
#include "base/clock.h"
#include "model/record.h"

static const char payload[] = "{\"id\":\"a-1\",\"source\":\"/s\",\"device\":\"NL-1\",\"kind\":\"motion\"}";

static struct alert sample(void)
{
    return (struct alert){
        .format = ALERT_CLOUDEVENTS,
        .source = {payload + 22, 2},
        .event_id = {payload + 7, 3},
        .device = {payload + 36, 4},
        .kind = KIND_MOTION,
        .kind_word = {payload + 50, 6},
        .phase = PHASE_RESTORE,
        .input = 65535,
        .drill = true,
        .flags = FLAG_BAD_TEXT | FLAG_INACCURATE,
        .occurred_us = INT64_C(1795467851250000),
        .skew_us = -3 * CLOCK_SECOND,
        .has_location = true,
        .lon = 5.38421,
        .lat = -52.19634,
        .accuracy_m = 12.5f,
        .fix_us = INT64_C(1795467842000000),
        .battery_pct = 88,
        .signal_dbm = -91,
        .camera.score = 0.87f,
        .camera.label = STR("person"),
        .camera.track = STR("1732394651.2-x9"),
        .camera.zone = STR("oprit"),
        .payload = {payload, sizeof(payload) - 1},
        .received_us = INT64_C(1795467854250000),
        .endpoint = STR("cameras"),
    };
}

static struct alert bare(void)
{
    struct alert alert = sample();
    alert.input = alert.battery_pct = alert.signal_dbm = ALERT_NO_INT;
    alert.skew_us = alert.fix_us = ALERT_NO_TIME;
    alert.accuracy_m = alert.camera.score = NAN;
    alert.has_location = alert.drill = false;
    alert.lon = alert.lat = 0;
    alert.camera.label = alert.camera.track = alert.camera.zone = alert.endpoint = (struct str){0};
    alert.flags = 0;
    return alert;
}

static void expect_round_trip(const struct alert *alert)
{
    struct buf record = {0};
    struct alert back;
    struct err err;
    record_pack(&record, alert);
    cr_assert_eq(record_unpack(buf_str(&record), &back, &err), 0, "%s", err.text);
    const char *difference = alert_difference(alert, &back);
    cr_expect(!difference, "%s", difference);
    cr_expect(back.seq == 0 && back.checksum == 0 && back.rule.len == 0 && isnan(back.place.accuracy_m));
    cr_expect_eq(back.place.source, LOCATION_NONE);
    buf_free(&record);
}

Test(record, an_alert_comes_back_as_it_was)
{
    cr_assert(str_is(sample().event_id, "a-1") && str_is(sample().source, "/s"));
    cr_assert(str_is(sample().device, "NL-1") && str_is(sample().kind_word, "motion"));
    struct alert alert = sample();
    expect_round_trip(&alert);
    alert = bare();
    expect_round_trip(&alert);
}

static char long_text[ALERT_PAYLOAD_MAX];

Test(record, the_longest_of_everything_fits)
{
    memset(long_text, 'x', sizeof(long_text));
    char other[ALERT_TEXT_MAX];
    memset(other, 'y', sizeof(other));
    struct alert alert = sample();
    alert.payload = (struct str){long_text, sizeof(long_text)};
    alert.source = (struct str){other, ALERT_SOURCE_MAX};
    alert.event_id = (struct str){other, ALERT_ID_MAX};
    alert.device = (struct str){other, ALERT_DEVICE_MAX};
    alert.kind_word = (struct str){other, ALERT_KIND_MAX};
    alert.camera.label = alert.camera.track = alert.camera.zone = alert.endpoint = (struct str){other, ALERT_TEXT_MAX};
    expect_round_trip(&alert);
    struct buf record = {0};
    record_pack(&record, &alert);
    cr_expect(record.len <= RECORD_MAX);
    buf_free(&record);
}

Test(record, a_string_at_the_end_of_the_payload_is_stored_as_a_place_in_it)
{
    struct alert alert = bare();
    alert.source = (struct str){payload + sizeof(payload) - 3, 2};
    expect_round_trip(&alert);
    struct buf record = {0};
    record_pack(&record, &alert);
    cr_expect_eq(record.len, 136 + alert.payload.len, "136 bytes beyond the payload, nothing is copied");
    alert.source = STR("/elsewhere");
    record.len = 0;
    record_pack(&record, &alert);
    cr_expect_eq(record.len, 136 + alert.payload.len + 10);
    buf_free(&record);
}

Test(record, records_are_appended_and_slices_point_into_them)
{
    struct alert alert = sample(), back;
    struct buf out = {0};
    buf_append(&out, "before", 6);
    record_pack(&out, &alert);
    cr_expect_eq(memcmp(out.data, "before", 6), 0);
    struct str bytes = {out.data + 6, out.len - 6};
    cr_assert_eq(record_unpack(bytes, &back, NULL), 0);
    const struct str slices[] = {back.source, back.event_id, back.camera.label, back.endpoint, back.payload};
    for (size_t i = 0; i < sizeof(slices) / sizeof(slices[0]); i++)
        cr_expect(slices[i].p >= bytes.p && slices[i].p + slices[i].len <= bytes.p + bytes.len);
    buf_free(&out);
}

/* ---- damage ---- */

static struct buf packed(void)
{
    struct alert alert = sample();
    struct buf record = {0};
    record_pack(&record, &alert);
    return record;
}

/* A copy without a byte to spare, so that valgrind and sanitizers see a read beyond it. */
static int unpack_exact(const char *bytes, size_t len, struct err *err)
{
    char *exact = malloc(len ? len : 1);
    struct alert back;
    memcpy(exact, bytes, len);
    int rc = record_unpack((struct str){exact, len}, &back, err);
    if (rc == 0) {
        cr_expect(back.payload.p >= exact && back.payload.p + back.payload.len <= exact + len);
        cr_expect(back.endpoint.p >= exact && back.endpoint.p + back.endpoint.len <= exact + len);
    }
    free(exact);
    return rc;
}

Test(record, one_that_is_cut_short_or_too_long_is_refused)
{
    struct buf record = packed();
    struct err err;
    for (size_t len = 0; len < record.len; len++)
        cr_expect_eq(unpack_exact(record.data, len, &err), -1, "%zu bytes", len);
    buf_append(&record, "", 1);
    cr_expect_eq(unpack_exact(record.data, record.len, &err), -1);
    buf_free(&record);
}

Test(record, any_byte_of_any_value_is_refused_or_read_within_bounds)
{
    struct buf record = packed();
    for (size_t i = 0; i < 136; i++)
        for (int value = 0; value < 256; value += 5) {
            char before = record.data[i];
            record.data[i] = (char)value;
            unpack_exact(record.data, record.len, NULL);
            record.data[i] = before;
        }
    buf_free(&record);
}

/* Puts a little-endian value of `size` bytes at `offset` of a good record. */
static void expect_refused(size_t offset, size_t size, uint64_t value, const char *named)
{
    struct buf record = packed();
    struct err err = {""};
    value = htole64(value);
    memcpy(record.data + offset, &value, size);
    cr_expect_eq(unpack_exact(record.data, record.len, &err), -1, "%s", named);
    cr_expect(strstr(err.text, named), "%s: %s", named, err.text);
    buf_free(&record);
}

static uint64_t double_bits(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    return bits;
}

static uint64_t float_bits(float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof(bits));
    return bits;
}

Test(record, every_enum_and_number_is_checked)
{
    expect_refused(0, 1, 2, "image kind"); /* version 2 without an image */
    expect_refused(0, 1, 3, "version 3");
    expect_refused(0, 1, 0, "version 0");
    expect_refused(1, 1, 0, "format");
    expect_refused(1, 1, 3, "format");
    expect_refused(2, 1, KIND_COUNT, "kind");
    expect_refused(3, 1, PHASE_COUNT, "phase");
    expect_refused(4, 1, 4, "bits");
    expect_refused(5, 1, 1, "image kind"); /* version 1 with one */
    expect_refused(6, 1, 1, "bits");
    expect_refused(7, 1, 1, "bits");
    expect_refused(8, 4, ALERT_FLAGS_ALL + 1, "flags");
    expect_refused(12, 4, 65536, "input");
    expect_refused(12, 4, (uint32_t)-1, "input");
    expect_refused(16, 4, 101, "battery_pct");
    expect_refused(20, 4, 1, "signal_dbm");
    expect_refused(20, 4, (uint32_t)-201, "signal_dbm");
    expect_refused(24, 8, (uint64_t)INT64_MIN, "occurred_us");
    expect_refused(24, 8, (uint64_t)CLOCK_WALL_MAX_US + 1, "occurred_us");
    expect_refused(32, 8, (uint64_t)INT64_MAX, "skew_us");
    expect_refused(32, 8, (uint64_t)INT64_MIN + 1, "skew_us");
    expect_refused(40, 8, (uint64_t)INT64_MAX, "fix_us");
    expect_refused(48, 8, (uint64_t)INT64_MIN, "received_us");
    expect_refused(48, 8, (uint64_t)CLOCK_WALL_MIN_US - 1, "received_us");
    expect_refused(56, 8, double_bits(180.1), "location");
    expect_refused(56, 8, double_bits(NAN), "location");
    expect_refused(64, 8, double_bits(-90.1), "location");
    expect_refused(64, 8, double_bits(INFINITY), "location");
    expect_refused(4, 1, 1, "location"); /* coordinates without has_location */
    expect_refused(72, 4, float_bits(-1), "accuracy_m");
    expect_refused(72, 4, float_bits(1.1e7f), "accuracy_m");
    expect_refused(76, 4, float_bits(1.01f), "score");
    expect_refused(80, 4, 0, "payload");
    expect_refused(80, 4, UINT32_MAX, "payload");
    expect_refused(84, 4, UINT32_MAX, "payload");
}

Test(record, every_string_is_checked)
{
    static const struct {
        const char *name;
        unsigned max;
    } strings[] = {{"source", 256}, {"event_id", 128}, {"device", 64},       {"kind_word", 32},
                   {"label", 256},  {"track", 256},    {"camera_zone", 256}, {"endpoint", 256}};
    for (size_t i = 0; i < 8; i++) {
        expect_refused(88 + 4 * i, 4, UINT32_MAX, strings[i].name);
        expect_refused(88 + 4 * i, 4, 1000, strings[i].name);
        expect_refused(120 + 2 * i, 2, UINT16_MAX, strings[i].name);
        expect_refused(120 + 2 * i, 2, strings[i].max + 1, strings[i].name);
        if (i < 4)
            expect_refused(120 + 2 * i, 2, 0, strings[i].name);
    }
}

/* ---- images ---- */

static struct alert with_image(void)
{
    struct alert alert = sample();
    alert.image = (struct image){STR("\xff\xd8\xff pixels"), IMAGE_JPEG, 1280, 720};
    return alert;
}

static struct buf packed_with_image(void)
{
    struct alert alert = with_image();
    struct buf record = {0};
    record_pack(&record, &alert);
    return record;
}

Test(record, an_image_comes_back)
{
    struct alert alert = with_image();
    expect_round_trip(&alert);
    alert.image.width = alert.image.height = 0;
    expect_round_trip(&alert);
    static char largest[IMAGE_BYTES_MAX] = {1, 2, 3};
    alert.image.bytes = (struct str){largest, sizeof(largest)};
    expect_round_trip(&alert);
}

Test(record, one_with_an_image_that_is_cut_short_or_too_long_is_refused)
{
    struct buf record = packed_with_image();
    struct err err;
    cr_expect_eq(unpack_exact(record.data, record.len, &err), 0);
    for (size_t len = 0; len < record.len; len++)
        cr_expect_eq(unpack_exact(record.data, len, &err), -1, "%zu bytes", len);
    buf_append(&record, "", 1);
    cr_expect_eq(unpack_exact(record.data, record.len, &err), -1);
    buf_free(&record);
}

Test(record, what_is_said_of_an_image_is_checked)
{
    struct buf record = packed_with_image();
    struct err err;
    char *head = record.data + record.len - with_image().image.bytes.len - 12;
    record.data[5] = IMAGE_KINDS;
    cr_expect_eq(unpack_exact(record.data, record.len, &err), -1, "kind");
    record.data[5] = IMAGE_JPEG;
    head[3] = 1;
    cr_expect_eq(unpack_exact(record.data, record.len, &err), -1, "a width beyond all images");
    head[0] = head[1] = head[3] = 0;
    cr_expect_eq(unpack_exact(record.data, record.len, &err), -1, "a height without a width");
    cr_expect(strstr(err.text, "size of the image"), "%s", err.text);
    buf_free(&record);
}

/* The layout of record.h, byte by byte: journals outlive programs. */
Test(record, version_1_is_laid_out_as_documented)
{
    struct buf record = packed();
    const unsigned char *b = (const unsigned char *)record.data;
    static const unsigned char start[] = {1, 1, 2, 1, 3, 0, 0, 0};
    cr_expect_arr_eq(b, start, sizeof(start));
    cr_expect(b[12] == 0xFF && b[13] == 0xFF && b[14] == 0 && b[15] == 0, "input");
    cr_expect(b[80] == sizeof(payload) - 1 && b[81] == 0, "payload length");
    cr_expect(b[84] == 6 + 15 + 5 + 7 && b[85] == 0, "extra length");
    cr_expect(b[92] == 7 && b[122] == 3, "event_id: offset and length");
    cr_expect(b[104] == sizeof(payload) - 1 && b[128] == 6, "label: offset after the payload, and length");
    cr_expect_eq(memcmp(b + 136, payload, sizeof(payload) - 1), 0);
    cr_expect_eq(memcmp(b + 136 + sizeof(payload) - 1, "person1732394651.2-x9opritcameras", 33), 0);
    cr_expect_eq(record.len, 136 + sizeof(payload) - 1 + 33);
    buf_free(&record);
}

Test(record, version_2_is_laid_out_as_documented)
{
    struct buf plain = packed(), record = packed_with_image();
    static const unsigned char start[] = {2, 1, 2, 1, 3, 1, 0, 0},
                               image[] = {0, 5, 0, 0, 0xD0, 2, 0, 0, 10, 0, 0, 0, 0xFF, 0xD8, 0xFF};
    cr_expect_arr_eq(record.data, start, sizeof(start));
    cr_expect_arr_eq(record.data + 8, plain.data + 8, plain.len - 8);
    cr_expect_arr_eq(record.data + plain.len, image, sizeof(image));
    cr_expect_eq(record.len, plain.len + 12 + 10);
    buf_free(&plain);
    buf_free(&record);
}
