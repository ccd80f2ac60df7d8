/*
 * Which incident an alert joins or makes. Pure: no clock, no configuration, no database; it sees the incidents that it
 * is given in the incident set, and leaves there what became of them.
 *
 * The incident set holds, of the batch's alerts: the condition of each that the database has, with its incident; of
 * each restore also the general condition of its device and kind (incident_key_general_condition()), and of one that is
 * general itself, having no input and no track, all conditions of its device and kind; and of each key its accepting
 * incident, and every other one whose time, its gap on both sides, touches the times of occurrence of the key's alerts.
 * Conditions that are not there are new.
 */
#ifndef MOBEYE_ENRICH_CORRELATE_H
#define MOBEYE_ENRICH_CORRELATE_H

#include "model/batch.h"
#include "model/incident.h"

/* Goes through the rows of the batch in their order; row i is left out (its alert.incident is NO_INCIDENT) where
 * store[i] is 0. Sets alert.incident of every other, adds incidents and conditions to the incident set, and marks what
 * changed. Strings of what it adds are the batch's. */
void correlate(struct incident_set *set, struct batch *batch, const uint8_t *store);

#endif
