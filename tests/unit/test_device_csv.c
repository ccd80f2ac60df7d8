/* What the cells of a device mean, and which belong together. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctl/registry/device_csv.h"

struct cells {
    struct str list[DEVICE_COLUMNS];
};

/* Cells "device_id=x,lon=5": a row that is a device of that id. */
static struct cells row(const char *text)
{
    struct cells cells = {.list = {[DEVICE_ID] = STR("x")}};
    while (*text) {
        size_t name = strcspn(text, "="), value = strcspn(text + name + 1, ";");
        for (size_t i = 0; i < device_columns.n; i++)
            if (strlen(device_columns.names[i]) == name && memcmp(device_columns.names[i], text, name) == 0)
                cells.list[i] = (struct str){text + name + 1, value};
        text += name + 1 + value;
        text += *text == ';';
    }
    return cells;
}

static void assert_value(const char *text, enum device_column column, const char *value)
{
    struct cells cells = row(text);
    struct line_diagnostics line_diagnostics = {0};
    struct buf buf = {0};
    struct str values[DEVICE_COLUMNS];
    cr_assert(device_row(2, cells.list, &line_diagnostics, &buf, values), "%s: %s", text,
              line_diagnostics.n ? line_diagnostics.list[0].text : "");
    cr_assert_eq(line_diagnostics.n, 0, "%s", text);
    cr_assert(str_is(values[column], value), "%s: %.*s", text, (int)values[column].len, values[column].p);
    cr_assert(str_is(values[DEVICE_ID], "x"));
    line_diagnostics_free(&line_diagnostics);
    buf_free(&buf);
}

static void assert_found(const char *text, const char *words, bool warning)
{
    struct cells cells = row(text);
    struct line_diagnostics line_diagnostics = {0};
    struct buf buf = {0};
    struct str values[DEVICE_COLUMNS];
    cr_assert_eq(device_row(2, cells.list, &line_diagnostics, &buf, values), warning, "%s", text);
    cr_assert_eq(line_diagnostics.n, 1, "%s: %zu", text, line_diagnostics.n);
    cr_assert_eq(line_diagnostics.errors, (size_t)!warning);
    cr_assert(strstr(line_diagnostics.list[0].text, words), "%s", line_diagnostics.list[0].text);
    line_diagnostics_free(&line_diagnostics);
    buf_free(&buf);
}

Test(device_csv, cells_are_given_as_postgresql_reads_them)
{
    assert_value("account=ab12;input=3", DEVICE_ACCOUNT, "AB12");
    assert_value("account=ab12;input=65535", DEVICE_INPUT, "65535");
    assert_value("heartbeat=26h", DEVICE_HEARTBEAT, "93600000000 microseconds");
    assert_value("grace=0", DEVICE_GRACE, "0 microseconds");
    assert_value("lon=5.4;lat=52;placed_from=2026-01-01T00:00:00+01:00", DEVICE_PLACED_FROM,
                 "2025-12-31T23:00:00.000000Z");
    assert_value("rd_x=155000;rd_y=463000;secret=YES", DEVICE_SECRET, "t");
    assert_value("secret=no", DEVICE_SECRET, "f");
    assert_value("model=", DEVICE_MODEL, "");
}

