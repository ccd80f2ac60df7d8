/* Which rule matches. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "enrich/rules.h"

/* The configuration owns its words, so they are not const. */
#define WORD(text) ((char[]){text})

static char names[3][8] = {"first", "second", "third"};
static struct conf_rule rules[3];
static struct conf conf;
static struct alert alert;

static void any(struct conf_match *match)
{
    *match = (struct conf_match){
        .registered = -1, .located = -1, .drill = -1, .image = -1, .score_min = NAN, .score_below = NAN};
}

static void setup(void)
{
    setenv("TZ", "Europe/Amsterdam", 1);
    tzset();
    for (size_t i = 0; i < 3; i++)
        any(&rules[i].match);
    for (size_t i = 0; i < 3; i++)
        rules[i].name = names[i];
    conf = (struct conf){.rules = rules, .n_rules = 1};
    alert = (struct alert){.device = STR("NL-0307-00042"),
                           .kind = KIND_CAMERA,
                           .phase = PHASE_RAISE,
                           .endpoint = STR("cameras"),
                           .camera.label = STR("person"),
                           .camera.zone = STR("oprit"),
                           .camera.score = 0.7f};
}

TestSuite(rules, .init = setup);

#define MATCH (&rules[0].match)

static bool matches(void)
{
    return rules_match(&conf, &alert) == &rules[0];
}

Test(rules, a_rule_that_asks_nothing_matches_everything)
{
    cr_expect(matches());
    alert = (struct alert){.device = STR("x"), .camera.score = NAN};
    cr_expect(matches());
}

Test(rules, without_rules_none_matches)
{
    conf.n_rules = 0;
    cr_expect_null(rules_match(&conf, &alert));
}

Test(rules, the_first_that_matches_decides)
{
    conf.n_rules = 3;
    rules[0].match.kinds = 1u << KIND_FIRE;
    cr_expect_str_eq(rules_match(&conf, &alert)->name, "second");
    alert.kind = KIND_FIRE;
    cr_expect_str_eq(rules_match(&conf, &alert)->name, "first");
    for (size_t i = 0; i < 3; i++)
        rules[i].match.kinds = 1u << KIND_PANIC;
    cr_expect_null(rules_match(&conf, &alert));
}

Test(rules, kind_is_any_of_its_words)
{
    MATCH->kinds = 1u << KIND_CAMERA | 1u << KIND_MOTION;
    cr_expect(matches());
    MATCH->kinds = 1u << KIND_UNKNOWN;
    cr_expect(!matches());
    alert.kind = KIND_UNKNOWN;
    cr_expect(matches());
}

Test(rules, phase_is_any_of_its_words)
{
    MATCH->phases = 1u << PHASE_RESTORE | 1u << PHASE_UPDATE;
    cr_expect(!matches());
    alert.phase = PHASE_UPDATE;
    cr_expect(matches());
}

Test(rules, device_is_any_of_its_globs)
{
    char *globs[] = {WORD("XX-*"), WORD("NL-0307-*")};
    MATCH->devices = globs;
    MATCH->n_devices = 2;
    cr_expect(matches());
    alert.device = STR("NL-0308-00042");
    cr_expect(!matches());
    alert.device = STR("nl-0307-1");
    cr_expect(!matches());
    globs[0] = WORD("dc09:*/?");
    alert.device = STR("dc09:AAA/1");
    cr_expect(matches());
    globs[0] = WORD("*");
    alert.device = (struct str){"0123456789012345678901234567890123456789012345678901234567890123junk", 64};
    cr_expect(matches());
    globs[0] = WORD("*junk");
    cr_expect(!matches(), "only the 64 bytes are the device");
}

Test(rules, every_rule_is_asked_about_the_same_device)
{
    char *first[] = {WORD("no")}, *second[] = {WORD("NL-*-00042")};
    conf.n_rules = 2;
    rules[0].match.devices = first;
    rules[1].match.devices = second;
    rules[0].match.n_devices = rules[1].match.n_devices = 1;
    cr_expect_eq(rules_match(&conf, &alert), &rules[1]);
}

Test(rules, endpoint_label_and_camera_zone_are_any_of_their_words)
{
    char *words[] = {WORD("cameras"), WORD("person"), WORD("oprit")}, *others[] = {WORD("camera"), WORD("oprit2")};
    MATCH->endpoints = MATCH->labels = MATCH->camera_zones = words;
    MATCH->n_endpoints = MATCH->n_labels = MATCH->n_camera_zones = 3;
    cr_expect(matches());
    MATCH->endpoints = others;
    MATCH->n_endpoints = 2;
    cr_expect(!matches());
    MATCH->n_endpoints = 0;
    cr_expect(matches());
    MATCH->labels = others;
    MATCH->n_labels = 2;
    cr_expect(!matches());
    MATCH->n_labels = 0;
    MATCH->camera_zones = others;
    MATCH->n_camera_zones = 2;
    cr_expect(!matches());
    alert.camera.zone = (struct str){0};
    cr_expect(!matches(), "none is given");
}

