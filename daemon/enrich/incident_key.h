/*
 * The keys that determine the incident of an alert: its condition, and the incident key of its rule.
 */
#ifndef MOBEYE_ENRICH_INCIDENT_KEY_H
#define MOBEYE_ENRICH_INCIDENT_KEY_H

#include "conf/conf.h"
#include "model/alert.h"

/* Hashes computed earlier: devices report again and again, and computing a hash takes longer than finding it here. 512
 * KiB; does not affect results. Below, NULL stands for none. */
struct key_memo;

struct key_memo *key_memo_new(void);
void key_memo_free(struct key_memo **memo); /* safe on NULL */

/* alert->condition: 8 bytes of BLAKE2b over device, kind (an unknown one by its word) and drill, 8 over input and
 * track. */
void incident_key_condition(struct key_memo *memo, struct alert *alert);

/* The condition of an alert of the same device and kind without input or track. alert->condition must be set. */
void incident_key_general_condition(const struct alert *alert, uint8_t ret[16]);

/* alert->key: BLAKE2b over category, drill, and the name and value of each item of group_by, in the order device, kind,
 * input, track, endpoint, then the layers by name. A missing value counts as empty. */
void incident_key_of_rule(struct key_memo *memo, struct alert *alert, const struct conf_rule *rule);

#endif
