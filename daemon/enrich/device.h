/*
 * Which device of the registry an alert is from.
 */
#ifndef MOBEYE_ENRICH_DEVICE_H
#define MOBEYE_ENRICH_DEVICE_H

#include "model/batch.h"
#include "model/registry.h"

/*
 * A CloudEvents alert names its device. A DC-09 alert has an account and perhaps an input: the device with that
 * address (accounts compare without leading zeros), else the one that has the account, else the one that is registered
 * as the alert calls it (dc09:ACCOUNT/INPUT).
 *
 * Sets registered, group, and of a registered device its id there as alert->device (kept in the batch). Returns the
 * device, which is one that is not registered where that has once said where it is, or NULL.
 */
const struct device *device_identify(const struct registry *registry, struct batch *batch, struct alert *alert);

#endif
