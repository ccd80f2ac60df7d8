/*
 * Which rule decides about an alert: the first that matches.
 */
#ifndef MOBEYE_ENRICH_RULES_H
#define MOBEYE_ENRICH_RULES_H

#include "alert/alert.h"
#include "conf/conf.h"

/* The first rule of the configuration that matches a placed alert (place_alert() first), or NULL. Local time is by
 * conf->timezone: the caller has set TZ to it and called tzset(). */
const struct conf_rule *rules_match(const struct conf *conf, const struct alert *alert);

#endif
