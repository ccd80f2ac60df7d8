/*
 * What tells incidents apart: the thread that an alert follows, and the key that its rule gives it.
 */
#ifndef MOBEYE_ENRICH_GROUP_H
#define MOBEYE_ENRICH_GROUP_H

#include "alert/alert.h"
#include "conf/conf.h"

/* alert->thread: 8 bytes of BLAKE2b over device, kind (an unknown one by its word) and drill, 8 over input and track.
 */
void group_thread(struct alert *alert);

/* The thread of an alert of the same device and kind that has no input and no track. */
void group_general_thread(const struct alert *alert, uint8_t ret[16]);

/* alert->key: BLAKE2b over category, drill, and the name and value of everything in group_by, in the order device kind
 * input track endpoint, then the layers by name. What the alert does not have counts as empty. */
void group_key(struct alert *alert, const struct conf_rule *rule);

#endif
