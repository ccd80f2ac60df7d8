/*
 * Options of a verb from a table. Every verb of it also takes -c/--config FILE, --db CONNINFO, --json and -h/--help.
 */
#ifndef MOBEYE_CTL_OPTIONS_H
#define MOBEYE_CTL_OPTIONS_H

#include <stdbool.h>

/* One with a value sets *value, one without sets *flag. The table ends with a name of NULL. */
struct ctl_option {
    const char *name;
    const char **value;
    bool *flag;
};

/* What they have in common. The texts are argv's. */
struct ctl_common {
    const char *file; /* -c; NULL: not given */
    const char *db;   /* --db; NULL: not given */
    bool json;
    bool help; /* the help was asked for and is printed: end with CTL_OK */
};

#define CTL_COMMON_HELP                                                                                                \
    "      --json             results as JSON\n"                                                                       \
    "  -c, --config FILE      configuration to take database.conninfo from, default " CTL_DEFAULT_FILE "\n"            \
    "      --db CONNINFO      the database, as libpq writes it, instead of that\n"                                     \
    "  -h, --help             this text\n"

/* Reads the options of argv, which is permuted: the arguments are those from argv[optind] on. CTL_OK: go on, or
 * ret->help. CTL_USAGE: a complaint is printed. */
int ctl_options(int argc, char **argv, const struct ctl_option *options, const char *help, struct ctl_common *ret);

#endif
