#include "enrich/place.h"

#include <math.h>

#include "base/clock.h"

/* Around 0 degrees north, 0 east, where receivers without a fix say they are: about 100 m. */
#define NULL_ISLAND_DEGREES 0.001
/* A fix may seem to be from after the alert by this much: clocks differ. */
#define FIX_FUTURE_MAX_US (5 * CLOCK_MINUTE)

static bool within(const double bounds[4], double lon, double lat)
{
    return lon >= bounds[0] && lat >= bounds[1] && lon <= bounds[2] && lat <= bounds[3];
}

/* At most one: null island is outside most bounds, and so is a swapped pair. */
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
    return age_us > PLACE_FIX_AGE_MAX_US || age_us < -FIX_FUTURE_MAX_US ? FLAG_STALE_FIX : 0;
}

static uint32_t implausible(const struct alert *alert, const struct conf *conf)
{
    uint32_t inaccurate = alert->accuracy_m >= PLACE_ACCURACY_MAX_M ? FLAG_INACCURATE : 0;
    return position_flag(alert, conf) | age_flag(alert) | inaccurate;
}

void place_alert(struct alert *alert, const struct conf *conf)
{
    alert->location_source = LOCATION_NONE;
    alert->place_lon = alert->place_lat = 0;
    alert->place_accuracy_m = NAN;
    if (!alert->has_location)
        return;
    uint32_t flags = implausible(alert, conf);
    alert->flags |= flags;
    if (flags)
        return;
    alert->location_source = LOCATION_MESSAGE;
    alert->place_lon = alert->lon;
    alert->place_lat = alert->lat;
    alert->place_accuracy_m = alert->accuracy_m;
}
