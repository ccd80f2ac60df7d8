/*
 * mobeyectl devices unknown: senders that reported but are not registered, each with the device that it may be.
 */
#ifndef MOBEYE_CTL_REGISTRY_DEVICES_UNKNOWN_H
#define MOBEYE_CTL_REGISTRY_DEVICES_UNKNOWN_H

#include "ctl/lib/ctl.h"
#include "ctl/lib/options.h"

/* Returns an exit status; errors are printed. */
int devices_unknown(const struct ctl_call *call);

#endif
