/* What distinguishes incidents: fixed vectors, since the database keeps the hashes; and what must and must not
 * differ. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "enrich/incident_key.h"

static struct alert alert;
static struct conf_rule rule;

static void setup(void)
{
    alert = (struct alert){.device = STR("NL-0307-00042"),
                           .kind = KIND_MOTION,
                           .kind_word = STR("motion"),
                           .input = 1,
                           .endpoint = STR("cameras")};
    rule = (struct conf_rule){.makes_incident = true, .group_by = GROUP_DEVICE};
}

TestSuite(group, .init = setup);

struct hex {
    char text[33];
};

static struct hex hex(const uint8_t bytes[16])
{
    struct hex out;
    for (size_t i = 0; i < 16; i++)
        snprintf(out.text + 2 * i, 3, "%02x", bytes[i]);
    return out;
}

static struct hex condition(void)
{
    incident_key_condition(NULL, &alert);
    return hex(alert.condition);
}

static struct hex key(void)
{
    incident_key_of_rule(NULL, &alert, &rule);
    return hex(alert.key);
}

static void with_areas(struct str layer, struct str code, struct str other_layer, struct str other_code)
{
    static struct {
        struct alert_areas areas;
        struct alert_area area[2];
    } both;
    both.areas.n = 2;
    both.areas.area[0] = (struct alert_area){layer, code};
    both.areas.area[1] = (struct alert_area){other_layer, other_code};
    alert.areas = &both.areas;
}

static void group_all(void)
{
    static char first[] = "buurt", second[] = "wijk", *layers[] = {first, second};
    rule.terms.category = CATEGORY_SERVICE;
    rule.group_by = GROUP_DEVICE | GROUP_KIND | GROUP_INPUT | GROUP_TRACK | GROUP_ENDPOINT;
    rule.group_layers = layers;
    rule.n_group_layers = 2;
}

/* Computed with another implementation: Python's hashlib.blake2b over each field's length (4 bytes) and bytes. */
Test(group, vectors)
{
    cr_expect_str_eq(condition().text, "20d2201542b7b36d11f4329ef78a02a2");
    cr_expect_str_eq(key().text, "daf72be303bb3deac6b2800ed082a2dc");
    alert.kind = KIND_CAMERA;
    alert.input = ALERT_NO_INT;
    alert.camera.track = STR("t1");
    cr_expect_str_eq(condition().text, "a0a2401fd0e69280a47c6a9012d51227");
    alert.kind = KIND_UNKNOWN;
    alert.kind_word = STR("gas");
    alert.input = 1;
    alert.drill = true;
    with_areas(STR("beat"), STR("7"), STR("buurt"), STR("BU03071001"));
    group_all();
    cr_expect_str_eq(key().text, "a869be9aa1617f901f7e66be3319163a");
}

Test(group, a_thread_is_of_one_device_kind_drill_input_and_track)
{
    const struct alert base = alert;
    const struct hex was = condition();
    struct alert others[] = {base, base, base, base, base, base};
    others[0].device = STR("NL-0307-00043");
    others[1].kind = KIND_CAMERA;
    others[2].drill = true;
    others[3].input = 2;
    others[4].input = ALERT_NO_INT;
    others[5].camera.track = STR("t");
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        alert = others[i];
        cr_expect_str_neq(condition().text, was.text, "%zu", i);
        cr_expect_eq(memcmp(condition().text, was.text, 16) == 0, i >= 3,
                     "%zu: the first half is of device, kind, drill", i);
    }
    alert = base;
    alert.phase = PHASE_RESTORE;
    alert.endpoint = STR("portal");
    alert.kind_word = STR("Motion");
    alert.camera.label = STR("person");
    alert.occurred_us = 7;
    cr_expect_str_eq(condition().text, was.text);
}

Test(group, unknown_kinds_are_told_apart_by_their_words)
{
    alert.kind = KIND_UNKNOWN;
    alert.kind_word = STR("gas");
    const struct hex was = condition();
    alert.kind_word = STR("smoke");
    cr_expect_str_neq(condition().text, was.text);
}

Test(group, the_general_thread_has_no_input_and_no_track)
{
    uint8_t general[16];
    alert.camera.track = STR("t");
    const struct hex own = condition();
    incident_key_general_condition(&alert, general);
    cr_expect_str_neq(own.text, hex(general).text);
    alert.input = ALERT_NO_INT;
    alert.camera.track = (struct str){0};
    cr_expect_str_eq(condition().text, hex(general).text);
}

Test(group, a_key_has_the_category_and_the_drill_whatever_it_groups_by)
{
    const struct hex was = key();
    rule.terms.category = CATEGORY_SERVICE;
    cr_expect_str_neq(key().text, was.text);
    rule.terms.category = CATEGORY_ALARM;
    alert.drill = true;
    cr_expect_str_neq(key().text, was.text);
}

