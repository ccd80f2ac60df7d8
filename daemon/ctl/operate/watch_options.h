/*
 * The values of the options of mobeyectl watch. Each check returns CTL_GO, or CTL_USAGE after printing what is wrong
 * and what was probably meant.
 */
#ifndef MOBEYE_CTL_OPERATE_WATCH_OPTIONS_H
#define MOBEYE_CTL_OPERATE_WATCH_OPTIONS_H

/* What --include and --only take; end with NULL. */
extern const char *const watch_include_names[];
extern const char *const watch_op_names[];

/* A list of such words, separated by commas; NULL: not given. */
int watch_check_list(const char *option, const char *list, const char *const *words);

/* --webhook; NULL: not given. Refuses a URL with a user or a query, which may be secret. */
int watch_check_webhook(const char *url);

#endif
