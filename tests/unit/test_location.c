/* Which locations of messages are used. */
#include <criterion/criterion.h>
#include <math.h>

#include "base/array.h"
#include "base/clock.h"
#include "enrich/enrich.h"
#include "enrich/location.h"

#define NOW INT64_C(1795467851250000)

static const struct conf netherlands = {.has_bounds = true, .bounds = {3.2, 50.7, 7.3, 53.6}};
static const struct conf nowhere = {.has_bounds = false};

static struct alert at(double lon, double lat)
{
    return (struct alert){.has_location = true,
                          .lon = lon,
                          .lat = lat,
                          .accuracy_m = NAN,
                          .fix_us = ALERT_NO_TIME,
                          .occurred_us = NOW,
                          .flags = FLAG_BAD_TEXT};
}

static void expect_used(struct alert alert, const struct conf *conf)
{
    location_set(&alert, conf, NULL);
    cr_expect_eq(alert.flags, FLAG_BAD_TEXT);
    cr_expect_eq(alert.place.source, LOCATION_MESSAGE);
    cr_expect(alert.place.lon == alert.lon && alert.place.lat == alert.lat);
    cr_expect(alert.place.accuracy_m == alert.accuracy_m || isnan(alert.accuracy_m));
}

static void expect_flagged(struct alert alert, const struct conf *conf, uint32_t flags)
{
    double lon = alert.lon;
    location_set(&alert, conf, NULL);
    cr_expect_eq(alert.flags, FLAG_BAD_TEXT | flags, "flags %x", alert.flags);
    cr_expect_eq(alert.place.source, LOCATION_NONE);
    cr_expect(isnan(alert.place.accuracy_m));
    cr_expect(alert.has_location && alert.lon == lon, "what the message said stays");
}

Test(place, a_plausible_location_is_the_place)
{
    expect_used(at(5.38421, 52.19634), &netherlands);
    expect_used(at(5.38421, 52.19634), &nowhere);
    struct alert alert = at(5.38421, 52.19634);
    alert.accuracy_m = 12;
    alert.fix_us = NOW;
    expect_used(alert, &netherlands);
}

Test(place, without_a_location_there_is_no_place)
{
    struct alert alert = {.place.source = LOCATION_MESSAGE, .fix_us = 0, .accuracy_m = 5000, .occurred_us = NOW};
    location_set(&alert, &netherlands, NULL);
    cr_expect_eq(alert.place.source, LOCATION_NONE);
    cr_expect_eq(alert.flags, 0);
}

Test(place, the_edge_of_the_bounds_is_inside)
{
    expect_used(at(3.2, 50.7), &netherlands);
    expect_used(at(7.3, 53.6), &netherlands);
    expect_flagged(at(3.19, 52), &netherlands, FLAG_OUTSIDE_BOUNDS);
    expect_flagged(at(7.31, 52), &netherlands, FLAG_OUTSIDE_BOUNDS);
    expect_flagged(at(5, 50.69), &netherlands, FLAG_OUTSIDE_BOUNDS);
    expect_flagged(at(5, 53.61), &netherlands, FLAG_OUTSIDE_BOUNDS);
}

Test(place, outside_but_inside_when_swapped_is_swapped)
{
    expect_flagged(at(52.19634, 5.38421), &netherlands, FLAG_SWAPPED);
    expect_flagged(at(52.19634, 15.38421), &netherlands, FLAG_OUTSIDE_BOUNDS);
    expect_used(at(52.19634, 5.38421), &nowhere);
}

Test(place, null_island_is_implausible_with_bounds_or_without)
{
    expect_flagged(at(0, 0), &netherlands, FLAG_NULL_ISLAND);
    expect_flagged(at(0.0009, -0.0009), &nowhere, FLAG_NULL_ISLAND);
    expect_used(at(0.001, 0), &nowhere);
    expect_used(at(0, 51.48), &nowhere);
}

Test(place, an_old_fix_or_one_from_the_future_is_stale)
{
    struct alert alert = at(5, 52);
    alert.fix_us = NOW - 10 * CLOCK_MINUTE;
    expect_used(alert, &netherlands);
    alert.fix_us--;
    expect_flagged(alert, &netherlands, FLAG_STALE_FIX);
    alert.fix_us = NOW + 5 * CLOCK_MINUTE;
    expect_used(alert, &netherlands);
    alert.fix_us++;
    expect_flagged(alert, &netherlands, FLAG_STALE_FIX);
}

