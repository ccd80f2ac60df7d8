/*
 * The keys that determine the incident of an alert: its condition, and the incident key of its rule.
 */
#ifndef MOBEYE_ENRICH_INCIDENT_KEY_H
#define MOBEYE_ENRICH_INCIDENT_KEY_H

#include "conf/conf.h"
#include "model/alert.h"

/* alert->condition: 8 bytes of BLAKE2b over device, kind (an unknown one by its word) and drill, 8 over input and
 * track.
 */
void incident_key_condition(struct alert *alert);

/* The condition of an alert of the same device and kind without input and track. */
void incident_key_general_condition(const struct alert *alert, uint8_t ret[16]);

/* alert->key: BLAKE2b over category, drill, and the name and value of each item of group_by, in the order device, kind,
 * input, track, endpoint, then the layers by name. A missing value counts as empty. */
void incident_key_of_rule(struct alert *alert, const struct conf_rule *rule);

#endif
