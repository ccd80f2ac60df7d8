/*
 * The time zone of times that people write without an offset.
 */
#ifndef MOBEYE_CTL_REGISTRY_LOCAL_ZONE_H
#define MOBEYE_CTL_REGISTRY_LOCAL_ZONE_H

#include "ctl/lib/ctl.h"
#include "ctl/lib/options.h"

/* Makes it the time zone of the process: that of the configuration, or, if the verb does not read one, that of the
 * database. Returns an exit status; errors are printed. */
int local_zone_set(const char *verb, const struct ctl_call *call, PGconn *conn);

#endif
