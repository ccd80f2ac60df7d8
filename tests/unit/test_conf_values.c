/* The structs that a valid file is loaded into. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/buf.h"
#include "conf/diagnostics.h"
#include "conf/load.h"
#include "conf/value.h"

#define SECOND INT64_C(1000000)
#define HOUR   (3600 * SECOND)
#define DAY    (24 * HOUR)

#define REQUIRED                                                                                                       \
    "instance: i\n"                                                                                                    \
    "database: {conninfo: \"host=a\"}\n"                                                                               \
    "journal: {directory: /j}\n"                                                                                       \
    "endpoints: [{name: e, bind: \"ipc:///e\", socket: router, format: cloudevents}]\n"

static const char minimal[] = REQUIRED "rules: [{name: rest, action: store}]\n";

static const char full[] =
    "instance: amersfoort-1\n"
    "timezone: UTC\n"
    "bounds: [3.2, -50.7, 7, 53.6]\n"
    "database: {conninfo: \"postgresql://db/mobeye\", batch_max: 7, batch_wait: 1s500ms}\n"
    "journal: {directory: /var/lib/mobeyed/journal, max_size: 64MiB, keep: 7d}\n"
    "http: {listen: \"127.0.0.1:9464\"}\n"
    "retention: {camera: 7d, alarm: 30d, service: 31d, incident: 32d12h, burglary: 33d}\n"
    "endpoints:\n"
    "  - {name: cameras, bind: \"tcp://0.0.0.0:5555\", socket: pull, format: cloudevents, plaintext: allow}\n"
    "  - {name: portal, connect: \"tcp://hub:5556\", socket: sub, format: cloudevents, topics: [a, b/]}\n"
    "rules:\n"
    "  - name: night\n"
    "    match:\n"
    "      kind: [camera, unknown]\n"
    "      phase: update\n"
    "      device: [\"NL-*\", \"dc09:*\"]\n"
    "      located: no\n"
    "      hours: \"22:00-06:30\"\n"
    "      days: [fri-sun, tue]\n"
    "      score: {min: 0.25, below: 1}\n"
    "      label: person\n"
    "      camera_zone: [oprit, tuin]\n"
    "      drill: true\n"
    "      endpoint: [portal]\n"
    "      group: [lent, tents]\n"
    "      registered: no\n"
    "      area: {layer: hotspot, code: [H1, H2]}\n"
    "    incident:\n"
    "      category: service\n"
    "      priority: 3\n"
    "      group_by: [wijk, kind, buurt, device]\n"
    "      gap: 4h30m\n"
    "      max_age: 7d\n"
    "      moved_over: 1.5km\n"
    "      settle: 10m\n"
    "      team: north\n"
    "      overdue: 15m\n"
    "  - name: near\n"
    "    match: {kind: fire}\n"
    "    incident: {category: alarm, priority: 2, group_by: endpoint, gap: 5h,\n"
    "               verify_by: {within: 5m, radius: 150m, priority: 1}}\n"
    "  - name: rest\n"
    "    action: store\n";

static struct conf *parse(const char *text)
{
    struct buf report = {0};
    struct conf *conf = conf_parse("test.yaml", text, strlen(text), &report);
    cr_assert_not_null(conf, "%.*s", (int)report.len, report.len ? report.data : "");
    cr_assert_eq(report.len, 0, "%.*s", (int)report.len, report.len ? report.data : "");
    buf_free(&report);
    return conf;
}

Test(conf_values, keys_that_are_left_out_have_their_defaults)
{
    struct conf *conf = parse(minimal);
    cr_expect_str_eq(conf->file, "test.yaml");
    cr_expect_str_eq(conf->timezone, "Europe/Amsterdam");
    cr_expect_not(conf->has_bounds);
    cr_expect_eq(conf->database.batch_max, 20000);
    cr_expect_eq(conf->database.batch_wait_us, 20000);
    cr_expect_eq(conf->journal.max_size_bytes, UINT64_C(4) << 30);
    cr_expect_eq(conf->journal.keep_us, 24 * HOUR);
    cr_expect_null(conf->http_listen);
    cr_expect_eq(conf->n_rules, 1);
    cr_expect_eq(conf->retention.class_us[CLASS_CAMERA], 28 * DAY);
    cr_expect_eq(conf->retention.class_us[CLASS_ALARM], 365 * DAY);
    cr_expect_eq(conf->retention.class_us[CLASS_SERVICE], 90 * DAY);
    cr_expect_eq(conf->retention.incident_us, 1825 * DAY);
    cr_expect_eq(conf->retention.burglary_us, 1825 * DAY);
    cr_expect_eq(conf->n_endpoints, 1);
    cr_expect_eq(conf->endpoints[0].n_topics, 0);
    cr_expect_not(conf->endpoints[0].plaintext_allow);
    conf_free(&conf);
    cr_expect_null(conf);
    conf_free(&conf);
}

Test(conf_values, every_section_sets_its_members)
{
    struct conf *conf = parse(full);
    cr_expect_str_eq(conf->instance, "amersfoort-1");
    cr_expect_str_eq(conf->timezone, "UTC");
    cr_expect(conf->has_bounds);
    cr_expect_eq(conf->bounds[0], 3.2);
    cr_expect_eq(conf->bounds[1], -50.7);
    cr_expect_eq(conf->bounds[2], 7.0);
    cr_expect_eq(conf->bounds[3], 53.6);
    cr_expect_str_eq(conf->database.conninfo, "postgresql://db/mobeye");
    cr_expect_eq(conf->database.batch_max, 7);
    cr_expect_eq(conf->database.batch_wait_us, 1500000);
    cr_expect_str_eq(conf->journal.directory, "/var/lib/mobeyed/journal");
    cr_expect_eq(conf->journal.max_size_bytes, 64 << 20);
    cr_expect_eq(conf->journal.keep_us, 7 * 24 * HOUR);
    cr_expect_str_eq(conf->http_listen, "127.0.0.1:9464");
    cr_expect_eq(conf->retention.class_us[CLASS_CAMERA], 7 * DAY);
    cr_expect_eq(conf->retention.class_us[CLASS_ALARM], 30 * DAY);
    cr_expect_eq(conf->retention.class_us[CLASS_SERVICE], 31 * DAY);
    cr_expect_eq(conf->retention.incident_us, 32 * DAY + 12 * HOUR);
    cr_expect_eq(conf->retention.burglary_us, 33 * DAY);
    conf_free(&conf);
}

Test(conf_values, every_endpoint_sets_its_members)
{
    struct conf *conf = parse(full);
    cr_assert_eq(conf->n_endpoints, 2);
    const struct conf_endpoint *a = &conf->endpoints[0], *b = &conf->endpoints[1];
    cr_expect_str_eq(a->name, "cameras");
    cr_expect_str_eq(a->address, "tcp://0.0.0.0:5555");
    cr_expect(a->bind);
    cr_expect_eq(a->socket, CONF_PULL);
    cr_expect_eq(a->format, ALERT_CLOUDEVENTS);
    cr_expect(a->plaintext_allow);
    cr_expect_str_eq(b->address, "tcp://hub:5556");
    cr_expect_not(b->bind);
    cr_expect_eq(b->socket, CONF_SUB);
    cr_assert_eq(b->n_topics, 2);
    cr_expect_str_eq(b->topics[0], "a");
    cr_expect_str_eq(b->topics[1], "b/");
    cr_expect_not(b->plaintext_allow);
    conf_free(&conf);
}

Test(conf_values, every_key_of_match_sets_its_member)
{
    struct conf *conf = parse(full);
    cr_assert_eq(conf->n_rules, 3);
    const struct conf_match *m = &conf->rules[0].match;
    cr_expect_str_eq(conf->rules[0].name, "night");
    cr_expect_eq(m->kinds, 1u << KIND_CAMERA | 1u << KIND_UNKNOWN);
    cr_expect_eq(m->phases, 1u << PHASE_UPDATE);
    cr_assert_eq(m->n_devices, 2);
    cr_expect_str_eq(m->devices[1], "dc09:*");
    cr_expect_eq(m->located, 0);
    cr_expect_eq(m->drill, 1);
    cr_expect(m->has_hours);
    cr_expect_eq(m->hours.from_min, 22 * 60);
    cr_expect_eq(m->hours.until_min, 6 * 60 + 30);
    cr_expect_eq(m->days, 1u << 4 | 1u << 5 | 1u << 6 | 1u << 1);
    cr_expect_eq(m->score_min, 0.25);
    cr_expect_eq(m->score_below, 1.0);
    cr_assert_eq(m->n_labels, 1);
    cr_expect_str_eq(m->labels[0], "person");
    cr_assert_eq(m->n_camera_zones, 2);
    cr_expect_str_eq(m->camera_zones[1], "tuin");
    cr_assert_eq(m->n_endpoints, 1);
    cr_expect_str_eq(m->endpoints[0], "portal");
    cr_assert_eq(m->n_groups, 2);
    cr_expect_str_eq(m->groups[1], "tents");
    cr_expect_eq(m->registered, 0);
    cr_expect_str_eq(m->area_layer, "hotspot");
    cr_assert_eq(m->n_area_codes, 2);
    cr_expect_str_eq(m->area_codes[1], "H2");
    conf_free(&conf);
}

Test(conf_values, every_key_of_incident_sets_its_member)
{
    struct conf *conf = parse(full);
    const struct conf_rule *rule = &conf->rules[0];
    const struct incident_terms *terms = &rule->terms;
    cr_expect(rule->makes_incident);
    cr_expect(str_is(terms->rule, "night"));
    cr_expect_eq(terms->category, CATEGORY_SERVICE);
    cr_expect_eq(terms->priority, 3);
    cr_expect_eq(rule->group_by, GROUP_KIND | GROUP_DEVICE);
    cr_assert_eq(rule->n_group_layers, 2);
    cr_expect_str_eq(rule->group_layers[0], "buurt", "sorted");
    cr_expect_str_eq(rule->group_layers[1], "wijk");
    cr_expect_eq(terms->gap_us, 4 * HOUR + HOUR / 2);
    cr_expect_eq(terms->max_age_us, 7 * DAY);
    cr_expect_eq(terms->moved_over_m, 1500);
    cr_expect_eq(terms->settle_us, HOUR / 6);
    cr_expect(str_is(terms->team, "north"));
    cr_expect(terms->overdue_us[0] == HOUR / 4 && terms->overdue_us[1] == 0);
    cr_expect_eq(terms->verify_within_us, 0);
    conf_free(&conf);
}

Test(conf_values, an_incident_without_its_optional_keys)
{
    struct conf *conf = parse(full);
    const struct conf_rule *rule = &conf->rules[1];
    const struct incident_terms *terms = &rule->terms;
    cr_expect(rule->makes_incident);
    cr_expect_eq(terms->category, CATEGORY_ALARM);
    cr_expect_eq(rule->group_by, GROUP_ENDPOINT);
    cr_expect_eq(rule->n_group_layers, 0);
    cr_expect_eq(terms->max_age_us + terms->settle_us + terms->overdue_us[0], 0);
    cr_expect_eq(terms->moved_over_m, 0);
    cr_expect_eq(terms->team.len, 0);
    cr_expect_eq(terms->verify_within_us, HOUR / 12);
    cr_expect_eq(terms->verify_radius_m, 150);
    cr_expect_eq(terms->verify_priority, 1);
    cr_expect_not(conf->rules[2].makes_incident);
    conf_free(&conf);
}

Test(conf_values, a_rule_without_match_has_no_conditions)
{
    struct conf *conf = parse(full);
    const struct conf_match *m = &conf->rules[2].match;
    cr_expect_eq(m->kinds, 0);
    cr_expect_eq(m->phases, 0);
    cr_expect_eq(m->days, 0);
    cr_expect_eq(m->located, -1);
    cr_expect_eq(m->drill, -1);
    cr_expect(isnan(m->score_min));
    cr_expect(isnan(m->score_below));
    cr_expect_not(m->has_hours);
    cr_expect_eq(m->n_devices + m->n_endpoints + m->n_labels + m->n_camera_zones + m->n_groups + m->n_area_codes, 0);
    cr_expect_eq(m->registered, -1);
    cr_expect_null(m->area_layer);
    conf_free(&conf);
}

Test(conf_values, a_score_may_have_one_bound_only)
{
    char text[1024];
    snprintf(text, sizeof(text),
             REQUIRED "rules: [{name: a, match: {score: {below: 0.5}}, action: store}, {name: b, action: store}]\n");
    struct conf *conf = parse(text);
    cr_expect(isnan(conf->rules[0].match.score_min));
    cr_expect_eq(conf->rules[0].match.score_below, 0.5);
    conf_free(&conf);
}

Test(conf_values, durations)
{
    static const struct {
        const char *text;
        int64_t us; /* -1: invalid */
    } cases[] = {
        {"500ms", SECOND / 2},
        {"20s", 20 * SECOND},
        {"5m", 300 * SECOND},
        {"4h30m", 4 * HOUR + HOUR / 2},
        {"7d", 168 * HOUR},
        {"1d2h3m4s5ms", 26 * HOUR + 184 * SECOND + 5000},
        {"90m", HOUR * 3 / 2},
        {"0", 0},
        {"0s", 0},
        {"007s", 7 * SECOND},
        {"106751991d", INT64_C(106751991) * 24 * HOUR},
        {"106751992d", -1},
        {"106751991d23h", -1},
        {"9223372036854775807ms", -1},
        {"9223372036854775808s", -1},
        {"", -1},
        {"5", -1},
        {"s", -1},
        {"5S", -1},
        {"5s5", -1},
        {"5sm", -1},
        {"5s ", -1},
        {" 5s", -1},
        {"+5s", -1},
        {"5ms5s", -1},
        {"1w", -1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t us = -1;
        int rc = value_duration(cases[i].text, &us, NULL);
        cr_expect_eq(rc, cases[i].us < 0 ? -1 : 0, "%s", cases[i].text);
        if (rc == 0)
            cr_expect_eq(us, cases[i].us, "%s", cases[i].text);
    }
}

