/*
 * Plays the scenarios of a file against rules, and tells which expectations do not hold.
 */
#ifndef MOBEYE_CTL_RULES_SCENARIO_RUN_H
#define MOBEYE_CTL_RULES_SCENARIO_RUN_H

#include "ctl/rules/scenario_backend.h"

/* Told of each scenario when it has been played: where it begins, its title (the file's name where it has none), how
 * many expectations it has, and those that do not hold, "FILE:LINE: what is, and what was expected" a line; empty where
 * all do. */
struct scenario_result {
    const char *file, *title;
    unsigned line;
    size_t expectations;
    struct str failures;
};

struct scenario_options {
    const struct backend_ops *ops;
    void *server;           /* of the world: what open() gave */
    const char *rules_file; /* for files that name none; NULL: they must */
    void (*told)(void *ctx, const struct scenario_result *result);
    void *ctx;
};

/* Plays a parsed file. TZ is another afterwards. */
void scenario_run(const struct scenario *scenario, const char *file, const struct scenario_options *options);

/* What is in ctl/rules/scenario_facts.c: the text of a fact of an incident or an alert as expectations write it. false:
 * there is no such fact, and text says which there are. `like` is what was expected: times are written as it is. */
struct numbering; /* incidents by number */
struct numbering {
    uint64_t *ids; /* of incident number i + 1 */
    size_t n;
};
size_t incident_number(const struct numbering *numbering, uint64_t id); /* 0: none */
bool incident_fact(const struct incident_view *view, const struct numbering *numbering, const char *name,
                   const char *like, struct buf *text);
bool alert_fact(const struct alert *alert, uint64_t incident, const struct numbering *numbering, const char *name,
                const char *like, struct buf *text);

#endif
