/*
 * Incidents: what alerts are grouped into for people. The plain structs that enrich/ (which decides) and store/ (which
 * reads and writes) share; what they mean is in enrich/correlate.h and sql/code/correlation.sql.
 *
 * Strings are slices of memory that the holder of the struct owns: the configuration's, the batch's or the incident
 * set's.
 */
#ifndef MOBEYE_MODEL_INCIDENT_H
#define MOBEYE_MODEL_INCIDENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/alert.h"

enum incident_category { CATEGORY_ALARM = 0, CATEGORY_SERVICE, CATEGORY_COUNT };

enum { PRIORITY_HIGHEST = 1, PRIORITY_LOWEST = 5 };

/* What a rule wants made of the alerts that it decides about: its `incident`. Times in microseconds, 0: not given. */
struct incident_terms {
    struct str rule; /* its name */
    enum incident_category category;
    int priority; /* 1 to 5 */
    int64_t gap_us;
    int64_t max_age_us;
    int64_t settle_us;
    int64_t overdue_us;
    double moved_over_m;      /* 0: not given */
    int64_t verify_within_us; /* 0: no verify_by */
    double verify_radius_m;
    int verify_priority; /* 0: stays as it is */
    struct str team;     /* empty: the placement's, else the area's */
};

#define INCIDENT_KEY_BYTES 16
#define NO_INCIDENT        SIZE_MAX

/* An incident as far as alerts concern it. */
struct incident {
    uint64_t id; /* 0: the database has not given it one yet (fresh) */
    uint8_t key[INCIDENT_KEY_BYTES];
    struct incident_terms terms; /* of the rule that made it; terms.priority is that rule's. terms.team as settled */
    int priority;                /* the most urgent of its alerts' rules */
    bool drill;
    bool accepting; /* at most one incident of a key is */
    bool closed;    /* its status; closed_us says when */
    bool by_person; /* where closed: by a person, else by the system (restored, merged, unattended) */
    bool urgent;    /* a panic or holdup is among its raises: never muted, never settled */
    bool verified;  /* verified_by is set */
    enum alert_kind kind;
    struct str device;
    int64_t first_seen_us, last_seen_us; /* times of occurrence */
    int64_t last_received_us;
    int64_t closed_us;    /* ALERT_NO_TIME: not closed */
    int64_t restored_us;  /* when the last of its conditions was restored; ALERT_NO_TIME: some are active, or never */
    int64_t cancelled_us; /* a user called it off (FLAG_CANCEL): noted, closes nothing. ALERT_NO_TIME: never */
    int32_t alert_count;  /* raises; a camera track counts once */
    int32_t active;       /* conditions that were raised and not restored */
    int32_t flaps;        /* raises of a condition that had been restored */
    enum location_source location_source; /* of its best place */
    double lon, lat;                      /* valid unless LOCATION_NONE */
    float accuracy_m;                     /* NAN: unknown */
    uint64_t placement_id;                /* 0: none */
    const struct alert_areas *areas;      /* of that place; NULL: as they were (an incident from the database) */
    uint64_t previous_id;                 /* the incident that a person had closed; 0: none */

    /* Of this batch's alerts from secret placements alone: the first such placement, 0: none, and whether they are of
     * more than one team, so that no team may know the place but the incident's own. */
    uint64_t secret_placement_id;
    struct str secret_team;
    bool secret_of_several;

    /* What became of it in this batch. */
    bool fresh;         /* made */
    bool changed;       /* anything above differs from what the database has */
    bool joined;        /* an alert joined it */
    bool raised;        /* a raise joined it: it may verify others, or be verified */
    bool began_urgent;  /* it was made by a panic or holdup */
    bool urgent_joined; /* a panic or holdup joined it after its first alert */
    bool restored; /* category service, and nothing is active any more: it is to be closed as restored. The correlation
                      has set closed, not by_person and not accepting, and closed_us to the receipt of the restore */
};

/* The alerts of one device and kind (and input, and track; drills apart): they follow each other into one incident. */
struct condition {
    /* 8 bytes of a hash of (device, kind, drill), 8 of one of (input, track): all conditions of a device and kind are
     * neighbours. */
    uint8_t id[INCIDENT_KEY_BYTES];
    size_t incident;  /* index into book.incidents: the last one that took an alert of it */
    bool active;      /* its last alert there was no restore */
    int64_t since_us; /* of occurrence: what made it so; what occurred before leaves it so. ALERT_NO_TIME: not known */
    bool fresh;       /* not in the database yet */
    bool changed;     /* or other there */
};

/* The incidents and conditions that a batch's alerts may join, and then those that they made. Indexes stay as they are
 * while both grow. */
struct incident_set {
    struct incident *incidents;
    size_t n_incidents, cap_incidents;
    struct condition *conditions;
    size_t n_conditions, cap_conditions;
    struct buf text; /* what their strings are slices of where the database gave them; complete before they are cut */
};

/* Empties it, keeps the memory. */
void incident_set_clear(struct incident_set *set);
void incident_set_free(struct incident_set *set);

/* Appends a zeroed one (times ALERT_NO_TIME, accuracy NAN) and returns its index. Pointers into the arrays move. */
size_t incident_set_add(struct incident_set *set);
size_t incident_set_add_condition(struct incident_set *set);

const char *incident_category_word(enum incident_category category);

#endif
