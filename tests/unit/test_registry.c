/* The registry in memory, and which device an alert is from. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>

#include "enrich/device.h"
#include "model/registry.h"

#define DAY_US (INT64_C(24) * 3600 * 1000000)

static struct registry *registry;
static struct batch *batch;

static void setup(void)
{
    registry = registry_new();
    batch = batch_new(1);
}

static void teardown(void)
{
    registry_free(&registry);
    batch_free(&batch);
}

TestSuite(registry, .init = setup, .fini = teardown);

static struct dc09_address address(const char *account, int32_t input)
{
    struct dc09_address made;
    cr_assert(dc09_address_make(&made, str_from(account), input));
    return made;
}

static void put(const char *id, const char *group)
{
    registry_put(registry, &(struct registry_entry){.id = str_from(id),
                                                    .registered = true,
                                                    .group = registry_word(registry, str_from(group))});
}

static void put_holding(const char *id, const char *account, int32_t input, int64_t from_us, int64_t until_us)
{
    struct dc09_address_holding one = {address(account, input), from_us, until_us};
    registry_put(registry,
                 &(struct registry_entry){.id = str_from(id), .registered = true, .addresses = &one, .n_addresses = 1});
}

static void put_address(const char *id, const char *account, int32_t input)
{
    put_holding(id, account, input, INT64_MIN, INT64_MAX);
}

static void put_gone(const char *id)
{
    registry_put(registry, &(struct registry_entry){.id = str_from(id)});
}

static void fix(const char *id, int64_t at_us, double lon)
{
    registry_put_fix(registry, str_from(id), &(struct fix){at_us, lon, 52, 10, false});
}

static void undated(const char *id, int64_t at_us, double lon)
{
    registry_put_fix(registry, str_from(id), &(struct fix){at_us, lon, 52, 10, true});
}

static void settle(const char *id, int64_t at_us, double lon, bool is_new)
{
    registry_settle_fix(registry, str_from(id), &(struct fix){at_us, lon, 52, 10, true}, is_new);
}

static double fix_lon(const char *id)
{
    return registry_find(registry, str_from(id))->fix.lon;
}

static const char *at_address_then(const char *account, int32_t input, int64_t at_us)
{
    static char id[80];
    struct dc09_address wanted = address(account, input);
    struct device *device = registry_find_address(registry, &wanted, at_us);
    snprintf(id, sizeof(id), "%.*s", device ? (int)device->id.len : 1, device ? device->id.p : "-");
    return id;
}

static const char *at_address(const char *account, int32_t input)
{
    return at_address_then(account, input, 0);
}

Test(registry, a_device_is_what_it_was_last_said_to_be)
{
    cr_expect_null(registry_find(registry, STR("a")));
    put("a", "loan");
    put("b", "");
    cr_expect(str_is(registry_find(registry, STR("a"))->group, "loan"));
    put("a", "fixed");
    cr_expect(str_is(registry_find(registry, STR("a"))->group, "fixed"));
    cr_expect_eq(registry->n_registered, 2);
    put_gone("a");
    put_gone("never seen");
    cr_expect_null(registry_find(registry, STR("a")));
    cr_expect_eq(registry->n_registered, 1);
}

static void put_placed(const char *id, int64_t from_us, int64_t until_us, bool secret)
{
    struct placement placement = {
        .id = 1, .from_us = from_us, .until_us = until_us, .lon = 5, .lat = 52, .secret = secret};
    registry_put(registry, &(struct registry_entry){
                               .id = str_from(id), .registered = true, .placements = &placement, .n_placements = 1});
}

Test(registry, a_fix_that_was_taken_at_a_secret_placement_is_not_remembered)
{
    put_placed("a", 100, 200, true);
    fix("a", 99, 5.1);
    fix("a", 100, 5.2);
    fix("a", 199, 5.3);
    cr_expect_eq(registry_find(registry, STR("a"))->fix.lon, 5.1);
    fix("a", 200, 5.4);
    cr_expect_eq(registry_find(registry, STR("a"))->fix.lon, 5.4);
}

Test(registry, a_fix_is_forgotten_when_its_placement_becomes_secret)
{
    put_placed("a", 100, 200, false);
    fix("a", 150, 5.2);
    put_placed("a", 100, 200, false);
    cr_expect_eq(registry_find(registry, STR("a"))->fix.lon, 5.2);
    put_placed("a", 100, 200, true);
    cr_expect_eq(registry_find(registry, STR("a"))->fix.at_us, INT64_MIN);
    fix("a", DAY_US, 5.2);
    put_placed("a", DAY_US + 1, INT64_MAX, true);
    cr_expect_eq(registry_find(registry, STR("a"))->fix.at_us, INT64_MIN,
                 "a time in whole seconds is any moment of them");
}

Test(registry, an_undated_fix_may_be_of_any_placement_so_none_is_remembered_once_one_is_secret)
{
    put("a", "");
    fix("a", 50, 5.1);
    undated("a", 300, 5.2);
    settle("a", 300, 5.2, true);
    cr_expect_eq(fix_lon("a"), 5.2);
    put_placed("a", 100, 200, true);
    cr_expect_eq(registry_find(registry, STR("a"))->fix.at_us, INT64_MIN);
    undated("a", 301, 5.3);
    cr_expect_eq(registry_find(registry, STR("a"))->fix.at_us, INT64_MIN);
    fix("a", 302, 5.4);
    cr_expect_eq(fix_lon("a"), 5.4, "one with a time of its own is");
}

Test(registry, the_fix_of_a_repeated_alert_gives_way_to_the_one_before)
{
    undated("a", 10, 5.1);
    cr_expect_eq(fix_lon("a"), 5.1, "at once, for the next alert");
    settle("a", 10, 5.1, true);
    undated("a", 20, 5.2); /* both in one batch, and the first two come again in the next */
    undated("a", 30, 5.3);
    settle("a", 20, 5.2, true), settle("a", 30, 5.3, true);
    undated("a", 40, 5.1);
    undated("a", 50, 5.2);
    cr_expect_eq(fix_lon("a"), 5.2);
    settle("a", 40, 5.1, false);
    settle("a", 50, 5.2, false);
    cr_expect_eq(fix_lon("a"), 5.3);
    undated("a", 60, 5.4); /* the repetition comes after the new one */
    undated("a", 70, 5.1);
    settle("a", 60, 5.4, true);
    settle("a", 70, 5.1, false);
    cr_expect_eq(fix_lon("a"), 5.4);
    undated("a", 80, 5.1); /* the batch after is prepared already */
    fix("a", 90, 5.5);
    settle("a", 80, 5.1, false);
    cr_expect_eq(fix_lon("a"), 5.5);
    undated("a", 100, 5.1);
    fix("a", 95, 5.6); /* buffered: older, but certain */
    settle("a", 100, 5.1, false);
    cr_expect_eq(fix_lon("a"), 5.6);
}

