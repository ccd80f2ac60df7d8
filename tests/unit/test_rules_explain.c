/* Why a rule does not match; and that this agrees with whether it does. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <criterion/criterion.h>

#include "base/clock.h"
#include "conf/load.h"
#include "enrich/rules.h"

static struct conf *conf;

static void load(const char *rules)
{
    struct buf text = {0}, report = {0};
    buf_printf(&text,
               "instance: i\ndatabase: {conninfo: \"host=a\"}\njournal: {directory: /j}\n"
               "endpoints:\n"
               "  - {name: cameras, bind: \"ipc:///1\", socket: router, format: cloudevents}\n"
               "  - {name: portal, bind: \"ipc:///2\", socket: router, format: cloudevents}\n"
               "rules:\n%s",
               rules);
    conf = conf_parse("rules", text.data, text.len, &report);
    cr_assert_not_null(conf, "%.*s", (int)report.len, report.len ? report.data : "");
    buf_free(&text);
    buf_free(&report);
}

static void setup(void)
{
    setenv("TZ", "Europe/Amsterdam", 1);
    tzset();
}

static void teardown(void)
{
    conf_free(&conf);
}

TestSuite(rules_explain, .init = setup, .fini = teardown);

static const struct {
    struct alert_areas areas;
    struct alert_area area[2];
} hotspot = {{2, {}}, {{STR("buurt"), STR("BU1")}, {STR("hotspot"), STR("H7")}}};

static struct alert camera(void)
{
    struct alert alert = {.device = STR("NL-0307-00042"),
                          .kind = KIND_CAMERA,
                          .kind_word = STR("camera"),
                          .endpoint = STR("cameras"),
                          .camera.label = STR("person"),
                          .group = STR("tents"),
                          .registered = true,
                          .place.source = LOCATION_PLACEMENT,
                          .areas = &hotspot.areas,
                          .camera.score = 0.25f};
    cr_assert(clock_parse_rfc3339(STR("2026-11-23T14:03:59+01:00"), &alert.occurred_us));
    return alert;
}

static const struct {
    const char *match, *why; /* "": it matches */
} cases[] = {
    {"{}", ""},
    {"{kind: camera, phase: raise, device: \"NL-*\", group: tents, registered: true, located: true, label: person, "
     "area: {layer: hotspot}, hours: \"14:00-15:00\", days: mon, score: {min: 0.25}, drill: false, image: false, "
     "endpoint: cameras}",
     ""},
    {"{kind: fire}", "kind is camera, the rule wants fire"},
    {"{kind: [fire, heat, unknown]}", "kind is camera, the rule wants unknown, fire or heat"},
    {"{phase: [restore, update]}", "phase is raise, the rule wants restore or update"},
    {"{device: [\"XX-*\", \"NL-0307-0004\"]}", "device is NL-0307-00042, the rule wants XX-* or NL-0307-0004"},
    {"{group: lent}", "group is tents, the rule wants lent"},
    {"{registered: false}", "the device is registered, the rule wants one that is not"},
    {"{located: false}", "a place is known (placement), the rule wants none"},
    {"{area: {layer: wijk}}", "its place is in no area of layer wijk, the rule wants any"},
    {"{area: {layer: wijk, code: [W1, W2]}}", "its place is in no area of layer wijk, the rule wants W1 or W2"},
    {"{area: {layer: hotspot, code: H1}}", "its place is in hotspot H7, the rule wants H1"},
    {"{hours: \"22:00-06:00\"}", "it occurred on mon at 14:03 local time, the rule wants 22:00-06:00"},
    {"{days: [sat, sun]}", "it occurred on mon at 14:03 local time, the rule wants sat or sun"},
    {"{days: tue, hours: \"14:00-14:05\"}", "it occurred on mon at 14:03 local time, the rule wants tue, 14:00-14:05"},
    {"{image: true}", "it has no image, the rule wants one"},
    {"{score: {min: 0.5}}", "score is 0.25, the rule wants 0.5 or more"},
    {"{score: {below: 0.25}}", "score is 0.25, the rule wants below 0.25"},
    {"{score: {min: 0.5, below: 0.75}}", "score is 0.25, the rule wants 0.5 or more and below 0.75"},
    {"{label: [car, bike]}", "label is person, the rule wants car or bike"},
    {"{camera_zone: oprit}", "it has no camera_zone, the rule wants oprit"},
    {"{drill: true}", "it is not a drill, the rule wants one"},
    {"{endpoint: portal}", "endpoint is cameras, the rule wants portal"},
    {"{kind: fire, score: {min: 0.5}, drill: true}", "kind is camera, the rule wants fire; score is 0.25, the rule "
                                                     "wants 0.5 or more; it is not a drill, the rule wants "
                                                     "one"},
};