Test(device_csv, what_is_wrong_is_told_with_what_is_allowed)
{
    static const struct {
        const char *cells, *words;
    } cases[] = {
        {"device_id=a b", "device_id: \"a b\" is not a device id (expected 1 to 64 of"},
        {"account=xyz", "account: \"xyz\" is not an account (expected 1 to 16 of 0-9 A-F)"},
        {"account=12345678901234567", "account: \"12345678901234567\""},
        {"account=1234;input=65536", "input: 65536 is out of range (expected 0 to 65535)"},
        {"account=1234;input=-1", "input: \"-1\" is not an integer"},
        {"input=1", "input: without account"},
        {"heartbeat=1", "heartbeat: \"1\" is not a valid duration (expected"},
        {"heartbeat=24 uur", "heartbeat: \"24 uur\" is not a valid duration, did you mean 24h? (expected"},
        {"grace=2 Weken", "grace: \"2 Weken\" is not a valid duration, did you mean 14d? (expected"},
        {"heartbeat=0 uur", "heartbeat: \"0 uur\" is not a valid duration (expected more than 0"},
        {"heartbeat=0s", "heartbeat: \"0s\" is not a valid duration (expected more than 0"},
        {"lon=5", "lon: without lat"},
        {"rd_y=463000", "rd_y: without rd_x"},
        {"lon=5;lat=52;rd_x=155000;rd_y=463000", "lon: with rd_x"},
        {"lon=181;lat=52", "lon: 181 is out of range (expected -180 to 180)"},
        {"lon=nan;lat=52", "lon: \"nan\" is not a number"},
        {"lon=5e1;lat=52", "lon: \"5e1\" is not a number"},
        {"rd_x=5.3;rd_y=52.1", "rd_y: 52.1 is out of range (expected 280000 to 640000)"},
        {"lon=5;lat=52;placed_from=2026-13-01", "placed_from: \"2026-13-01\" is not a time (expected RFC 3339"},
        {"lon=5;lat=52;placed_from=28/11/2026 14:00",
         "placed_from: \"28/11/2026 14:00\" is not a time, did you mean 28-11-2026 14:00? (expected RFC 3339"},
        {"lon=5;lat=52;placed_from=28.11.2026", "\"28.11.2026\" is not a time, did you mean 28-11-2026? (expected"},
        {"lon=5;lat=52;placed_from=28-11-2026 14.30",
         "\"28-11-2026 14.30\" is not a time, did you mean 28-11-2026 14:30?"},
        {"lon=5;lat=52;placed_from=11/28/2026", "placed_from: \"11/28/2026\" is not a time (expected RFC 3339"},
        {"lon=5;lat=52;placed_from=30/02/2026", "placed_from: \"30/02/2026\" is not a time (expected RFC 3339"},
        {"lon=5;lat=52;placed_from=2026-01-01T00:00:00Z;placed_until=2026-01-01T01:00:00+01:00",
         "placed_until: must be after"},
        {"placed_from=2026-01-01T00:00:00Z", "placed_from: has no meaning without a place"},
        {"secret=yes", "secret: has no meaning without a place"},
        {"secret=maybe", "secret: \"maybe\" is not a valid value (expected yes or no)"},
        {"account=1,23E+11", "account: \"1,23E+11\" was rounded by a spreadsheet"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_found(cases[i].cells, cases[i].words, false);
}

Test(device_csv, what_would_be_lost_is_a_warning)
{
    assert_found("address=Straat 1", "address: has no meaning without a place", true);
    assert_found("team=noord", "team: has no meaning without a place", true);
}

Test(device_csv, what_is_assumed_is_noted_once_a_column)
{
    struct line_diagnostics line_diagnostics = {0};
    struct buf buf = {0};
    struct str values[DEVICE_COLUMNS];
    setenv("TZ", "Europe/Amsterdam", 1);
    tzset();
    for (uint64_t line = 2; line < 5; line++) {
        struct cells cells =
            row("rd_x=155.990,61;rd_y=464256,19;placed_from=28-11-2026 14:00;placed_until=29-11-2026;secret=Ja");
        cr_assert(device_row(line, cells.list, &line_diagnostics, &buf, values));
        cr_assert(str_is(values[DEVICE_RD_X], "155990.60999999999"), "%.*s", (int)values[DEVICE_RD_X].len,
                  values[DEVICE_RD_X].p);
        cr_assert(str_is(values[DEVICE_PLACED_FROM], "2026-11-28T13:00:00.000000Z"));
        cr_assert(str_is(values[DEVICE_PLACED_UNTIL], "2026-11-28T23:00:00.000000Z"));
        cr_assert(str_is(values[DEVICE_SECRET], "t"));
    }
    static const char *const notes[] = {
        "placed_from: \"28-11-2026 14:00\" read as 2026-11-28T14:00:00+0100 (Europe/Amsterdam)",
        "placed_until: \"29-11-2026\" read as 2026-11-29T00:00:00+0100 (Europe/Amsterdam)",
        "rd_x: \"155.990,61\" read as 155990.61 (decimal comma)",
        "rd_y: \"464256,19\" read as 464256.19 (decimal comma)",
        "secret: \"Ja\" read as yes",
    };
    cr_assert_eq(line_diagnostics.n, 5);
    cr_assert_eq(line_diagnostics.errors, 0);
    for (size_t i = 0; i < 5; i++) {
        cr_assert_str_eq(line_diagnostics.list[i].text, notes[i]);
        cr_assert_eq(line_diagnostics.list[i].line, 2);
        cr_assert_eq(line_diagnostics.list[i].more, 2);
    }
    line_diagnostics_free(&line_diagnostics);
    buf_free(&buf);
}
