/*
 * What the database would make of alerts, in memory: incidents, their threads, verification. For scenarios and replays;
 * nothing of it lasts. Which incident an alert joins is decided by the daemon's own fold.
 */
#ifndef MOBEYE_CTL_SCRATCH_H
#define MOBEYE_CTL_SCRATCH_H

#include "alert/batch.h"
#include "alert/incident.h"

/* What people and the system made of an incident. */
struct scratch_state {
    const char *status;              /* new acknowledged assigned on_scene closed reopened */
    const char *outcome;             /* NULL: none */
    const char *verified_by;         /* NULL: not */
    const struct alert_areas *areas; /* those of the incident, where they are kept already */
    int64_t created_us;
    int64_t overdue_us; /* since when it is; ALERT_NO_TIME: it is not */
    size_t merged_into; /* NO_INCIDENT: none */
};

/* A raise of an alarm: it may verify other incidents. */
struct scratch_raise {
    size_t incident;
    struct str device;
    int32_t input;
    int64_t occurred_us;
    bool placed;
    double lon, lat;
};

/* Which team an area is of. */
struct scratch_team {
    struct str team, layer, code;
};

struct scratch {
    struct book book;            /* all incidents and threads; the id of incident i is i + 1 */
    struct scratch_state *state; /* of each incident */
    size_t cap_state;
    struct scratch_raise *raises; /* by time of occurrence */
    size_t n_raises, cap_raises;
    struct scratch_team *teams; /* in the order of their names */
    size_t n_teams;
    struct batch *kept; /* holds what the strings are slices of */
};

/* Zeroed memory is empty but for its first use. */
void scratch_init(struct scratch *scratch);
void scratch_free(struct scratch *scratch);

/* Stores an enriched batch, as one transaction at that time; alert.incident is an index into book.incidents, for good.
 * Nothing refers to the batch afterwards. */
void scratch_store(struct scratch *scratch, struct batch *batch, int64_t now_us);

/* A new incident that is of no alert, with its state; its strings are not copied. */
size_t scratch_add(struct scratch *scratch, int64_t now_us);

/* Whose an incident in these areas is: the first of them that some team has; empty: nobody's. */
struct str scratch_team_of(const struct scratch *scratch, const struct alert_areas *areas);

/* Closes it, if it is not closed already. A static word. */
void scratch_close(struct scratch *scratch, size_t incident, const char *outcome, bool by_person, int64_t now_us);

#endif
