/*
 * The location of an alert.
 */
#ifndef MOBEYE_ENRICH_LOCATION_H
#define MOBEYE_ENRICH_LOCATION_H

#include "conf/conf.h"
#include "model/alert.h"
#include "model/registry.h"

/* A fix in a message that is older than this at the time of the alert is not used (FLAG_STALE_FIX). */
#define LOCATION_FIX_AGE_MAX_US (10 * CLOCK_MINUTE)
/* A fix in a message with an accuracy of this or worse is not used (FLAG_INACCURATE). */
#define LOCATION_ACCURACY_MAX_M 1000.0f
/* The device's last fix is used for alerts up to this much later, or earlier: messages overtake each other. */
#define LOCATION_LAST_KNOWN_MAX_US (24 * CLOCK_HOUR)
/* The accuracy of a last fix decreases at walking speed: the device may have been carried away. */
#define LOCATION_WALKING_M_PER_S 1.4
/* The accuracy of a placement, which is an address. */
#define LOCATION_PLACEMENT_ACCURACY_M 10.0f
/* The accuracy of a last fix without a reported one. */
#define LOCATION_FIX_ACCURACY_M 50.0f

/* The flags of an implausible location in the message; 0: it is plausible, or there is none. */
uint32_t location_flags(const struct alert *alert, const struct conf *conf);

/*
 * Uses the first available of: the message's location, if plausible and fresh; the device's placement at the time of
 * occurrence; the device's last fix within the bounds, less accurate the older it is. Sets place, all that alert.h says
 * of the placement (placement_id to secret), and the flags of an implausible location. The placement is that at the
 * time of occurrence, or a secret one at which the location used was taken. device NULL: unknown. Returns the
 * placement, owned by the registry; NULL: none.
 */
const struct placement *location_set(struct alert *alert, const struct conf *conf, const struct device *device);

#endif
