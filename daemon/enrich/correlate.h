/*
 * Decides which incident an alert joins or creates. Pure: no clock, no configuration, no database; it reads and updates
 * the incident set it is given.
 *
 * The incident set must contain, for the alerts of the batch and as far as the database has them:
 * - the condition of each alert, with its incident;
 * - for each restore also the general condition of its device and kind (incident_key_general_condition()); for a
 * general restore, which has no input and no track, all conditions of its device and kind;
 * - for each incident key the accepting incident, and every other one whose time, extended by its gap on both sides,
 *   touches the times of occurrence of the key's alerts.
 * Conditions that are not in the set are new.
 */
#ifndef MOBEYE_ENRICH_CORRELATE_H
#define MOBEYE_ENRICH_CORRELATE_H

#include "model/batch.h"
#include "model/incident.h"

/* Processes the rows of the batch in order; skips row i if store[i] is 0 (its alert.incident is NO_INCIDENT). Sets
 * alert.incident of the others, adds incidents and conditions to the set, and marks what changed. Strings of what it
 * adds belong to the batch. */
void correlate(struct incident_set *set, struct batch *batch, const uint8_t *store);

#endif
