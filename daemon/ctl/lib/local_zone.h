/*
 * Times that people write, with or without an offset.
 */
#ifndef MOBEYE_CTL_LIB_LOCAL_ZONE_H
#define MOBEYE_CTL_LIB_LOCAL_ZONE_H

#include "base/clock.h"
#include "ctl/lib/ctl.h"
#include "ctl/lib/options.h"

/* Makes it the time zone of the process: that of the configuration, or, if the verb does not read one, that of the
 * database. Returns an exit status; errors are printed. */
int local_zone_set(const char *verb, const struct ctl_call *call, PGconn *conn);

/* Reads the time given to an option, as cell_time() does, into formatted, to which *ret_text points then; NULL: none
 * was given. Prints what was assumed. Returns an exit status; errors are printed. */
int local_time_option(const char *verb, const struct ctl_call *call, PGconn *conn, const char *option, const char *text,
                      char formatted[CLOCK_RFC3339_SIZE], const char **ret_text);

#endif
