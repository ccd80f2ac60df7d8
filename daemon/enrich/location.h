/*
 * Where it happened.
 */
#ifndef MOBEYE_ENRICH_LOCATION_H
#define MOBEYE_ENRICH_LOCATION_H

#include "conf/conf.h"
#include "model/alert.h"
#include "model/registry.h"

/* A fix in a message that is older than this at the time of the alert does not place it (FLAG_STALE_FIX). */
#define LOCATION_FIX_AGE_MAX_US (10 * CLOCK_MINUTE)
/* A fix in a message that is no better than this does not place it (FLAG_INACCURATE). */
#define LOCATION_ACCURACY_MAX_M 1000.0f
/* The device's last fix places an alert that is at most so much later, or earlier: messages overtake each other. */
#define LOCATION_LAST_KNOWN_MAX_US (24 * CLOCK_HOUR)
/* Meanwhile somebody may have walked away with it. */
#define LOCATION_WALKING_M_PER_S 1.4
/* How well a placement, an address, says where the device is. */
#define LOCATION_PLACEMENT_ACCURACY_M 10.0f
/* What a last fix without an accuracy of its own counts as. */
#define LOCATION_FIX_ACCURACY_M 50.0f

/*
 * The first of these that there is: the message's location, where it is plausible and fresh; the device's placement
 * when it occurred; the device's last fix within the bounds, its accuracy growing with its age. Sets location_source,
 * place_lon, place_lat, place_accuracy_m, placement_id, placement_team and secret, and the flags of an implausible
 * location. device NULL: not known. Returns that placement, which is the registry's; NULL: none.
 */
const struct placement *location_set(struct alert *alert, const struct conf *conf, const struct device *device);

#endif
