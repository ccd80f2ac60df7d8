/*
 * The command line of a verb, described by tables: its options, its actions, the number of arguments of each. What all
 * verbs have in common is here: -c/--config FILE, --db CONNINFO, --json, --yes, -h/--help and the error messages.
 */
#ifndef MOBEYE_CTL_LIB_OPTIONS_H
#define MOBEYE_CTL_LIB_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

/* An option with a value sets *text; if given twice, the later one counts. An option that may be repeated (n is set)
 * fills text[0 .. *n - 1]. An option without a value sets *flag. A table ends with {0}. */
struct ctl_option {
    const char *name;
    char letter; /* the short form; 0: none */
    const char **text;
    size_t *n, most; /* the number of texts, and the most allowed */
    bool *flag;
};

/* A verb, or one action of a verb. */
struct ctl_verb {
    const char *name;
    const char *takes;    /* names of its options, separated by spaces; for a verb without actions only those of config,
                           * db, json and yes, since it takes all of its own options */
    const char *argument; /* name of its argument, such as FILE; NULL: it takes none */
    int least, most;      /* number of arguments */
    const char *help;     /* set for verbs only */
    const struct ctl_verb *actions; /* ends with {0}; NULL: the verb has no actions */
};

/* The parsed command line. The texts point into argv. */
struct ctl_call {
    const char *file; /* --config; NULL: not given */
    const char *db;   /* --db; NULL: not given */
    bool json, yes;
    int action;       /* index into `actions`; 0 if there are none */
    char **arguments; /* ends with NULL */
    int n_arguments;
};

#define CTL_COMMON_HELP                                                                                                \
    "      --json             print results as JSON\n"                                                                 \
    "  -c, --config FILE      configuration file (default: " CONF_DEFAULT_FILE ")\n"                                   \
    "      --db CONNINFO      libpq connection string; overrides database.conninfo\n"                                  \
    "  -h, --help             print this help\n"

#define CTL_EXIT_HELP "Exit status: 0 success, 1 failure, 2 usage error.\n"

enum { CTL_GO = -1 };

/* Parses the command line, permuting argv; own: the verb's own options. Returns CTL_GO, or the exit status to end with:
 * CTL_OK after printing the help, CTL_USAGE after printing an error. */
int ctl_parse(int argc, char **argv, const struct ctl_verb *verb, const struct ctl_option *own, struct ctl_call *ret);

#endif
