/* The language of scenarios: what is valid, what is an error, and that failed expectations are reported. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "ctl/rules/scenario_run.h"

#define RULES MOBEYE_SOURCE "/tests/scenario/rules.yaml"

static char *complaints(const char *text)
{
    struct scenario scenario;
    struct buf report = {0};
    bool good = scenario_parse(&scenario, "x.scn", str_from(text), &report);
    cr_expect_eq(good, report.len == 0);
    scenario_free(&scenario);
    buf_append(&report, "", 1);
    return report.data;
}

Test(scenario, what_is_not_understood_is_told_with_its_line)
{
    static const struct {
        const char *text, *limiter;
    } cases[] = {
        {"# nothing\n\nwhen 21:00 D motion",
         "x.scn:3: \"when\" is not a statement (expected at, expect, device, place, area, team, scenario, rules)\n"},
        {"at noon D motion", "x.scn:1: \"noon\" is not a time (expected 2026-11-23 21:04, 21:04:11, 02:30+02:00)\n"},
        {"at 24:00 D motion", "x.scn:1: \"24:00\" is not a time (expected 2026-11-23 21:04, 21:04:11, 02:30+02:00)\n"},
        {"at 2026-11-23 21:00 D", "x.scn:1: the kind of the alert is missing\n"},
        {"at 21:00 D motoin input 2", "x.scn:1: \"motoin\" is not a kind of alert (did you mean motion?)\n"},
        {"at 21:00 D Motion", "x.scn:1: \"Motion\" is not a kind of alert (did you mean motion?)\n"},
        {"at 21:00 D unknown\nat 21:00 D earthquake\nat 21:00 D alarm\nat 21:00 D co", ""},
        {"at 21:00 D* motion", "x.scn:1: \"D*\" is not a device id (expected 1 to 64 of A-Za-z0-9._:/-)\n"},
        {"at 21:00 D motion input 70000", "x.scn:1: 70000 is out of range (expected 0 to 65535)\n"},
        {"at 21:00 D motion input one", "x.scn:1: \"one\" is not a number\n"},
        {"at 21:00 D motion at 52;200",
         "x.scn:1: \"52;200\" is not a place (expected longitude,latitude in degrees, such as 5.38421,52.19634)\n"},
        {"device D at 52,200",
         "x.scn:1: 52,200 is not on Earth (expected longitude,latitude in degrees, such as 5.38421,52.19634)\n"},
        {"at 21:00 D motion daemon c", "x.scn:1: daemon \"c\" is unknown (expected a or b)\n"},
        {"at 21:00 close 0 as no_trace", "x.scn:1: 0 is out of range (expected 1 to 1000000)\n"},
        {"at 21:00 close 1", "x.scn:1: \"as\" is missing\n"},
        {"at 21:00 nothing more", "x.scn:1: unexpected \"more\" at the end\n"},
        {"device D heartbeat 24uur",
         "x.scn:1: \"24uur\" is not a duration, did you mean 24h? (expected 500ms, 20s, 5m, 4h30m, 7d)\n"},
        {"device D heartbeat soon", "x.scn:1: \"soon\" is not a duration (expected 500ms, 20s, 5m, 4h30m, 7d)\n"},
        {"device D account 12G4", "x.scn:1: \"12G4\" is not an account (expected 1 to 16 of 0-9 A-F)\n"},
        {"device D account 12345678901234567",
         "x.scn:1: \"12345678901234567\" is not an account (expected 1 to 16 of 0-9 A-F)\n"},
        {"device D account", "x.scn:1: account is missing\n"},
        {"at 21:00 dc09:12G4/1 motion", "x.scn:1: \"12G4\" is not an account (expected 1 to 16 of 0-9 A-F)\n"},
        {"at 21:00 dc09:/1 motion", "x.scn:1: \"\" is not an account (expected 1 to 16 of 0-9 A-F)\n"},
        {"device D account 12ab input 1\nat 21:00 dc09:12ab/1 motion\nat 21:00 dc09:0012AB motion", ""},
        {"place D team x", "x.scn:1: at LON,LAT is missing\n"},
        {"area hotspot H 5,52",
         "x.scn:1: too few places for an area (expected two opposite corners, or three or more places around it)\n"},
        {"team noord", "x.scn:1: \"covers LAYER CODE\" is missing\n"},
        {"expect incident 1 priority 1", "x.scn:1: missing colon after \"1\"\n"},
        {"expect incident one: priority 1",
         "x.scn:1: \"one\" is not an incident number (expected 1, 2, ... in the order of creation)\n"},
        {"expect incident 1: priority", "x.scn:1: its value is missing\n"},
        {"expect 2 accidents", "x.scn:1: \"incidents\" is missing\n"},
        {"expect that it works", "x.scn:1: missing expectation (expected N incidents; no incidents; incident N: FACT "
                                 "VALUE, ...; alert N: ...)\n"},
        {"device\nteam\n", "x.scn:1: a device is missing\nx.scn:2: the team is missing\n"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *report = complaints(cases[i].text);
        cr_expect_str_eq(report, cases[i].limiter, "%s", cases[i].text);
        free(report);
    }
}

Test(scenario, bytes_that_are_no_text_are_refused)
{
    struct scenario scenario;
    struct buf report = {0};
    cr_expect_not(scenario_parse(&scenario, "x.scn", (struct str){"at\0x", 4}, &report));
    scenario_free(&scenario);
    buf_free(&report);
}

Test(scenario, local_times_and_offsets)
{
    static const struct {
        const char *date, *clock, *utc;
    } cases[] = {
        {"2026-11-23", "21:04:11", "2026-11-23T20:04:11Z"},    {"2026-07-23", "21:04", "2026-07-23T19:04:00Z"},
        {"2026-10-25", "02:30", "2026-10-25T00:30:00Z"},       {"2026-10-25", "02:30+02:00", "2026-10-25T00:30:00Z"},
        {"2026-10-25", "02:30+01:00", "2026-10-25T01:30:00Z"}, {"2026-10-25", "03:00", "2026-10-25T02:00:00Z"},
        {"2027-03-28", "03:00", "2027-03-28T01:00:00Z"},       {"2026-11-23", "21:04Z", "2026-11-23T21:04:00Z"},
        {"2026-11-23", NULL, "2026-11-22T23:00:00Z"},
    };
    setenv("TZ", "Europe/Amsterdam", 1);
    tzset();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct written_time time, before = {0};
        struct err err;
        int64_t us = 0;
        char out[CLOCK_RFC3339_SIZE];
        cr_assert_eq(written_time_parse(&time, cases[i].date, cases[i].clock), cases[i].clock ? 2 : 1);
        cr_assert_eq(written_time_us(&time, &before, &us, &err), 0);
        cr_expect_str_eq(clock_format_rfc3339(us, 0, out), cases[i].utc);
    }
}

Test(scenario, times_that_are_none)
{
    struct written_time time, before = {0};
    struct err err;
    int64_t us;
    setenv("TZ", "Europe/Amsterdam", 1);
    tzset();
    written_time_parse(&time, "2027-03-28", "02:30");
    cr_expect_eq(written_time_us(&time, &before, &us, &err), -1);
    cr_expect_str_eq(err.text, "2027-03-28 02:30 does not exist in this time zone");
    before = (struct written_time){0};
    written_time_parse(&time, "21:04", NULL);
    cr_expect_eq(written_time_us(&time, &before, &us, &err), -1);
    cr_expect_str_eq(err.text, "the first time needs a date (2026-11-23 21:04)");
}

static void told(void *ctx, const struct scenario_result *result)
{
    struct buf *out = ctx;
    buf_printf(out, "%s, %zu expectations\n", result->title, result->expectations);
    buf_append_str(out, result->failures);
}

static char *played(const char *text)
{
    struct scenario scenario;
    struct buf report = {0}, out = {0};
    const struct scenario_options options = {
        .ops = &backend_in_memory, .rules_file = RULES, .on_result = told, .ctx = &out};
    cr_assert(scenario_parse(&scenario, "x.scn", str_from(text), &report));
    scenario_run(&scenario, "x.scn", &options);
    scenario_free(&scenario);
    buf_append(&out, "", 1);
    return out.data;
}

#define DEVICE "device D at 5.38421,52.19634\n"

Test(scenario, what_does_not_hold_is_told)
{
    static const struct {
        const char *text, *told;
    } cases[] = {
        {DEVICE "scenario All is well\nat 2026-11-23 21:00 D motion\nexpect 1 incident\nexpect incident 1: alerts 1",
         "All is well, 2 expectations\n"},
        {DEVICE "at 2026-11-23 21:00 D motion\nexpect 2 incidents\nexpect incident 1: priority 1, kind fire\n"
                "expect incident 2: priority 1\nexpect alert 1: rule camera, incident none\nexpect alert 2: rule x\n"
                "expect incident 1: colour red",
         "x.scn, 8 expectations\n"
         "x.scn:3: found 1 incident (expected 2)\n"
         "x.scn:4: incident 1: priority is 2 (expected 1)\n"
         "x.scn:4: incident 1: kind is motion (expected fire)\n"
         "x.scn:5: incident 2 does not exist\n"
         "x.scn:6: alert 1: rule is default (expected camera)\n"
         "x.scn:6: alert 1: incident is 1 (expected none)\n"
         "x.scn:7: alert 2 does not exist\n"
         "x.scn:8: incident 1: unknown fact \"colour\" (expected category kind device rule status outcome verified_by "
         "team place "
         "priority alerts active flaps overdue_step accepting drill urgent first last restored cancelled overdue "
         "previous merged "
         "areas)\n"},
        {DEVICE "scenario One\nat 2026-11-23 21:00 D motion\nexpect no incidents\nscenario Two\nexpect no incidents",
         "One, 1 expectations\nx.scn:4: found 1 incident (expected 0)\nTwo, 1 expectations\n"},
        {DEVICE "at 2026-11-23 21:00 close 1 as no_trace\nexpect no incidents",
         "x.scn, 0 expectations\nx.scn:2: incident 1 does not exist (0 were created)\n"},
        {DEVICE "at 2026-11-23 21:00 D motion as first\nat 21:01 reopen 1\nexpect alert first: incident 1",
         "x.scn, 0 expectations\nx.scn:3: incident 1 is new, which does not allow \"reopen\"\n"},
        {DEVICE DEVICE "at 2026-11-23 21:00 D motion", "x.scn, 0 expectations\nx.scn:2: D: duplicate device\n"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *out = played(cases[i].text);
        cr_expect_str_eq(out, cases[i].told, "%s", cases[i].text);
        free(out);
    }
}
