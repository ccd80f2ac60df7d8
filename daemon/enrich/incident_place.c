#include "enrich/incident_place.h"

#include <math.h>

#include "model/distance.h"

/* A fix is better than a placement, a placement better than the last known location; then the more accurate is better;
 * otherwise the first stays. */
static bool better_place(const struct alert *alert, const struct incident *incident)
{
    static const int rank[] = {[LOCATION_LAST_KNOWN] = 1, [LOCATION_PLACEMENT] = 2, [LOCATION_MESSAGE] = 3};
    int theirs = rank[alert->place.source], ours = rank[incident->place.source];
    if (theirs != ours)
        return theirs > ours;
    return theirs > 0 && (alert->place.accuracy_m < incident->place.accuracy_m ||
                          (isnan(incident->place.accuracy_m) && !isnan(alert->place.accuracy_m)));
}

/* A place without a placement that is this near to one is at that home: its address and instructions apply. */
#define SAME_HOME_M 100

static bool is_at(const struct place *place, double lon, double lat)
{
    return distance_m(place->lon, place->lat, lon, lat) <= SAME_HOME_M;
}

static void take_placement(struct incident *incident, const struct alert *alert)
{
    incident->placement_id = alert->placement_id;
    incident->placement_lon = alert->placed_lon;
    incident->placement_lat = alert->placed_lat;
}

void incident_take_place(struct incident *incident, const struct alert *alert)
{
    bool own = str_eq(incident->device, alert->device);
    if (own && incident->device_placement_id == 0) {
        incident->device_placement_id = alert->placement_id;
        incident->device_placed_us = alert->placed_us;
    }
    bool taken_away = own && incident->device_placement_id != 0 && alert->placement_id == 0;
    if (taken_away)
        return;
    if (!better_place(alert, incident)) {
        if (incident->placement_id == 0 && alert->placement_id != 0 &&
            is_at(&incident->place, alert->placed_lon, alert->placed_lat))
            take_placement(incident, alert);
        return;
    }
    if (alert->placement_id != 0 && (own || is_at(&alert->place, alert->placed_lon, alert->placed_lat)))
        take_placement(incident, alert);
    else if (!is_at(&alert->place, incident->placement_lon, incident->placement_lat))
        incident->placement_id = 0;
    incident->place = alert->place;
    incident->areas = alert->areas;
}
