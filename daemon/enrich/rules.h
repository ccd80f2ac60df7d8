/*
 * Finds the rule for an alert: the first that matches.
 */
#ifndef MOBEYE_ENRICH_RULES_H
#define MOBEYE_ENRICH_RULES_H

#include "conf/conf.h"
#include "model/alert.h"

/* The first rule of the configuration that matches an alert, or NULL. The alert must have its device, group, location
 * and areas. Local time uses the process's time zone: the caller has set TZ to conf->timezone and called tzset(). */
const struct conf_rule *rules_match(const struct conf *conf, const struct alert *alert);

/* Whether one rule matches; if not, appends every reason to `why`, as "what the alert has, the rule wants what",
 * separated by "; ". */
bool rules_explain(const struct conf_match *match, const struct alert *alert, struct buf *why);

#endif
