/*
 * Which rule decides about an alert: the first that matches.
 */
#ifndef MOBEYE_ENRICH_RULES_H
#define MOBEYE_ENRICH_RULES_H

#include "conf/conf.h"
#include "model/alert.h"

/* The first rule of the configuration that matches an alert, or NULL. The alert has its device, group, place and areas
 * already. Local time is by conf->timezone: the caller has set TZ to it and called tzset(). */
const struct conf_rule *rules_match(const struct conf *conf, const struct alert *alert);

/* The same of one rule; where it does not match, appends to `why` all that keeps it from it, each as "what the alert
 * has, and what the rule wants", with "; " between. */
bool rules_explain(const struct conf_match *match, const struct alert *alert, struct buf *why);

#endif