static void expect_why(const char *match, const struct alert *alert, const char *expected)
{
    struct buf why = {0};
    char rules[1024];
    snprintf(rules, sizeof(rules), "  - {name: a, match: %s, action: store}\n", match);
    load(rules);
    bool matches = rules_explain(&conf->rules[0].match, alert, &why);
    cr_expect(str_is(buf_str(&why), expected), "%s\nexpected: %s\ngot:      %.*s", match, expected, (int)why.len,
              why.len ? why.data : "");
    cr_expect_eq(matches, !*expected, "%s", match);
    cr_expect_eq(matches, rules_match(conf, alert) != NULL, "%s", match);
    buf_free(&why);
    conf_free(&conf);
}

Test(rules_explain, says_what_the_alert_has_and_what_the_rule_wants)
{
    const struct alert alert = camera();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_why(cases[i].match, &alert, cases[i].why);
}

Test(rules_explain, says_what_the_alert_does_not_have)
{
    struct alert alert = camera();
    alert.kind = KIND_UNKNOWN;
    alert.kind_word = STR("gas");
    alert.camera.score = NAN;
    alert.registered = false;
    alert.group = alert.camera.label = (struct str){0};
    alert.place.source = LOCATION_NONE;
    alert.areas = NULL;
    alert.drill = true;
    expect_why("{kind: fire}", &alert, "kind is unknown (\"gas\"), the rule wants fire");
    expect_why("{score: {below: 0.5}}", &alert, "it has no score, the rule wants below 0.5");
    expect_why("{registered: true}", &alert, "the device is not registered, the rule wants one that is");
    expect_why("{group: lent}", &alert, "it has no group, the rule wants lent");
    expect_why("{located: true}", &alert, "no place is known, the rule wants one");
    expect_why("{area: {layer: wijk}}", &alert, "no place is known, the rule wants one in layer wijk: any");
    expect_why("{drill: false}", &alert, "it is a drill, the rule wants none");
}

/* ---- explaining and matching agree, whatever the alert ---- */

static unsigned random_state = 1;

static unsigned draw(unsigned n)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 16) % n;
}

static struct str draw_text(const char *a, const char *b)
{
    const char *const texts[] = {"", a, b};
    return str_from(texts[draw(3)]);
}

static struct alert draw_alert(void)
{
    struct alert alert = camera();
    alert.kind = (enum alert_kind)draw(KIND_COUNT);
    alert.phase = (enum alert_phase)draw(PHASE_COUNT);
    alert.device = draw(2) ? STR("NL-0307-00042") : STR("dc09:AAA/1");
    alert.group = draw_text("tents", "lent");
    alert.registered = draw(2);
    alert.drill = draw(4) == 0;
    alert.camera.label = draw_text("person", "car");
    alert.camera.zone = draw_text("oprit", "tuin");
    alert.endpoint = draw(2) ? STR("cameras") : STR("portal");
    alert.camera.score = draw(3) ? (float)draw(11) / 10 : NAN;
    if (draw(3) == 0) {
        alert.place.source = LOCATION_NONE;
        alert.areas = NULL;
    }
    alert.occurred_us += (int64_t)draw(7 * 24 * 60) * CLOCK_MINUTE;
    return alert;
}

Test(rules_explain, the_first_rule_without_a_reason_is_the_one_that_matches)
{
    size_t decided[9] = {0};
    load("  - {name: a, match: {kind: [keepalive, arm, bypass], device: \"dc09:*\"}, action: store}\n"
         "  - {name: b, match: {registered: false, phase: raise, hours: \"09:00-17:00\"}, action: store}\n"
         "  - {name: c, match: {kind: [camera, motion], score: {below: 0.7}}, action: store}\n"
         "  - {name: d, match: {area: {layer: hotspot}, hours: \"22:00-06:00\", days: fri-sun}, action: store}\n"
         "  - {name: e, match: {area: {layer: buurt, code: [BU2, BU1]}, label: [person]}, action: store}\n"
         "  - {name: f, match: {group: [tents], endpoint: portal, drill: false}, action: store}\n"
         "  - {name: g, match: {located: false, camera_zone: tuin}, action: store}\n"
         "  - {name: h, match: {score: {min: 0.7}, phase: [restore, update]}, action: store}\n");
    for (int round = 0; round < 20000; round++) {
        const struct alert alert = draw_alert();
        const struct conf_rule *rule = rules_match(conf, &alert), *first = NULL;
        for (size_t i = 0; !first && i < conf->n_rules; i++) {
            struct buf why = {0};
            bool matches = rules_explain(&conf->rules[i].match, &alert, &why);
            cr_assert_eq(matches, why.len == 0);
            first = matches ? &conf->rules[i] : NULL;
            buf_free(&why);
        }
        cr_assert_eq(rule, first, "%s and %s", rule ? rule->name : "none", first ? first->name : "none");
        decided[rule ? rule - conf->rules : 8]++;
    }
    for (size_t i = 0; i < 9; i++)
        cr_expect_gt(decided[i], 0, "%zu: no alert was drawn that it decides about", i);
}