Test(place, an_accuracy_of_a_kilometre_is_none)
{
    struct alert alert = at(5, 52);
    alert.accuracy_m = 999;
    expect_used(alert, &netherlands);
    alert.accuracy_m = 1000;
    expect_flagged(alert, &netherlands, FLAG_INACCURATE);
}

Test(place, all_that_is_wrong_is_flagged)
{
    struct alert alert = at(52, 5);
    alert.accuracy_m = 1e6f;
    alert.fix_us = 0;
    expect_flagged(alert, &netherlands, FLAG_SWAPPED | FLAG_STALE_FIX | FLAG_INACCURATE);
}

/* ---- placements and last fixes ---- */

static const struct placement home[] = {
    {.id = 7, .from_us = NOW - CLOCK_HOUR, .until_us = NOW + CLOCK_HOUR, .lon = 5.4, .lat = 52.1, .team = STR("oost")}};

static struct device standing(void)
{
    return (struct device){.registered = true,
                           .placements = (struct placement *)home,
                           .n_placements = 1,
                           .fix = {.at_us = INT64_MIN, .accuracy_m = NAN}};
}

static struct device moved(struct placement placements[2])
{
    struct device device = standing();
    device.placements = placements;
    device.n_placements = 2;
    return device;
}

static struct device seen(int64_t at_us, float accuracy_m)
{
    return (struct device){.fix = {.at_us = at_us, .lon = 5.1, .lat = 52.9, .accuracy_m = accuracy_m}};
}

static struct alert bare(int64_t occurred_us)
{
    return (struct alert){.occurred_us = occurred_us, .fix_us = ALERT_NO_TIME, .accuracy_m = NAN};
}

static void expect_place(struct alert alert, const struct device *device, enum location_source source, double lon,
                         double accuracy_m)
{
    location_set(&alert, &netherlands, device);
    cr_expect_eq(alert.place.source, source, "%s", alert_location_word(alert.place.source));
    cr_expect_float_eq(alert.place.lon, lon, 1e-9);
    if (isnan(accuracy_m))
        cr_expect(isnan(alert.place.accuracy_m));
    else
        cr_expect_float_eq(alert.place.accuracy_m, accuracy_m, 0.01, "%g", (double)alert.place.accuracy_m);
}

Test(place, the_message_comes_before_the_placement_and_that_before_the_last_fix)
{
    struct device device = standing();
    device.fix = seen(NOW, 12).fix;
    struct alert alert = at(5.38421, 52.19634);
    alert.accuracy_m = 3;
    expect_place(alert, &device, LOCATION_MESSAGE, 5.38421, 3);
    expect_place(bare(NOW), &device, LOCATION_PLACEMENT, 5.4, 10);
    device.n_placements = 0;
    expect_place(bare(NOW), &device, LOCATION_LAST_KNOWN, 5.1, 12);
    device.fix.at_us = INT64_MIN;
    expect_place(bare(NOW), &device, LOCATION_NONE, 0, NAN);
    expect_place(bare(NOW), NULL, LOCATION_NONE, 0, NAN);
}

Test(place, an_implausible_location_leaves_it_to_the_placement_and_is_flagged_all_the_same)
{
    struct device device = standing();
    struct alert alert = at(0, 0);
    location_set(&alert, &netherlands, &device);
    cr_expect_eq(alert.place.source, LOCATION_PLACEMENT);
    cr_expect(alert.flags & FLAG_NULL_ISLAND);
}

Test(place, the_placement_is_that_of_the_time_it_occurred)
{
    struct device device = standing();
    expect_place(bare(NOW - CLOCK_HOUR), &device, LOCATION_PLACEMENT, 5.4, 10);
    expect_place(bare(NOW - CLOCK_HOUR - 1), &device, LOCATION_NONE, 0, NAN);
    expect_place(bare(NOW + CLOCK_HOUR - 1), &device, LOCATION_PLACEMENT, 5.4, 10);
    expect_place(bare(NOW + CLOCK_HOUR), &device, LOCATION_NONE, 0, NAN);
}

