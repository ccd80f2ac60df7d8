/*
 * The command line of a verb from tables: its options, what it does, how many arguments that takes. What all verbs
 * have in common is here: -c/--config FILE, --db CONNINFO, --json, --yes, -h/--help, and the words of a complaint.
 */
#ifndef MOBEYE_CTL_LIB_OPTIONS_H
#define MOBEYE_CTL_LIB_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

/* One with a value sets *text to argv's, of two that say it the later one; one that may be given again, where n is set,
 * fills text[0 .. *n - 1]. One without a value sets *flag. A table ends with {0}. */
struct ctl_option {
    const char *name;
    char letter; /* of its short form; 0: none */
    const char **text;
    size_t *n, most; /* how many texts, and at most */
    bool *flag;
};

/* A verb, or one of the actions that it has. */
struct ctl_verb {
    const char *name;
    const char *takes;    /* the names of its options, a space in between; of a verb without actions only which ones of
                           * config, db, json and yes: it takes all that are its own */
    const char *argument; /* what an argument of it is, as FILE; NULL: it takes none */
    int least, most;      /* how many */
    const char *help;     /* of a verb */
    const struct ctl_verb *actions; /* {0} last; NULL: it does one thing, and has no word for it */
};

/* What the command line says. The texts are argv's. */
struct ctl_call {
    const char *file; /* --config; NULL: not given */
    const char *db;   /* --db; NULL: not given */
    bool json, yes;
    int action;       /* the row of `actions`; 0 where there are none */
    char **arguments; /* NULL behind the last */
    int n_arguments;
};

#define CTL_COMMON_HELP                                                                                                \
    "      --json             results as JSON\n"                                                                       \
    "  -c, --config FILE      configuration to take database.conninfo from, default " CTL_DEFAULT_FILE "\n"            \
    "      --db CONNINFO      the database, as libpq writes it, instead of that\n"                                     \
    "  -h, --help             this text\n"

enum { CTL_GO = -1 };

/* Reads the command line, permuting argv; own: the verb's own options. CTL_GO: do it. Else the exit status to end with:
 * the help was asked for and is printed, or a complaint is. */
int ctl_parse(int argc, char **argv, const struct ctl_verb *verb, const struct ctl_option *own, struct ctl_call *ret);

#endif
