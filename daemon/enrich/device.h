/*
 * Identifies the device of an alert in the registry.
 */
#ifndef MOBEYE_ENRICH_DEVICE_H
#define MOBEYE_ENRICH_DEVICE_H

#include "model/batch.h"
#include "model/registry.h"

/*
 * A CloudEvents alert names its device. A DC-09 alert has an account and possibly an input: its device is the one that
 * had that address when it was received (accounts are compared without leading zeros), else the one that had the
 * account, else the one registered under the name in the alert (dc09:ACCOUNT/INPUT).
 *
 * Sets registered and group and, for a registered device, alert->device to its registered id (valid as long as the
 * batch). Returns the device, even an unregistered one with a known fix; NULL: unknown.
 */
const struct device *device_identify(const struct registry *registry, struct batch *batch, struct alert *alert);

#endif