Test(place, a_time_in_whole_seconds_is_any_moment_of_that_second)
{
    const int64_t second = NOW - NOW % CLOCK_SECOND;
    struct placement moves[] = {
        {.id = 1, .from_us = second + 300 * CLOCK_MS, .until_us = second + CLOCK_MINUTE + 500 * CLOCK_MS, .lon = 5.1},
        {.id = 2,
         .from_us = second + CLOCK_MINUTE + 500 * CLOCK_MS,
         .until_us = second + CLOCK_HOUR + CLOCK_MS,
         .lon = 5.2}};
    struct device device = moved(moves);
    expect_place(bare(second), &device, LOCATION_PLACEMENT, 5.1, 10);
    expect_place(bare(second - CLOCK_SECOND), &device, LOCATION_NONE, 0, NAN);
    expect_place(bare(second + CLOCK_MS), &device, LOCATION_NONE, 0, NAN);
    expect_place(bare(second + CLOCK_MINUTE), &device, LOCATION_PLACEMENT, 5.2, 10);
    expect_place(bare(second + CLOCK_MINUTE + CLOCK_MS), &device, LOCATION_PLACEMENT, 5.1, 10);
    expect_place(bare(second + CLOCK_HOUR), &device, LOCATION_PLACEMENT, 5.2, 10);
    expect_place(bare(second + CLOCK_HOUR + CLOCK_SECOND), &device, LOCATION_NONE, 0, NAN);
}

Test(place, the_placement_is_told_whatever_places_the_alert)
{
    struct device device = standing();
    struct alert alert = at(5.38421, 52.19634);
    location_set(&alert, &netherlands, &device);
    cr_expect_eq(alert.placement_id, 7);
    cr_expect(str_is(alert.placement_team, "oost"));
    alert.occurred_us = NOW + CLOCK_DAY;
    location_set(&alert, &netherlands, &device);
    cr_expect_eq(alert.placement_id, 0);
    cr_expect_eq(alert.placement_team.len, 0);
}

Test(place, whether_the_placement_is_secret_is_noted_also_where_a_fix_places_the_alert)
{
    struct device device = standing();
    struct alert alert = at(5.38421, 52.19634);
    struct placement secret = device.placements[0];
    secret.secret = true;
    device.placements = &secret;
    cr_expect_eq(location_set(&alert, &netherlands, &device), &secret);
    cr_expect(alert.secret && alert.place.source == LOCATION_MESSAGE);
    alert.occurred_us = NOW + CLOCK_DAY;
    cr_expect_null(location_set(&alert, &netherlands, &device));
    cr_expect(!alert.secret);
}

Test(place, a_fix_that_was_taken_at_a_secret_placement_is_secret_after_it_too)
{
    struct placement moves[] = {
        {.id = 1, .from_us = 0, .until_us = NOW, .lon = 5.1, .team = STR("veilig"), .secret = true},
        {.id = 2, .from_us = NOW, .until_us = INT64_MAX, .lon = 5.2}};
    struct device device = moved(moves);
    struct alert alert = at(5.1, 52.1);
    alert.occurred_us = NOW + CLOCK_MINUTE;
    alert.fix_us = NOW - 1;
    cr_expect_eq(location_set(&alert, &netherlands, &device), &moves[0], "it is where that was taken");
    cr_expect(alert.secret && alert.secret_placement && alert.placement_id == 1);
    cr_expect(str_is(alert.placement_team, "veilig"));
    alert.fix_us = NOW;
    cr_expect_eq(location_set(&alert, &netherlands, &device), &moves[1]);
    cr_expect(!alert.secret && !alert.secret_placement && alert.placement_id == 2);
    alert.fix_us = ALERT_NO_TIME;
    location_set(&alert, &netherlands, &device);
    cr_expect(!alert.secret);
}

Test(place, a_fix_of_a_whole_second_may_be_of_a_secret_placement_that_ended_or_began_in_it)
{
    const int64_t second = NOW - NOW % CLOCK_SECOND, middle = second + CLOCK_SECOND / 2;
    struct placement moves[] = {{.id = 1, .from_us = 0, .until_us = middle, .lon = 5.1, .secret = true},
                                {.id = 2, .from_us = middle, .until_us = INT64_MAX, .lon = 5.2}};
    struct device device = moved(moves);
    struct alert alert = at(5.1, 52.1);
    alert.occurred_us = middle + CLOCK_MINUTE;
    alert.fix_us = second;
    cr_expect_eq(location_set(&alert, &netherlands, &device), &moves[0]);
    alert.fix_us = second + 1;
    cr_expect_eq(location_set(&alert, &netherlands, &device), &moves[0]);
    alert.fix_us = middle;
    cr_expect_eq(location_set(&alert, &netherlands, &device), &moves[1]);
    alert.occurred_us = second;
    alert.fix_us = ALERT_NO_TIME;
    cr_expect_eq(location_set(&alert, &netherlands, &device), &moves[0], "it is as old as the alert");
    alert.has_location = false;
    cr_expect_eq(location_set(&alert, &netherlands, &device), &moves[1]);
    alert.has_location = true;
    alert.occurred_us = middle - CLOCK_MINUTE;
    alert.fix_us = second;
    moves[0].secret = false;
    moves[1].secret = true;
    cr_expect_eq(location_set(&alert, &netherlands, &device), &moves[1]);
    alert.fix_us = second + 1;
    cr_expect_eq(location_set(&alert, &netherlands, &device), &moves[0]);
}

