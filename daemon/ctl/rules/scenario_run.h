/*
 * Plays the scenarios of a file against rules and reports the expectations that do not hold.
 */
#ifndef MOBEYE_CTL_RULES_SCENARIO_RUN_H
#define MOBEYE_CTL_RULES_SCENARIO_RUN_H

#include "ctl/rules/scenario_backend.h"

/* The result of a scenario: where it begins, its title (the file's name if it has none), the number of expectations,
 * and one line "FILE:LINE: what is wrong" for each that does not hold. */
struct scenario_result {
    const char *file, *title;
    unsigned line;
    size_t expectations;
    struct str failures;
};

struct scenario_options {
    const struct backend_ops *ops;
    void *server;           /* from ops->open_server() */
    const char *rules_file; /* for scenarios that name none; NULL: each must */
    void (*on_result)(void *ctx, const struct scenario_result *result);
    void *ctx;
};

/* Plays a parsed file. Changes TZ. */
void scenario_run(const struct scenario *scenario, const char *file, const struct scenario_options *options);

/* From ctl/rules/scenario_facts.c: append a fact of an incident or an alert in the notation of expectations. `like` is
 * the expected value, whose precision is used for times. false: unknown fact; text then lists the known ones. */
struct numbering; /* incidents by number */
struct numbering {
    uint64_t *ids; /* the id of incident number i + 1 */
    size_t n;
};
size_t incident_number(const struct numbering *numbering, uint64_t id); /* 0: none */
bool incident_fact(const struct incident_view *view, const struct numbering *numbering, const char *name,
                   const char *like, struct buf *text);
bool alert_fact(const struct alert *alert, uint64_t incident, const struct numbering *numbering, const char *name,
                const char *like, struct buf *text);

#endif
