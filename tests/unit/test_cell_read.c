/* Numbers, times, answers and positions as people write them. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "ctl/lib/cell_read.h"

static void use_zone(const char *zone)
{
    setenv("TZ", zone, 1);
    tzset();
}

static void assert_number(const char *text, double wanted, const char *assumed)
{
    double number;
    struct buf notes = {0};
    struct err err;
    cr_assert_eq(cell_number(str_from(text), &number, &notes, &err), 0, "%s", text);
    cr_assert_eq(number, wanted, "%s: %f", text, number);
    cr_assert(str_is(buf_str(&notes), assumed), "%s: %.*s", text, (int)notes.len, notes.data);
    buf_free(&notes);
}

Test(cell_read, numbers_have_a_point_or_a_comma)
{
    static const char *const bad[] = {"",        "x",       "5e1",    "nan", "1.2.3", "1,2,3",
                                      "1,234.5", "15.59,1", ".155,1", "--1", ",",     "1-"};
    struct buf notes = {0};
    struct err err;
    double number;
    assert_number("5.38421", 5.38421, "");
    assert_number("-5", -5, "");
    assert_number("155.990", 155.990, "");
    assert_number("5,38421", 5.38421, "\"5,38421\" read as 5.38421 (decimal comma)");
    assert_number("155.990,61", 155990.61, "\"155.990,61\" read as 155990.61 (decimal comma)");
    assert_number("1.155.990,6", 1155990.6, "\"1.155.990,6\" read as 1155990.6 (decimal comma)");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_assert_lt(cell_number(str_from(bad[i]), &number, &notes, &err), 0, "%s", bad[i]);
    buf_free(&notes);
}

static void assert_time(const char *text, const char *wanted)
{
    int64_t us, wanted_us;
    struct buf notes = {0};
    struct err err;
    cr_assert(clock_parse_rfc3339(str_from(wanted), &wanted_us));
    cr_assert_eq(cell_time(str_from(text), &us, &notes, &err), 0, "%s", text);
    cr_assert_eq(us, wanted_us, "%s", text);
    buf_free(&notes);
}

Test(cell_read, times_without_an_offset_are_local)
{
    use_zone("Europe/Amsterdam");
    assert_time("2026-11-23T21:00:00Z", "2026-11-23T21:00:00Z");
    assert_time("28-11-2026 14:00", "2026-11-28T14:00:00+01:00");
    assert_time("28-7-2026 14:00:30", "2026-07-28T14:00:30+02:00");
    assert_time("1-2-2026 9:05", "2026-02-01T09:05:00+01:00");
    assert_time("2026-11-28 14:00", "2026-11-28T14:00:00+01:00");
    assert_time("2026-11-28T14:00:00", "2026-11-28T14:00:00+01:00");
    assert_time("28-11-2026", "2026-11-28T00:00:00+01:00");
    use_zone("UTC");
    assert_time("28-11-2026 14:00", "2026-11-28T14:00:00Z");
}

static void assert_no_time(const char *text, const char *words)
{
    int64_t us;
    struct buf notes = {0};
    struct err err;
    cr_assert_lt(cell_time(str_from(text), &us, &notes, &err), 0, "%s", text);
    cr_assert(strstr(err.text, words), "%s", err.text);
    cr_assert_eq(notes.len, 0);
}

Test(cell_read, a_local_time_exists_once)
{
    static const char *const bad[] = {"",
                                      "28-11",
                                      "31-2-2026",
                                      "28/11/2026",
                                      "11-28-2026",
                                      "28-11-26",
                                      "28-11-2026 24:00",
                                      "28-11-2026 14",
                                      "28-11-2026 14:00 ",
                                      "28-11-2026x",
                                      "-1-11-2026",
                                      "28-11-2026 14:-1",
                                      "28-11-2026 14:00:-5",
                                      "28-11-2026 -5:00"};
    use_zone("Europe/Amsterdam");
    assert_no_time("29-3-2026 02:30", "\"29-3-2026 02:30\" does not exist in Europe/Amsterdam");
    assert_no_time("25-10-2026 02:30", "\"25-10-2026 02:30\" exists twice in Europe/Amsterdam");
    assert_no_time("29-02-2026 12:00", "\"29-02-2026 12:00\" is not a date (expected a day that the month has)");
    assert_no_time("2026-04-31", "\"2026-04-31\" is not a date (expected a day that the month has)");
    assert_time("25-10-2026 03:00", "2026-10-25T03:00:00+01:00");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_no_time(bad[i], "is not a ");
}

Test(cell_read, positions_are_degrees_or_rd_new)
{
    static const char *const bad[] = {"",        "5",      "5,",  ",52",     "5;52", "155000,63000",
                                      "52.1,95", "5,52,1", "x,y", "5,3 52,1"};
    double x, y;
    bool rd;
    struct err err;
    cr_assert_eq(cell_position(STR("5.38421,52.19634"), &x, &y, &rd, &err), 0);
    cr_assert(x == 5.38421 && y == 52.19634 && !rd);
    cr_assert_eq(cell_position(STR("155990.61 464256.19"), &x, &y, &rd, &err), 0);
    cr_assert(x == 155990.61 && y == 464256.19 && rd);
    cr_assert_eq(cell_position(STR("155990, 464256"), &x, &y, &rd, &err), 0);
    cr_assert(rd);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_assert_lt(cell_position(str_from(bad[i]), &x, &y, &rd, &err), 0, "%s", bad[i]);
}
