/*
 * What tells incidents apart: the condition that an alert follows, and the key that its rule gives it.
 */
#ifndef MOBEYE_ENRICH_INCIDENT_KEY_H
#define MOBEYE_ENRICH_INCIDENT_KEY_H

#include "conf/conf.h"
#include "model/alert.h"

/* alert->condition: 8 bytes of BLAKE2b over device, kind (an unknown one by its word) and drill, 8 over input and
 * track.
 */
void incident_key_condition(struct alert *alert);

/* The condition of an alert of the same device and kind that has no input and no track. */
void incident_key_general_condition(const struct alert *alert, uint8_t ret[16]);

/* alert->key: BLAKE2b over category, drill, and the name and value of everything in group_by, in the order device kind
 * input track endpoint, then the layers by name. What the alert does not have counts as empty. */
void incident_key_of_rule(struct alert *alert, const struct conf_rule *rule);

#endif