Test(rules, located_asks_for_a_place_or_for_none)
{
    MATCH->located = 1;
    cr_expect(!matches());
    alert.place.source = LOCATION_PLACEMENT;
    cr_expect(matches());
    MATCH->located = 0;
    cr_expect(!matches());
    alert.place.source = LOCATION_NONE;
    cr_expect(matches());
}

Test(rules, registered_asks_for_a_device_of_the_registry_or_a_stranger)
{
    MATCH->registered = 1;
    cr_expect(!matches());
    alert.registered = true;
    cr_expect(matches());
    MATCH->registered = 0;
    cr_expect(!matches());
    alert.registered = false;
    cr_expect(matches());
}

Test(rules, group_is_any_of_its_words)
{
    char *words[] = {WORD("lent"), WORD("tents")};
    MATCH->groups = words;
    MATCH->n_groups = 2;
    cr_expect(!matches(), "it has none");
    alert.group = STR("tents");
    cr_expect(matches());
    alert.group = STR("tent");
    cr_expect(!matches());
}

static void stand_in(const char *layer, const char *code, const char *other_layer, const char *other_code)
{
    static struct {
        struct alert_areas areas;
        struct alert_area area[2];
    } both;
    both.areas.n = 2;
    both.areas.area[0] = (struct alert_area){str_from(layer), str_from(code)};
    both.areas.area[1] = (struct alert_area){str_from(other_layer), str_from(other_code)};
    alert.areas = &both.areas;
    alert.place.source = LOCATION_MESSAGE;
}

Test(rules, area_is_any_of_the_codes_of_its_layer)
{
    char *codes[] = {WORD("WK1"), WORD("WK2")};
    MATCH->area_layer = WORD("wijk");
    cr_expect(!matches(), "no place is known");
    stand_in("buurt", "BU1", "hotspot", "WK1");
    cr_expect(!matches(), "it is in no area of the layer");
    stand_in("buurt", "BU1", "wijk", "WK3");
    cr_expect(matches(), "any code");
    MATCH->area_codes = codes;
    MATCH->n_area_codes = 2;
    cr_expect(!matches());
    stand_in("buurt", "WK1", "wijk", "WK2");
    cr_expect(matches());
    stand_in("buurt", "WK1", "wijk", "WK");
    cr_expect(!matches());
}

Test(rules, drill_asks_for_a_drill_or_for_none)
{
    MATCH->drill = 1;
    cr_expect(!matches());
    alert.drill = true;
    cr_expect(matches());
    MATCH->drill = 0;
    cr_expect(!matches());
}

Test(rules, score_has_a_least_and_a_bound)
{
    MATCH->score_min = 0.7;
    cr_expect(matches(), "0.7 is at least 0.7");
    MATCH->score_min = 0.71;
    cr_expect(!matches());
    MATCH->score_min = NAN;
    MATCH->score_below = 0.7;
    cr_expect(!matches(), "0.7 is not below 0.7");
    MATCH->score_below = 0.71;
    cr_expect(matches());
    MATCH->score_min = 0.5;
    cr_expect(matches());
    alert.camera.score = NAN;
    cr_expect(!matches(), "no score is neither");
    MATCH->score_min = NAN;
    cr_expect(!matches());
    MATCH->score_min = 0;
    MATCH->score_below = NAN;
    cr_expect(!matches());
}

Test(rules, all_that_is_given_must_hold)
{
    MATCH->kinds = 1u << KIND_CAMERA;
    MATCH->drill = 1;
    cr_expect(!matches());
    alert.drill = true;
    cr_expect(matches());
    alert.kind = KIND_FIRE;
    cr_expect(!matches());
}

/* ---- time ---- */

static bool matches_at(const char *rfc3339)
{
    cr_assert(clock_parse_rfc3339(str_from(rfc3339), &alert.occurred_us), "%s", rfc3339);
    return matches();
}

static void hours(int from, int until)
{
    MATCH->has_hours = true;
    MATCH->hours = (struct conf_hours){from * 60, until * 60};
}

Test(rules, hours_are_local_with_their_end_excluded)
{
    hours(9, 17);
    cr_expect(!matches_at("2026-11-23T08:59:59.999999+01:00"));
    cr_expect(matches_at("2026-11-23T09:00:00+01:00"));
    cr_expect(matches_at("2026-11-23T16:59:59+01:00"));
    cr_expect(!matches_at("2026-11-23T17:00:00+01:00"));
    cr_expect(matches_at("2026-11-23T08:00:00Z"), "winter: one hour ahead of UTC");
    cr_expect(matches_at("2026-07-23T07:00:00Z"), "summer: two hours");
    cr_expect(!matches_at("2026-07-23T15:00:00Z"));
}

