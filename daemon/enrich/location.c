#include "enrich/location.h"

#include <math.h>

#include "base/clock.h"

/* About 100 m around 0 degrees north, 0 east, which receivers without a fix report. */
#define NULL_ISLAND_DEGREES 0.001
/* A fix may appear to be this much later than the alert: clocks differ. */
#define FIX_FUTURE_MAX_US (5 * CLOCK_MINUTE)

static bool within(const double bounds[4], double lon, double lat)
{
    return lon >= bounds[0] && lat >= bounds[1] && lon <= bounds[2] && lat <= bounds[3];
}

/* At most one flag: null island is outside most bounds, and so is a swapped pair. */
static uint32_t position_flag(const struct alert *alert, const struct conf *conf)
{
    if (fabs(alert->lon) < NULL_ISLAND_DEGREES && fabs(alert->lat) < NULL_ISLAND_DEGREES)
        return FLAG_NULL_ISLAND;
    if (!conf->has_bounds || within(conf->bounds, alert->lon, alert->lat))
        return 0;
    return within(conf->bounds, alert->lat, alert->lon) ? FLAG_SWAPPED : FLAG_OUTSIDE_BOUNDS;
}

/* Without fix_time a fix is as old as the alert. */
static uint32_t age_flag(const struct alert *alert)
{
    if (alert->fix_us == ALERT_NO_TIME)
        return 0;
    int64_t age_us = alert->occurred_us - alert->fix_us;
    return age_us > LOCATION_FIX_AGE_MAX_US || age_us < -FIX_FUTURE_MAX_US ? FLAG_STALE_FIX : 0;
}

uint32_t location_flags(const struct alert *alert, const struct conf *conf)
{
    if (!alert->has_location)
        return 0;
    uint32_t inaccurate = alert->accuracy_m >= LOCATION_ACCURACY_MAX_M ? FLAG_INACCURATE : 0;
    return position_flag(alert, conf) | age_flag(alert) | inaccurate;
}

static void set_place(struct alert *alert, enum location_source source, double lon, double lat, float accuracy_m)
{
    alert->place.source = source;
    alert->place.lon = lon;
    alert->place.lat = lat;
    alert->place.accuracy_m = accuracy_m;
}

static bool place_by_message(struct alert *alert, const struct conf *conf)
{
    uint32_t flags = location_flags(alert, conf);
    alert->flags |= flags;
    if (!alert->has_location || flags)
        return false;
    set_place(alert, LOCATION_MESSAGE, alert->lon, alert->lat, alert->accuracy_m);
    return true;
}

/* The bounds may have changed since the fix was recorded. */
static bool place_by_last_fix(struct alert *alert, const struct conf *conf, const struct device *device)
{
    if (!device || device->fix.at_us == INT64_MIN)
        return false;
    if (conf->has_bounds && !within(conf->bounds, device->fix.lon, device->fix.lat))
        return false;
    const struct fix *fix = &device->fix;
    int64_t age_us =
        alert->occurred_us > fix->at_us ? alert->occurred_us - fix->at_us : fix->at_us - alert->occurred_us;
    if (age_us > LOCATION_LAST_KNOWN_MAX_US)
        return false;
    double accuracy_m = isnan(fix->accuracy_m) ? LOCATION_FIX_ACCURACY_M : fix->accuracy_m;
    accuracy_m += LOCATION_WALKING_M_PER_S * (double)age_us / (double)CLOCK_SECOND;
    set_place(alert, LOCATION_LAST_KNOWN, fix->lon, fix->lat, (float)accuracy_m);
    return true;
}

/* A time in whole seconds, as panels send it, may be any moment of that second, even after a device was placed during
 * it. */
static const struct placement *placement_of(const struct device *device, int64_t occurred_us)
{
    const struct placement *placement = NULL;
    if (occurred_us % CLOCK_SECOND == 0)
        placement = device_placement(device, occurred_us + CLOCK_SECOND - 1);
    return placement ? placement : device_placement(device, occurred_us);
}

/* The secret placement at which the message's fix was taken: trackers repeat their last fix, with its time, also where
 * they stand next. NULL: none. */
static const struct placement *secret_placement_of_fix(const struct alert *alert, const struct device *device)
{
    if (!device || !alert->has_location)
        return NULL;
    return device_secret_placement(device, alert->fix_us == ALERT_NO_TIME ? alert->occurred_us : alert->fix_us);
}

const struct placement *location_set(struct alert *alert, const struct conf *conf, const struct device *device)
{
    const struct placement *placement = device ? placement_of(device, alert->occurred_us) : NULL;
    const struct placement *of_fix = secret_placement_of_fix(alert, device);
    bool by_message = place_by_message(alert, conf);
    if (by_message && of_fix)
        placement = of_fix;
    alert->placement_id = placement ? placement->id : 0;
    alert->placed_us = placement ? placement->from_us : 0;
    alert->placed_until_us = placement ? placement->until_us : 0;
    alert->placed_lon = placement ? placement->lon : 0;
    alert->placed_lat = placement ? placement->lat : 0;
    alert->placement_team = placement ? placement->team : (struct str){0};
    alert->secret_placement = placement && placement->secret;
    alert->secret = alert->secret_placement || of_fix;
    if (by_message)
        return placement;
    if (placement)
        set_place(alert, LOCATION_PLACEMENT, placement->lon, placement->lat, LOCATION_PLACEMENT_ACCURACY_M);
    else if (!place_by_last_fix(alert, conf, device))
        set_place(alert, LOCATION_NONE, 0, 0, NAN);
    return placement;
}
