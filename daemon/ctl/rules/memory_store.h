/*
 * What the database would make of alerts, in memory: incidents, their conditions, verification. For scenarios and
 * replays; nothing of it lasts. Which incident an alert joins is decided by the daemon's own fold.
 */
#ifndef MOBEYE_CTL_RULES_MEMORY_STORE_H
#define MOBEYE_CTL_RULES_MEMORY_STORE_H

#include "model/batch.h"
#include "model/incident.h"

/* What people and the system made of an incident. */
struct memory_state {
    const char *status;              /* new acknowledged assigned on_scene closed reopened */
    const char *outcome;             /* NULL: none */
    const char *verified_by;         /* NULL: not */
    const struct alert_areas *areas; /* those of the incident, where they are kept already */
    int64_t created_us;
    int64_t overdue_us; /* since when it is; ALERT_NO_TIME: it is not */
    size_t merged_into; /* NO_INCIDENT: none */
};

/* A raise of an alarm: it may verify other incidents. */
struct memory_raise {
    size_t incident;
    struct str device;
    int32_t input;
    int64_t occurred_us;
    bool placed;
    double lon, lat;
};

/* Which team an area is of. */
struct memory_team {
    struct str team, layer, code;
};

struct memory_store {
    struct incident_set set;    /* all incidents and conditions; the id of incident i is i + 1 */
    struct memory_state *state; /* of each incident */
    size_t cap_state;
    struct memory_raise *raises; /* by time of occurrence */
    size_t n_raises, cap_raises;
    struct memory_team *teams; /* in the order of their names */
    size_t n_teams;
    struct batch *kept; /* holds what the strings are slices of */
};

/* Zeroed memory is empty but for its first use. */
void memory_store_init(struct memory_store *store);
void memory_store_free(struct memory_store *store);

/* Stores an enriched batch, as one transaction at that time; alert.incident is an index into book.incidents, for good.
 * Nothing refers to the batch afterwards. */
void memory_store_batch(struct memory_store *store, struct batch *batch, int64_t now_us);

/* A new incident that is of no alert, with its state; its strings are not copied. */
size_t memory_store_add(struct memory_store *store, int64_t now_us);

/* Whose an incident in these areas is: the first of them that some team has; empty: nobody's. */
struct str memory_store_team_of(const struct memory_store *store, const struct alert_areas *areas);

/* Closes it, if it is not closed already. A static word. */
void memory_store_close(struct memory_store *store, size_t incident, const char *outcome, bool by_person,
                        int64_t now_us);

#endif