Test(conf_values, distances)
{
    static const struct {
        const char *text;
        double m; /* -1: invalid */
    } cases[] = {
        {"150m", 150}, {"1km", 1000}, {"1.5km", 1500}, {"0.25m", 0.25}, {"0m", 0},     {"010m", 10},
        {"150", -1},   {"m", -1},     {"km", -1},      {"", -1},        {"1 m", -1},   {"1M", -1},
        {"1kM", -1},   {".5km", -1},  {"1.m", -1},     {"1.5.m", -1},   {"-1m", -1},   {"+1m", -1},
        {"1e3m", -1},  {"1m1", -1},   {"1km500m", -1}, {"0x1m", -1},    {"1,5km", -1}, {"1mm", -1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        double m = -1;
        int rc = value_distance(cases[i].text, &m, NULL);
        cr_expect_eq(rc, cases[i].m < 0 ? -1 : 0, "%s", cases[i].text);
        if (rc == 0)
            cr_expect_eq(m, cases[i].m, "%s", cases[i].text);
    }
}

Test(conf_values, sizes)
{
    static const struct {
        const char *text;
        int64_t bytes; /* -1: invalid */
    } cases[] = {
        {"64KiB", 65536},
        {"4GiB", INT64_C(4) << 30},
        {"1TiB", INT64_C(1) << 40},
        {"4096", 4096},
        {"0", 0},
        {"8388607TiB", INT64_C(8388607) << 40},
        {"8388608TiB", -1},
        {"9223372036854775808", -1},
        {"", -1},
        {"KiB", -1},
        {"1 KiB", -1},
        {"1kib", -1},
        {"1K", -1},
        {"1KB", -1},
        {"1KiB1", -1},
        {"-1KiB", -1},
        {"0x10", -1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t bytes = -1;
        int rc = value_size(cases[i].text, &bytes, NULL);
        cr_expect_eq(rc, cases[i].bytes < 0 ? -1 : 0, "%s", cases[i].text);
        if (rc == 0)
            cr_expect_eq(bytes, cases[i].bytes, "%s", cases[i].text);
    }
}

Test(conf_values, amounts_are_written_in_the_shortest_way)
{
    cr_expect_str_eq(value_duration_text(0).text, "0s");
    cr_expect_str_eq(value_duration_text(20000).text, "20ms");
    cr_expect_str_eq(value_duration_text(4 * HOUR + HOUR / 2).text, "4h30m");
    cr_expect_str_eq(value_size_text(0).text, "0");
    cr_expect_str_eq(value_size_text(1000).text, "1000");
    cr_expect_str_eq(value_size_text(65536).text, "64KiB");
    cr_expect_str_eq(value_size_text(INT64_C(4) << 30).text, "4GiB");
}

Test(conf_values, a_range_of_days_may_span_the_end_of_the_week)
{
    uint32_t days = 0;
    cr_expect_eq(value_days("fri-mon", &days, NULL), 0);
    cr_expect_eq(days, 1u << 4 | 1u << 5 | 1u << 6 | 1u << 0);
    cr_expect_eq(value_days("mon-sun", &days, NULL), 0);
    cr_expect_eq(days, 0x7f);
    cr_expect_eq(value_days("wed-wed", &days, NULL), 0);
    cr_expect_eq(days, 1u << 2);
}

Test(conf_values, a_quoted_value_is_short_and_has_no_control_characters)
{
    cr_expect_str_eq(quoted("").text, "\"\"");
    cr_expect_str_eq(quoted("a\x1b[31m\x7f").text, "\"a?[31m?\"");
    /* U+009B, which some terminals interpret as ESC [. */
    cr_expect_str_eq(quoted("a\xc2\x9b!").text, "\"a?!\"");
    cr_expect_str_eq(quoted("01234567890123456789012345678901234567890123456789").text,
                     "\"01234567890123456789012345678901234567890123456789\"");
    cr_expect_str_eq(quoted("012345678901234567890123456789012345678901234567890").text,
                     "\"01234567890123456789012345678901234567890123456789...\"");
    /* Never cut in the middle of a character: byte 50 is the second of three. */
    cr_expect_str_eq(quoted("0123456789012345678901234567890123456789012345678\xe2\x82\xac").text,
                     "\"0123456789012345678901234567890123456789012345678...\"");
}
