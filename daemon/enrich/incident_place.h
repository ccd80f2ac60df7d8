/*
 * Where an incident is: the best place of its alerts.
 */
#ifndef MOBEYE_ENRICH_INCIDENT_PLACE_H
#define MOBEYE_ENRICH_INCIDENT_PLACE_H

#include "model/alert.h"
#include "model/incident.h"

/* Gives the incident the place of an alert that joins it, with areas and placement, if it is better than its own. */
void incident_take_place(struct incident *incident, const struct alert *alert);

#endif
