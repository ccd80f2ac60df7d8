/*
 * What only several keys of the rules together show.
 */
#ifndef MOBEYE_CONF_CHECK_RULES_H
#define MOBEYE_CONF_CHECK_RULES_H

#include "conf/loader.h"

/* Errors; and, where there are none in the whole file, warnings. names: as for conf_load_whole(). */
void check_rules(struct diagnostics *diagnostics, const struct node *root, const struct conf *conf,
                 const struct conf_names *names);

/* Warnings about rules that are without errors, and go with the items of the list (NULL: the file has none). */
void warn_rules(struct diagnostics *diagnostics, const struct node *list, const struct conf *conf);

/* Warnings about names in the rules that the database does not know. */
void warn_names(struct diagnostics *diagnostics, const struct node *list, const struct conf *conf,
                const struct conf_names *names);

#endif
