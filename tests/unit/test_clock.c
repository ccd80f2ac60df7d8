/* Times as text. */
#include <criterion/criterion.h>

#include "base/clock.h"

static void expect_time(const char *text, int64_t us)
{
    int64_t got = 0;
    cr_expect(clock_parse_rfc3339(str_from(text), &got), "%s", text);
    cr_expect_eq(got, us, "%s: %lld", text, (long long)got);
}

static void expect_none(struct str text)
{
    int64_t got;
    cr_expect(!clock_parse_rfc3339(text, &got), "%.*s", (int)text.len, text.p);
}

Test(clock, rfc_3339_is_read)
{
    expect_time("1970-01-01T00:00:00Z", 0);
    expect_time("2026-11-23T21:04:11.250Z", INT64_C(1795467851250000));
    expect_time("2026-11-23t21:04:11.250z", INT64_C(1795467851250000));
    expect_time("2026-11-23 21:04:11.250Z", INT64_C(1795467851250000));
    expect_time("2026-11-23T22:04:11.250+01:00", INT64_C(1795467851250000));
    expect_time("2026-11-23T16:34:11.250-04:30", INT64_C(1795467851250000));
    expect_time("1969-12-31T23:59:59.999999Z", -1);
    expect_time("2024-02-29T00:00:00Z", INT64_C(1709164800) * CLOCK_SECOND);
    expect_time("2000-02-29T00:00:00Z", INT64_C(951782400) * CLOCK_SECOND);
}

Test(clock, decimals_beyond_microseconds_are_cut)
{
    expect_time("1970-01-01T00:00:00.1Z", 100000);
    expect_time("1970-01-01T00:00:00.123456Z", 123456);
    expect_time("1970-01-01T00:00:00.123456999999999999Z", 123456);
}

Test(clock, a_leap_second_is_the_second_after_it)
{
    expect_time("2016-12-31T23:59:60Z", INT64_C(1483228800) * CLOCK_SECOND);
}

Test(clock, every_readable_time_is_within_the_bounds)
{
    int64_t us;
    cr_assert(clock_parse_rfc3339(STR("0001-01-01T00:00:00+23:59"), &us));
    cr_expect(us >= CLOCK_WALL_MIN_US);
    cr_assert(clock_parse_rfc3339(STR("9999-12-31T23:59:60.999999-23:59"), &us));
    cr_expect(us <= CLOCK_WALL_MAX_US);
}

Test(clock, anything_else_is_no_time)
{
    static const char *const texts[] = {
        "",
        "2026",
        "2026-11-23",
        "2026-11-23T21:04:11",
        "2026-11-23T21:04Z",
        "2026-11-23T21:04:11.Z",
        "2026-11-23T21:04:11,5Z",
        "2026-11-23T21:04:11ZZ",
        "2026-11-23T21:04:11Z ",
        " 2026-11-23T21:04:11Z",
        "2026-11-23X21:04:11Z",
        "2026-1-23T21:04:11Z",
        "26-11-23T21:04:11Z",
        "0000-11-23T21:04:11Z",
        "2026-00-23T21:04:11Z",
        "2026-13-23T21:04:11Z",
        "2026-11-00T21:04:11Z",
        "2026-11-31T21:04:11Z",
        "2026-02-29T21:04:11Z",
        "1900-02-29T21:04:11Z",
        "2026-11-23T24:00:00Z",
        "2026-11-23T21:60:11Z",
        "2026-11-23T21:04:61Z",
        "2026-11-23T21:04:11+1:00",
        "2026-11-23T21:04:11+01",
        "2026-11-23T21:04:11+0100",
        "2026-11-23T21:04:11+24:00",
        "2026-11-23T21:04:11+01:60",
        "-2026-11-23T21:04:11Z",
        "+2026-11-23T21:04:11Z",
        "2026-11-23T-1:04:11Z",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        expect_none(str_from(texts[i]));
    expect_none((struct str){NULL, 0});
    expect_none((struct str){"2026-11-23T21:04:11\0", 20});
}

Test(clock, every_prefix_of_a_time_is_no_time)
{
    const char text[] = "2026-11-23T22:04:11.250+01:00";
    for (size_t len = 0; len < sizeof(text) - 1; len++)
        expect_none((struct str){text, len});
}

static void expect_text(int64_t us, int decimals, const char *text)
{
    char out[CLOCK_RFC3339_SIZE];
    cr_expect_str_eq(clock_format_rfc3339(us, decimals, out), text);
}

Test(clock, times_are_written_in_utc)
{
    expect_text(INT64_C(1795467851250999), 0, "2026-11-23T21:04:11Z");
    expect_text(INT64_C(1795467851250999), 3, "2026-11-23T21:04:11.250Z");
    expect_text(INT64_C(1795467851250999), 6, "2026-11-23T21:04:11.250999Z");
    expect_text(-1, 6, "1969-12-31T23:59:59.999999Z");
}

/* As it is read, so it is written. */
static void expect_same(const char *text, int decimals)
{
    int64_t us;
    cr_assert(clock_parse_rfc3339(str_from(text), &us));
    expect_text(us, decimals, text);
}

Test(clock, every_year_is_written_with_four_digits)
{
    expect_same("0018-12-01T21:04:11Z", 0);
    expect_same("0001-01-01T00:00:00.000001Z", 6);
    expect_same("9999-12-31T23:59:59.999Z", 3);
}

Test(clock, no_readable_time_is_cut_when_written)
{
    int64_t us;
    cr_assert(clock_parse_rfc3339(STR("9999-12-31T23:59:59.250000-23:59"), &us));
    expect_text(us, 6, "10000-01-01T23:58:59.250000Z");
    cr_assert(clock_parse_rfc3339(STR("0001-01-01T00:00:00.250000+23:59"), &us));
    expect_text(us, 6, "0000-12-31T00:01:00.250000Z");
}

Test(clock, what_is_written_is_read_back)
{
    for (int64_t us = INT64_C(-2000000000000001); us < INT64_C(4000000000000000); us += INT64_C(86399123457891)) {
        char out[CLOCK_RFC3339_SIZE];
        expect_time(clock_format_rfc3339(us, 6, out), us);
    }
}

Test(clock, clocks_run)
{
    int64_t mono = clock_mono_us();
    cr_expect(clock_mono_us() >= mono);
    cr_expect(clock_wall_us() > INT64_C(1700000000000000));
}