Test(registry, a_stranger_of_whom_only_a_repeated_alert_came_is_unknown_again)
{
    undated("stranger", 10, 5.1);
    settle("stranger", 10, 5.1, false);
    cr_expect_null(registry_find(registry, STR("stranger")));
}

Test(registry, an_erased_fix_does_not_come_back_when_its_alert_is_stored)
{
    put("a", "");
    undated("a", 10, 5.1);
    registry_forget_fix(registry, STR("a"), 0, 20);
    settle("a", 10, 5.1, true);
    undated("a", 30, 5.2);
    settle("a", 30, 5.2, false);
    cr_expect_eq(registry_find(registry, STR("a"))->fix.at_us, INT64_MIN);
    undated("a", 40, 5.3);
    settle("a", 40, 5.3, true);
    undated("a", 50, 5.4);
    registry_forget_fix(registry, STR("a"), 40, 50);
    settle("a", 50, 5.4, false);
    cr_expect_eq(registry_find(registry, STR("a"))->fix.at_us, INT64_MIN, "nor what was kept for this case");
}

Test(registry, a_fix_is_forgotten_when_it_was_erased_and_so_is_a_stranger)
{
    put("a", "");
    fix("a", 100, 5.1);
    fix("stranger", 100, 5.1);
    for (size_t i = 0; i < 2; i++) {
        struct str id = i ? STR("stranger") : STR("a");
        registry_forget_fix(registry, id, 50, 100);
        registry_forget_fix(registry, id, 101, INT64_MAX);
        cr_expect_eq(registry_find(registry, id)->fix.at_us, 100);
        registry_forget_fix(registry, id, 100, 101);
    }
    cr_expect_eq(registry_find(registry, STR("a"))->fix.at_us, INT64_MIN);
    cr_expect_null(registry_find(registry, STR("stranger")));
    registry_forget_fix(registry, STR("never heard of"), INT64_MIN, INT64_MAX);
    fix("a", 60, 5.2);
    cr_expect_eq(registry_find(registry, STR("a"))->fix.at_us, 60);
    fix("stranger", 60, 5.2);
    registry_forget_fixes(registry);
    cr_expect_eq(registry_find(registry, STR("a"))->fix.at_us, INT64_MIN);
    cr_expect_null(registry_find(registry, STR("stranger")));
}

