/*
 * Where it happened. Pure functions over a batch of synced alerts.
 */
#ifndef MOBEYE_ENRICH_PLACE_H
#define MOBEYE_ENRICH_PLACE_H

#include "alert/alert.h"
#include "conf/conf.h"

/* A fix older than this at the time of the alert does not place it (FLAG_STALE_FIX). */
#define PLACE_FIX_AGE_MAX_US (10 * CLOCK_MINUTE)
/* A fix no better than this does not place it (FLAG_INACCURATE). */
#define PLACE_ACCURACY_MAX_M 1000.0f

/* Judges the message's location and sets location_source, place_lon, place_lat, place_accuracy_m and the flags of
 * implausible places. */
void place_alert(struct alert *alert, const struct conf *conf);

#endif
