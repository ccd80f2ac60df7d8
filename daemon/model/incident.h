/*
 * Incidents: what alerts are grouped into for people. Plain structs shared by enrich/ (which decides) and store/ (which
 * reads and writes); enrich/correlate.h and sql/code/correlation.sql explain their meaning.
 *
 * Strings are slices of memory owned by the configuration, the batch or the incident set.
 */
#ifndef MOBEYE_MODEL_INCIDENT_H
#define MOBEYE_MODEL_INCIDENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/alert.h"

enum incident_category { CATEGORY_ALARM = 0, CATEGORY_SERVICE, CATEGORY_COUNT };

enum { PRIORITY_HIGHEST = 1, PRIORITY_LOWEST = 5 };

/* How many times at most an unacknowledged incident is announced as overdue. */
#define OVERDUE_STEPS 8

/* The `incident` of a rule. Times in microseconds; 0: not given. */
struct incident_terms {
    struct str rule; /* its name */
    enum incident_category category;
    int priority; /* 1 to 5 */
    int64_t gap_us;
    int64_t max_age_us;
    int64_t settle_us;
    int64_t overdue_us[OVERDUE_STEPS]; /* ascending; 0 from the first that is not given */
    double moved_over_m;               /* 0: not given */
    int64_t verify_within_us;          /* 0: no verify_by */
    double verify_radius_m;
    int verify_priority; /* 0: unchanged */
    struct str team;     /* empty: the placement's, else the area's */
};

#define INCIDENT_KEY_BYTES 16
#define NO_INCIDENT        SIZE_MAX

/* A box around places, in degrees; west > east: around none. */
struct extent {
    double west, south, east, north;
};

/* The part of an incident that alerts affect. */
struct incident {
    uint64_t id; /* 0: not yet assigned by the database (fresh) */
    uint8_t key[INCIDENT_KEY_BYTES];
    struct incident_terms terms; /* of the rule that created it; terms.priority is that rule's, terms.team the result */
    int priority;                /* the most urgent of its alerts' rules */
    bool drill;
    bool accepting; /* at most one incident per key */
    bool closed;    /* its status; closed_us says when */
    bool by_person; /* if closed: by a person, else by the system (restored, merged, unattended) */
    bool urgent;    /* a panic or holdup is among its raises: never muted, `settle` never applies */
    bool verified;  /* verified_by is set */
    enum alert_kind kind;
    struct str device;
    int64_t first_seen_us, last_seen_us; /* times of occurrence */
    int64_t first_received_us;           /* the earliest receipt of this batch's alerts; ALERT_NO_TIME: none joined */
    int64_t last_received_us;
    int64_t closed_us;     /* ALERT_NO_TIME: not closed */
    int64_t restored_us;   /* when the last of its conditions was restored; ALERT_NO_TIME: some are active, or never */
    int64_t cancelled_us;  /* a user cancelled it (FLAG_CANCEL): recorded, closes nothing. ALERT_NO_TIME: never */
    int32_t alert_count;   /* raises; a camera track counts once */
    int32_t active;        /* conditions that were raised and not restored */
    int32_t flaps;         /* raises of a condition that had been restored */
    struct place place;    /* its best */
    uint64_t placement_id; /* 0: none */
    double placement_lon, placement_lat; /* its own point, whatever the best place is; valid if there is one */
    uint64_t device_placement_id;        /* where `device` was placed; 0: nowhere */
    int64_t device_placed_us;            /* since when; valid if it was placed */
    const struct alert_areas *areas;     /* of that location; NULL: unchanged (an incident from the database) */
    uint64_t previous_id;                /* the incident that a person had closed; 0: none */

    /* Only for this batch's alerts from secret placements: the first such placement (0: none), its team, and whether
     * there is more than one team, in which case only the incident's own team may know the place. */
    uint64_t secret_placement_id;
    struct str secret_team;
    bool secret_of_several;

    struct extent extent; /* where this batch's raises were; of an alarm, no drill */

    /* What this batch did to it. */
    bool fresh;          /* created it */
    bool changed;        /* anything above differs from what the database has */
    bool joined;         /* an alert joined it */
    bool raised;         /* an alarm, no drill, that a raise joined: it may verify others, or be verified */
    bool began_urgent;   /* a panic or holdup created it */
    bool urgent_joined;  /* a panic or holdup joined it after its first alert */
    int64_t inactive_us; /* receipt of the restore that first left no condition active; ALERT_NO_TIME: none did */
    int64_t restore_received_us; /* of the last restore that did so; later than inactive_us if that was another one */
    int64_t unmuted_us;          /* nothing was active: what is received from then on is not muted until it is restored.
                                    ALERT_NO_TIME: something always was */
    bool restored; /* category service, and nothing is active any longer: to be closed as restored. The correlation has
                      cleared by_person and accepting, and set closed, and closed_us to the receipt of the restore */
};

/* The state of one device and kind (and input, and track; drills apart). Its alerts join the same incident. */
struct condition {
    /* 8 bytes of a hash of (device, kind, drill), then 8 of a hash of (input, track): the conditions of a device and
     * kind are neighbours in the index. */
    uint8_t id[INCIDENT_KEY_BYTES];
    size_t incident;  /* index into incident_set.incidents: the last one that one of its alerts joined */
    bool active;      /* its last alert there was not a restore */
    int64_t since_us; /* occurrence of the alert that set it; earlier ones have no effect. ALERT_NO_TIME: unknown */
    bool fresh;       /* not in the database yet */
    bool changed;     /* differs from the database */
};

/* A condition has left an incident that another device began: keeps that this device had joined it. */
struct departure {
    size_t incident; /* index into incident_set.incidents */
    struct str device;
    int64_t since_us; /* that of the condition */
};

/* The incidents and conditions that a batch's alerts may join, and those that they create. Indexes stay valid while
 * both grow. */
struct incident_set {
    struct incident *incidents;
    size_t n_incidents, cap_incidents;
    struct condition *conditions;
    size_t n_conditions, cap_conditions;
    struct departure *departures;
    size_t n_departures, cap_departures;
    struct buf text; /* their strings, as read from the database; complete before slices of it are taken */
};

/* Empties the set, keeps the memory. */
void incident_set_clear(struct incident_set *set);
void incident_set_free(struct incident_set *set);

/* Append a zeroed incident or condition (times ALERT_NO_TIME, accuracy NAN) and return its index. Invalidates pointers
 * into the arrays. */
size_t incident_set_add(struct incident_set *set);
size_t incident_set_add_condition(struct incident_set *set);
void incident_set_add_departure(struct incident_set *set, struct departure departure);

/* Rounds outwards, by up to 22 m: while a device stands still, its fixes differ, but the extent seldom does. */
void extent_take_in(struct extent *extent, double lon, double lat);

const char *incident_category_word(enum incident_category category);

#endif