Test(registry, words_stay_when_their_devices_are_gone)
{
    put("a", "loan");
    struct str group = registry_find(registry, STR("a"))->group;
    put_gone("a");
    cr_expect(str_is(group, "loan"));
    cr_expect_eq(registry_word(registry, STR("loan")).p, group.p);
}

Test(registry, an_address_is_of_one_device)
{
    put_address("a", "12AB", 1);
    cr_expect_str_eq(at_address("12AB", 1), "a");
    cr_expect_str_eq(at_address("12AB", 2), "-");
    cr_expect_str_eq(at_address("12AB", ALERT_NO_INT), "-");
    cr_expect_str_eq(at_address("012AB", 1), "a", "leading zeros do not count");
    cr_expect_str_eq(at_address("12AB0", 1), "-", "others do");
    put_address("b", "12AB", 1);
    cr_expect_str_eq(at_address("12AB", 1), "b");
    put_address("b", "12AB", 2);
    cr_expect_str_eq(at_address("12AB", 1), "-");
    put_gone("b");
    cr_expect_str_eq(at_address("12AB", 2), "-");
    put("a", "");
    cr_expect_eq(registry->addresses.n, 0);
}

Test(registry, an_address_is_of_the_device_that_had_it_then)
{
    put_holding("a", "12AB", 1, 100, 200);
    put_holding("b", "12AB", 1, 300, INT64_MAX);
    static const struct {
        int64_t at_us;
        const char *id;
    } cases[] = {{99, "b"}, {100, "a"}, {199, "a"}, {200, "b"}, {300, "b"}, {INT64_MAX - 1, "b"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        cr_expect_str_eq(at_address_then("12AB", 1, cases[i].at_us), cases[i].id, "at %ld", (long)cases[i].at_us);
    put_gone("a");
    cr_expect_str_eq(at_address_then("12AB", 1, 99), "b", "one got it later");
    put_holding("a", "12AB", 1, 100, 200);
    put_gone("b");
    cr_expect_str_eq(at_address_then("12AB", 1, 99), "a");
    cr_expect_str_eq(at_address_then("12AB", 1, 200), "-");
    put_gone("a");
    cr_expect_eq(registry->addresses.n, 0);
}

Test(registry, an_address_that_another_device_has_is_its_own_until_then)
{
    put_holding("b", "12AB", 1, 100, INT64_MAX);
    put_holding("a", "12AB", 1, 200, INT64_MAX);
    cr_expect_str_eq(at_address_then("12AB", 1, 199), "b");
    cr_expect_str_eq(at_address_then("12AB", 1, 200), "a");
}

Test(registry, who_had_the_account_comes_before_who_got_the_input_later)
{
    put_holding("all", "12AB", ALERT_NO_INT, 100, INT64_MAX);
    put_holding("one", "12AB", 1, 200, INT64_MAX);
    cr_expect_str_eq(at_address_then("12AB", 1, 99), "one");
    cr_expect_str_eq(at_address_then("12AB", 1, 100), "all");
    cr_expect_str_eq(at_address_then("12AB", 1, 200), "one");
    cr_expect_str_eq(at_address_then("12AB", 2, 99), "all");
}

/* Since and until when (days; 0: until further notice) it has the address, and whether it stood somewhere until day 9.
 */
struct got {
    int64_t from, until;
    int32_t input;
    bool stood;
};

static void put_got(const char *id, const struct got *got)
{
    struct dc09_address_holding one = {address("12AB", got->input), got->from * DAY_US,
                                       got->until ? got->until * DAY_US : INT64_MAX};
    struct placement placement = {.id = 1, .until_us = 9 * DAY_US};
    registry_put(registry, &(struct registry_entry){.id = str_from(id),
                                                    .registered = true,
                                                    .placements = &placement,
                                                    .n_placements = got->stood,
                                                    .addresses = &one,
                                                    .n_addresses = 1});
}

Test(registry, of_several_that_got_an_address_later_the_one_that_is_meant_is_found)
{
    static const struct {
        const char *what;
        struct got a, b;
        const char *id;
    } cases[] = {
        {"the first", {10, 20, 1, false}, {20, 0, 1, false}, "a"},
        {"not where it was mistyped", {10, 16, 1, false}, {16, 0, 1, false}, "b"},
        {"a week is not a mistake", {10, 17, 1, false}, {17, 0, 1, false}, "a"},
        {"the input rather than the account", {10, 0, ALERT_NO_INT, false}, {20, 0, 1, false}, "b"},
        {"even if mistyped", {10, 0, ALERT_NO_INT, false}, {20, 21, 1, false}, "b"},
        {"who stood somewhere before all", {10, 0, ALERT_NO_INT, true}, {20, 0, 1, false}, "a"},
        {"even if mistyped", {10, 11, 1, true}, {11, 0, 1, false}, "a"},
        {"also a later one", {10, 20, 1, false}, {20, 0, ALERT_NO_INT, true}, "b"},
        {"nobody that lost it by then", {1, 2, 1, true}, {20, 21, 1, false}, "b"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        for (int order = 0; order < 2; order++) {
            put_got(order ? "b" : "a", order ? &cases[i].b : &cases[i].a);
            put_got(order ? "a" : "b", order ? &cases[i].a : &cases[i].b);
            cr_expect_str_eq(at_address_then("12AB", 1, 5 * DAY_US), cases[i].id, "case %zu: %s", i, cases[i].what);
            put_gone("a");
            put_gone("b");
        }
}

Test(registry, memory_is_counted_for_who_had_an_address_before_too)
{
    put_holding("b", "12AB", 1, 300, INT64_MAX);
    put("a", "");
    size_t without = registry_bytes(registry);
    put_holding("a", "12AB", 1, 100, 200);
    cr_expect_gt(registry_bytes(registry), without);
    put("a", "");
    cr_expect_eq(registry_bytes(registry), without);
}

Test(registry, accounts_are_found_without_leading_zeros)
{
    put_address("excel", "371", 1);
    cr_expect_str_eq(at_address("0371", 1), "excel");
    cr_expect_str_eq(at_address("000371", 1), "excel");
    put_address("portal", "0042", 2);
    cr_expect_str_eq(at_address("42", 2), "portal");
    put_address("zeros", "0000", 3);
    cr_expect_str_eq(at_address("000", 3), "zeros");
    cr_expect_str_eq(at_address("0001", 3), "-");
}

Test(registry, no_account_is_empty_or_too_long)
{
    struct dc09_address made;
    cr_expect(!dc09_address_make(&made, STR(""), 1));
    cr_expect(dc09_address_make(&made, STR("0123456789ABCDEF"), 1));
    cr_expect(!dc09_address_make(&made, STR("1123456789ABCDEF0"), 1));
}

Test(registry, after_a_load_nobody_else_is_registered)
{
    put("a", "");
    put("b", "");
    put_address("c", "12AB", 1);
    fix("b", 5, 1);
    registry_load_begin(registry);
    cr_expect(registry->loading);
    put("a", "");
    registry_load_begin(registry); /* the first was broken off */
    put("d", "");
    registry_load_end(registry);
    cr_expect(!registry->loading);
    cr_expect_eq(registry->n_registered, 1);
    cr_expect_null(registry_find(registry, STR("a")));
    cr_expect(!registry_find(registry, STR("b"))->registered, "its fix is remembered");
    cr_expect_str_eq(at_address("12AB", 1), "-");
    cr_expect(registry_find(registry, STR("d"))->registered);
}

Test(registry, the_newest_fix_is_remembered_of_strangers_too)
{
    fix("a", 10, 1);
    fix("a", 9, 2);
    cr_expect_eq(registry_find(registry, STR("a"))->fix.lon, 1);
    fix("a", 11, 3);
    cr_expect_eq(registry_find(registry, STR("a"))->fix.lon, 3);
    put("a", "loan");
    cr_expect_eq(registry_find(registry, STR("a"))->fix.lon, 3);
    put_gone("a");
    cr_expect_eq(registry_find(registry, STR("a"))->fix.lon, 3);
    cr_expect_eq(registry->n_registered, 0);
}

Test(registry, strangers_without_number_do_not_fill_the_memory)
{
    char id[32];
    put("a", "");
    fix("a", 1, 1);
    for (int i = 0; i <= REGISTRY_UNREGISTERED_MAX; i++) {
        snprintf(id, sizeof(id), "stranger-%d", i);
        fix(id, i, 5);
        cr_assert_leq(registry->devices.n, REGISTRY_UNREGISTERED_MAX + 1);
    }
    cr_expect_not_null(registry_find(registry, str_from(id)), "the last is known");
    cr_expect_eq(registry_find(registry, STR("a"))->fix.lon, 1, "and who is registered");
}

Test(registry, a_placement_holds_from_its_start_until_before_its_end)
{
    const struct placement two[] = {{.id = 1, .from_us = 100, .until_us = 200},
                                    {.id = 2, .from_us = 200, .until_us = 300},
                                    {.id = 3, .from_us = 400, .until_us = INT64_MAX}};
    registry_put(registry,
                 &(struct registry_entry){.id = STR("a"), .registered = true, .placements = two, .n_placements = 3});
    const struct device *device = registry_find(registry, STR("a"));
    static const struct {
        int64_t at_us;
        uint64_t id;
    } cases[] = {{99, 0}, {100, 1}, {199, 1}, {200, 2}, {299, 2}, {300, 0}, {399, 0}, {400, 3}, {INT64_MAX - 1, 3}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct placement *placement = device_placement(device, cases[i].at_us);
        cr_expect_eq(placement ? placement->id : 0, cases[i].id, "at %ld", (long)cases[i].at_us);
    }
    put("a", "");
    cr_expect_null(device_placement(registry_find(registry, STR("a")), 150));
}

/* ---- which device an alert is from ---- */

static struct alert identified(enum alert_format format, const char *device, int32_t input)
{
    struct alert alert = {.format = format, .device = str_from(device), .input = input};
    device_identify(registry, batch, &alert);
    return alert;
}

static void expect_device(struct alert alert, const char *id, bool registered)
{
    cr_expect(str_is(alert.device, id), "%.*s, not %s", (int)alert.device.len, alert.device.p, id);
    cr_expect_eq(alert.registered, registered, "%s", id);
}

Test(registry, cloudevents_name_their_device)
{
    put("NL-1", "loan");
    put_address("NL-2", "12AB", ALERT_NO_INT);
    struct alert alert = identified(ALERT_CLOUDEVENTS, "NL-1", 3);
    expect_device(alert, "NL-1", true);
    cr_expect(str_is(alert.group, "loan"));
    expect_device(identified(ALERT_CLOUDEVENTS, "NL-3", 3), "NL-3", false);
    expect_device(identified(ALERT_CLOUDEVENTS, "dc09:12AB", 3), "dc09:12AB", false);
}

Test(registry, dc09_goes_by_account_and_input_then_by_account_then_by_its_own_name)
{
    put_address("input-1", "12AB", 1);
    put_address("others", "12AB", ALERT_NO_INT);
    put_address("only-2", "77F", 2);
    put("dc09:9999/4", "");
    expect_device(identified(ALERT_SIA_DC09, "dc09:12AB/1", 1), "input-1", true);
    expect_device(identified(ALERT_SIA_DC09, "dc09:12AB/2", 2), "others", true);
    expect_device(identified(ALERT_SIA_DC09, "dc09:12AB", ALERT_NO_INT), "others", true);
    expect_device(identified(ALERT_SIA_DC09, "dc09:77F/2", 2), "only-2", true);
    expect_device(identified(ALERT_SIA_DC09, "dc09:77F/1", 1), "dc09:77F/1", false);
    expect_device(identified(ALERT_SIA_DC09, "dc09:77F", ALERT_NO_INT), "dc09:77F", false);
    expect_device(identified(ALERT_SIA_DC09, "dc09:9999/4", 4), "dc09:9999/4", true);
}

Test(registry, the_name_that_an_alert_got_stays_when_the_device_is_gone)
{
    put_address("set-7", "12AB", 1);
    struct alert alert = identified(ALERT_SIA_DC09, "dc09:12AB/1", 1);
    put_gone("set-7");
    expect_device(alert, "set-7", true);
}

Test(registry, who_is_known_by_a_fix_alone_is_not_registered)
{
    fix("NL-1", 1, 5);
    struct alert alert = {.format = ALERT_CLOUDEVENTS, .device = STR("NL-1")};
    cr_expect_not_null(device_identify(registry, batch, &alert));
    expect_device(alert, "NL-1", false);
    cr_expect_eq(alert.group.len, 0);
}
