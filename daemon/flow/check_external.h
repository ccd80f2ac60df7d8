/*
 * The part of a configuration check that needs libpq, or files that the configuration names.
 */
#ifndef MOBEYE_FLOW_CHECK_EXTERNAL_H
#define MOBEYE_FLOW_CHECK_EXTERNAL_H

#include "conf/conf.h"
#include "conf/diagnostics.h"

/* Checks database.conninfo and the DC-09 keys of the endpoints. For conf_load_whole(). */
void check_external(const struct conf *conf, struct diagnostics *diagnostics);

#endif
