/* Which locations of messages are used. */
#include <criterion/criterion.h>
#include <math.h>

#include "base/clock.h"
#include "enrich/place.h"

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
    place_alert(&alert, conf, NULL);
    cr_expect_eq(alert.flags, FLAG_BAD_TEXT);
    cr_expect_eq(alert.location_source, LOCATION_MESSAGE);
    cr_expect(alert.place_lon == alert.lon && alert.place_lat == alert.lat);
    cr_expect(alert.place_accuracy_m == alert.accuracy_m || isnan(alert.accuracy_m));
}

static void expect_flagged(struct alert alert, const struct conf *conf, uint32_t flags)
{
    double lon = alert.lon;
    place_alert(&alert, conf, NULL);
    cr_expect_eq(alert.flags, FLAG_BAD_TEXT | flags, "flags %x", alert.flags);
    cr_expect_eq(alert.location_source, LOCATION_NONE);
    cr_expect(isnan(alert.place_accuracy_m));
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
    struct alert alert = {.location_source = LOCATION_MESSAGE, .fix_us = 0, .accuracy_m = 5000, .occurred_us = NOW};
    place_alert(&alert, &netherlands, NULL);
    cr_expect_eq(alert.location_source, LOCATION_NONE);
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
