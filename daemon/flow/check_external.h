/*
 * The part of a configuration check that needs libpq, or files that the configuration names.
 */
#ifndef MOBEYE_FLOW_CHECK_EXTERNAL_H
#define MOBEYE_FLOW_CHECK_EXTERNAL_H

#include "conf/conf.h"

/* Checks database.conninfo and the DC-09 keys of the endpoints. Appends one line per error or warning, in the format of
 * conf_load(). -1: there is an error. */
int check_external(const struct conf *conf, struct buf *out);

#endif