/* Every member, with and without its bit. */
Test(group, a_key_differs_by_what_it_groups_by_and_by_nothing_else)
{
    static const uint32_t bits[] = {GROUP_DEVICE, GROUP_KIND, GROUP_INPUT, GROUP_TRACK, GROUP_ENDPOINT};
    const struct alert base = alert;
    for (size_t grouped = 0; grouped < 5; grouped++) {
        rule.group_by = bits[grouped];
        alert = base;
        const struct hex was = key();
        struct alert others[] = {base, base, base, base, base};
        others[0].device = STR("x");
        others[1].kind = KIND_FIRE;
        others[2].input = 2;
        others[3].camera.track = STR("t");
        others[4].endpoint = STR("portal");
        for (size_t i = 0; i < 5; i++) {
            alert = others[i];
            cr_expect_eq(strcmp(key().text, was.text) != 0, i == grouped, "%zu %zu", grouped, i);
        }
    }
}

Test(group, a_key_says_by_what_it_groups)
{
    alert.endpoint = alert.camera.track = alert.device;
    rule.group_by = GROUP_DEVICE;
    const struct hex device = key();
    rule.group_by = GROUP_ENDPOINT;
    const struct hex endpoint = key();
    rule.group_by = GROUP_TRACK;
    const struct hex track = key();
    rule.group_by = 0;
    const struct hex none = key();
    cr_expect_str_neq(device.text, endpoint.text);
    cr_expect_str_neq(device.text, track.text);
    cr_expect_str_neq(endpoint.text, track.text);
    cr_expect_str_neq(none.text, track.text);
}

Test(group, layers_count_by_the_code_there_and_none_is_a_value_too)
{
    group_all();
    rule.group_by = 0;
    const struct hex nowhere = key();
    with_areas(STR("buurt"), STR("BU1"), STR("wijk"), STR("WK1"));
    const struct hex was = key();
    cr_expect_str_neq(was.text, nowhere.text);
    with_areas(STR("buurt"), STR("BU1"), STR("wijk"), STR("WK2"));
    cr_expect_str_neq(key().text, was.text);
    with_areas(STR("buurt"), STR("WK1"), STR("wijk"), STR("BU1"));
    cr_expect_str_neq(key().text, was.text);
    with_areas(STR("beat"), STR("B"), STR("hotspot"), STR("H"));
    cr_expect_str_eq(key().text, nowhere.text, "layers that are not asked for do not count");
}

/* No two rows of values are the same bytes. */
Test(group, a_value_does_not_run_into_its_neighbour)
{
    alert.camera.track = STR("t1");
    alert.input = ALERT_NO_INT;
    rule.group_by = GROUP_TRACK | GROUP_ENDPOINT;
    const struct hex was = key();
    alert.camera.track = STR("t1c");
    alert.endpoint = STR("ameras");
    cr_expect_str_neq(key().text, was.text);
    alert.camera.track = STR("t1endpointcameras");
    alert.endpoint = STR("");
    cr_expect_str_neq(key().text, was.text);

    setup();
    alert.device = STR("dc09:1");
    alert.kind = KIND_UNKNOWN;
    alert.kind_word = STR("23");
    const struct hex first = condition();
    alert.device = STR("dc09:12");
    alert.kind_word = STR("3");
    cr_expect_str_neq(condition().text, first.text);

    group_all();
    with_areas(STR("buurt"), STR("1"), STR("wijk"), STR("23"));
    const struct hex areas = key();
    with_areas(STR("buurt"), STR("12"), STR("wijk"), STR("3"));
    cr_expect_str_neq(key().text, areas.text);
}

/* More devices than it has slots, each twice, so that slots are used again by others; and sequences too long for one.
 */
Test(group, what_is_remembered_changes_no_key)
{
    struct key_memo *memo = key_memo_new();
    char device[ALERT_DEVICE_MAX + 1], track[ALERT_TEXT_MAX];
    memset(track, 't', sizeof(track));
    for (int i = 0; i < 20000; i++) {
        struct alert remembered;
        snprintf(device, sizeof(device), "NL-0307-%05d", i / 2 % 5000);
        alert.device = str_from(device);
        alert.input = i % 7;
        alert.camera.track = (struct str){track, (size_t)(i % 3) * (sizeof(track) / 2)};
        rule.group_by = i % 2 ? GROUP_DEVICE : GROUP_DEVICE | GROUP_TRACK;
        remembered = alert;
        incident_key_condition(memo, &remembered);
        incident_key_of_rule(memo, &remembered, &rule);
        cr_assert_str_eq(condition().text, hex(remembered.condition).text);
        cr_assert_str_eq(key().text, hex(remembered.key).text);
    }
    key_memo_free(&memo);
}
