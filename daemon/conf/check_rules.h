/*
 * Checks across the keys of the rules.
 */
#ifndef MOBEYE_CONF_CHECK_RULES_H
#define MOBEYE_CONF_CHECK_RULES_H

#include "conf/loader.h"

/* Reports errors and, if the whole file has none, warnings. names: as for conf_load_whole(). */
void check_rules(struct diagnostics *diagnostics, const struct node *root, const struct conf *conf,
                 const struct conf_names *names);

/* Warns about rules that are valid but probably not what was meant. list: the nodes of conf->rules, in the same order;
 * NULL if the file has no rules. */
void warn_rules(struct diagnostics *diagnostics, const struct node *list, const struct conf *conf);

/* Warns about names in the rules that the database does not know. */
void warn_names(struct diagnostics *diagnostics, const struct node *list, const struct conf *conf,
                const struct conf_names *names);

#endif