Test(rules, hours_go_over_midnight)
{
    hours(22, 6);
    cr_expect(!matches_at("2026-11-23T21:59:59+01:00"));
    cr_expect(matches_at("2026-11-23T22:00:00+01:00"));
    cr_expect(matches_at("2026-11-24T00:00:00+01:00"));
    cr_expect(matches_at("2026-11-24T05:59:59+01:00"));
    cr_expect(!matches_at("2026-11-24T06:00:00+01:00"));
    cr_expect(!matches_at("2026-11-24T12:00:00+01:00"));
}

Test(rules, equal_hours_are_a_whole_day)
{
    hours(6, 6);
    cr_expect(matches_at("2026-11-23T05:59:00+01:00"));
    cr_expect(matches_at("2026-11-23T06:00:00+01:00"));
    cr_expect(matches_at("2026-11-23T23:00:00+01:00"));
}

enum { MON = 1, TUE = 2, FRI = 16, SAT = 32, SUN = 64 };

Test(rules, days_are_local)
{
    MATCH->days = MON;
    cr_expect(matches_at("2026-11-23T12:00:00Z"), "a Monday");
    cr_expect(matches_at("2026-11-22T23:00:00Z"), "midnight in Amsterdam");
    cr_expect(!matches_at("2026-11-22T22:59:59Z"));
    cr_expect(!matches_at("2026-11-23T23:00:00Z"));
    MATCH->days = SAT | SUN;
    cr_expect(matches_at("2026-11-22T12:00:00Z"));
    cr_expect(matches_at("2026-11-21T12:00:00Z"));
    cr_expect(!matches_at("2026-11-20T12:00:00Z"));
}

Test(rules, a_window_over_midnight_belongs_to_the_day_it_starts_on)
{
    hours(22, 6);
    MATCH->days = FRI;
    cr_expect(!matches_at("2026-11-20T05:00:00+01:00"), "Friday morning is Thursday's night");
    cr_expect(matches_at("2026-11-20T22:00:00+01:00"));
    cr_expect(matches_at("2026-11-21T05:59:00+01:00"), "Saturday morning is Friday's night");
    cr_expect(!matches_at("2026-11-21T22:00:00+01:00"));
    MATCH->days = SUN;
    cr_expect(matches_at("2026-11-23T01:00:00+01:00"), "Monday morning is Sunday's night");
}

Test(rules, a_window_within_a_day_belongs_to_that_day)
{
    hours(0, 6);
    MATCH->days = SAT;
    cr_expect(matches_at("2026-11-21T00:00:00+01:00"));
    cr_expect(!matches_at("2026-11-20T05:00:00+01:00"));
}

Test(rules, the_hour_that_comes_twice_counts_twice)
{
    hours(2, 3);
    cr_expect(matches_at("2026-10-25T00:30:00Z"), "02:30 in summer time");
    cr_expect(matches_at("2026-10-25T01:30:00Z"), "02:30 in winter time");
    cr_expect(!matches_at("2026-10-25T02:00:00Z"));
}

Test(rules, the_hour_that_never_comes_is_left_out)
{
    hours(2, 3);
    cr_expect(!matches_at("2026-03-29T00:59:59Z"), "01:59:59 in winter time");
    cr_expect(!matches_at("2026-03-29T01:00:00Z"), "03:00 in summer time");
    hours(1, 3);
    cr_expect(matches_at("2026-03-29T00:59:59Z"));
    cr_expect(!matches_at("2026-03-29T01:00:00Z"), "the end is excluded, also where it is jumped over");
}

Test(rules, a_night_in_which_the_clocks_change_belongs_to_its_evening)
{
    hours(22, 6);
    MATCH->days = SAT;
    cr_expect(matches_at("2026-03-28T21:00:00Z"));
    cr_expect(matches_at("2026-03-29T03:59:59Z"), "05:59:59 in summer time");
    cr_expect(!matches_at("2026-03-29T04:00:00Z"));
    cr_expect(!matches_at("2026-03-29T20:00:00Z"), "Sunday evening");
    cr_expect(matches_at("2026-10-24T20:00:00Z"));
    cr_expect(matches_at("2026-10-25T04:59:59Z"), "05:59:59 in winter time");
    cr_expect(!matches_at("2026-10-25T05:00:00Z"));
}

Test(rules, times_before_1970_are_floored)
{
    hours(23, 24);
    MATCH->hours.until_min = 0;
    cr_expect(matches_at("1969-12-31T23:59:59.5+01:00"));
}