Test(place, an_old_fix_of_a_secret_placement_hides_the_alert_but_neither_moves_it_nor_makes_its_placement_secret)
{
    struct placement moves[] = {{.id = 1, .from_us = 0, .until_us = NOW, .lon = 5.1, .secret = true},
                                {.id = 2, .from_us = NOW, .until_us = NOW + CLOCK_DAY, .lon = 5.2}};
    struct device device = moved(moves);
    struct alert alert = at(5.1, 52.1);
    alert.occurred_us = NOW + CLOCK_HOUR;
    alert.fix_us = NOW - 1;
    cr_expect_eq(location_set(&alert, &netherlands, &device), &moves[1]);
    cr_expect(alert.place.source == LOCATION_PLACEMENT && alert.placement_id == 2);
    cr_expect(alert.secret && !alert.secret_placement);
    alert.occurred_us = NOW + CLOCK_DAY;
    cr_expect_null(location_set(&alert, &netherlands, &device));
    cr_expect(alert.place.source == LOCATION_NONE && alert.placement_id == 0);
    cr_expect(alert.secret && !alert.secret_placement);
}

Test(place, a_last_fix_outside_the_bounds_of_now_places_nothing)
{
    struct device device = seen(NOW, 12);
    device.fix.lon = 3.19;
    expect_place(bare(NOW), &device, LOCATION_NONE, 0, NAN);
    device.fix.lon = 3.2;
    expect_place(bare(NOW), &device, LOCATION_LAST_KNOWN, 3.2, 12);
}

Test(place, a_last_fix_holds_for_a_day_and_becomes_less_accurate_at_walking_pace)
{
    struct device device = seen(NOW, 12);
    expect_place(bare(NOW + 100 * CLOCK_SECOND), &device, LOCATION_LAST_KNOWN, 5.1, 12 + 140);
    expect_place(bare(NOW - 100 * CLOCK_SECOND), &device, LOCATION_LAST_KNOWN, 5.1, 12 + 140);
    expect_place(bare(NOW + 24 * CLOCK_HOUR), &device, LOCATION_LAST_KNOWN, 5.1, 12 + 1.4 * 86400);
    expect_place(bare(NOW + 24 * CLOCK_HOUR + 1), &device, LOCATION_NONE, 0, NAN);
    device = seen(NOW, NAN);
    expect_place(bare(NOW), &device, LOCATION_LAST_KNOWN, 5.1, 50);
}

/* What one turn of the loop receives has one time of receipt. */
Test(place, a_repeated_alert_does_not_take_the_fix_of_a_new_one_of_the_same_moment_along)
{
    struct registry *registry = registry_new();
    for (size_t repeated = 0; repeated < 2; repeated++) {
        struct batch_row rows[2];
        uint8_t store[2] = {1, 1};
        int64_t at_us = 20 + 10 * (int64_t)repeated;
        double new_lon = 5.2 + (double)repeated;
        store[repeated] = 0;
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
            rows[i] = (struct batch_row){.alert = {ALERT_UNSET, .device = STR("a"), .flags = FLAG_CLOCK,
                                                   .lon = store[i] ? new_lon : 5.1, .place.source = LOCATION_MESSAGE}};
            rows[i].alert.occurred_us = at_us;
            registry_put_fix(registry, STR("a"), &(struct fix){at_us, rows[i].alert.lon, 52, 10, true});
        }
        enrich_settle_fixes(registry, &(struct batch){.rows = rows, .n = ARRAY_LEN(rows)}, store);
        cr_expect_eq(registry_find(registry, STR("a"))->fix.lon, new_lon, "row %zu is repeated", repeated);
    }
    registry_free(&registry);
}
