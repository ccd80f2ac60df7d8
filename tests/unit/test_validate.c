/* Validation common to all formats. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "ingest/validate.h"

#define NOW INT64_C(1795467851250000)

Test(validate, a_device_is_1_to_64_of_its_bytes)
{
    char longest[ALERT_DEVICE_MAX + 1];
    memset(longest, 'x', sizeof(longest));
    cr_expect(validate_device(STR("N")));
    cr_expect(validate_device(STR("dc09:12345A/7")));
    cr_expect(validate_device((struct str){longest, ALERT_DEVICE_MAX}));
    cr_expect(!validate_device((struct str){longest, ALERT_DEVICE_MAX + 1}));
    cr_expect(!validate_device((struct str){NULL, 0}));
}

Test(validate, a_device_has_no_other_byte)
{
    for (int c = 0; c < 256; c++) {
        char device[] = {'A', (char)c, 'Z'};
        bool allowed = c && strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:/-", c);
        cr_expect_eq(validate_device((struct str){device, 3}), allowed, "byte %d", c);
    }
}

static struct alert at(int64_t sent_us)
{
    struct alert alert = {.occurred_us = sent_us, .flags = FLAG_BAD_TEXT};
    validate_time(&alert, NOW, NULL);
    cr_expect_eq(alert.received_us, NOW);
    cr_expect(alert.flags & FLAG_BAD_TEXT, "other flags stay");
    return alert;
}

static void expect_used(int64_t skew_us)
{
    struct alert alert = at(NOW + skew_us);
    cr_expect_eq(alert.occurred_us, NOW + skew_us);
    cr_expect_eq(alert.skew_us, skew_us);
    cr_expect(!(alert.flags & FLAG_CLOCK));
}

static void expect_not_used(int64_t skew_us)
{
    struct alert alert = at(NOW + skew_us);
    cr_expect_eq(alert.occurred_us, NOW);
    cr_expect_eq(alert.skew_us, skew_us);
    cr_expect(alert.flags & FLAG_CLOCK);
}

Test(validate, a_time_from_31_days_before_to_5_minutes_after_its_receipt_is_used)
{
    expect_used(0);
    expect_used(5 * CLOCK_MINUTE);
    expect_used(-31 * CLOCK_DAY);
}

Test(validate, a_time_past_the_retention_of_its_class_is_not_used)
{
    static const int64_t keep_us[CLASS_COUNT] = {
        [CLASS_ALARM] = 365 * CLOCK_DAY, [CLASS_CAMERA] = 28 * CLOCK_DAY, [CLASS_SERVICE] = 90 * CLOCK_DAY};
    static const struct {
        enum alert_kind kind;
        int64_t skew_us;
        bool used;
    } cases[] = {
        {KIND_CAMERA, -28 * CLOCK_DAY, true},  {KIND_CAMERA, -28 * CLOCK_DAY - 1, false},
        {KIND_MOTION, -31 * CLOCK_DAY, true},  {KIND_MOTION, -31 * CLOCK_DAY - 1, false},
        {KIND_BATTERY, -31 * CLOCK_DAY, true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct alert alert = {.kind = cases[i].kind, .occurred_us = NOW + cases[i].skew_us};
        validate_time(&alert, NOW, keep_us);
        cr_expect_eq(!(alert.flags & FLAG_CLOCK), cases[i].used, "case %zu", i);
        cr_expect_eq(alert.occurred_us, cases[i].used ? NOW + cases[i].skew_us : NOW, "case %zu", i);
    }
}

Test(validate, another_time_gives_way_to_the_receipt_and_its_skew_is_kept)
{
    expect_not_used(5 * CLOCK_MINUTE + 1);
    expect_not_used(-31 * CLOCK_DAY - 1);
    expect_not_used(CLOCK_WALL_MIN_US - NOW);
    expect_not_used(CLOCK_WALL_MAX_US - NOW);
}

Test(validate, without_a_time_the_receipt_is_used_and_there_is_no_skew)
{
    struct alert alert = at(ALERT_NO_TIME);
    cr_expect_eq(alert.occurred_us, NOW);
    cr_expect_eq(alert.skew_us, ALERT_NO_TIME);
    cr_expect(alert.flags & FLAG_CLOCK);
}
