/*
 * The incidents of scenarios and replays, in memory: what the database would make of alerts, with conditions and
 * verification. Which incident an alert joins is decided by the daemon's own correlation.
 */
#ifndef MOBEYE_CTL_RULES_MEMORY_STORE_H
#define MOBEYE_CTL_RULES_MEMORY_STORE_H

#include "model/batch.h"
#include "model/incident.h"

/* As patrol.incidents shows it; the actions of people lead from one to the other. */
enum memory_status {
    MEMORY_NEW,
    MEMORY_ACKNOWLEDGED,
    MEMORY_ASSIGNED,
    MEMORY_ON_SCENE,
    MEMORY_CLOSED,
    MEMORY_REOPENED
};

/* The word of the status in the database. */
const char *memory_status_word(enum memory_status status);

/* The part of an incident that people and maintenance change. */
struct memory_state {
    enum memory_status status;
    const char *outcome;             /* NULL: none */
    const char *verified_by;         /* NULL: not verified */
    const struct alert_areas *areas; /* the incident's areas as last copied to the arena */
    int64_t waiting_us;              /* since when it waits for a person: created, or last reopened */
    int64_t overdue_us;              /* since when it is overdue; ALERT_NO_TIME: it is not */
    size_t overdue_step;             /* steps of `overdue` that have passed */
    size_t merged_into;              /* NO_INCIDENT: none */
};

/* A raise of an alarm, which may verify other incidents. */
struct memory_raise {
    size_t incident;
    struct str device;
    int32_t input;
    int64_t occurred_us;
    bool placed;
    double lon, lat;
};

/* The team of an area. */
struct memory_team {
    struct str team, layer, code;
};

struct memory_store {
    struct incident_set set;    /* all incidents and conditions; the id of incident i is i + 1 */
    struct memory_state *state; /* one for each incident */
    size_t cap_state;
    struct memory_raise *raises; /* by time of occurrence */
    size_t n_raises, cap_raises;
    struct memory_team *teams; /* ordered by name */
    size_t n_teams;
    struct batch *arena; /* memory of the strings */
};

/* Initialises an empty store. */
void memory_store_init(struct memory_store *store);
void memory_store_free(struct memory_store *store);

/* Stores an enriched batch, as one transaction at now_us. Sets alert.incident to a permanent index into set.incidents.
 * The store does not refer to the batch afterwards. */
void memory_store_batch(struct memory_store *store, struct batch *batch, int64_t now_us);

/* Adds an incident without alerts, with its state; its strings are not copied. */
size_t memory_store_add(struct memory_store *store, int64_t now_us);

/* The team of an incident in these areas: that of the first area that belongs to a team; empty: none. */
struct str memory_store_team_of(const struct memory_store *store, const struct alert_areas *areas);

/* Closes the incident unless it is closed already. outcome: a static string. */
void memory_store_close(struct memory_store *store, size_t incident, const char *outcome, bool by_person,
                        int64_t now_us);

#endif
