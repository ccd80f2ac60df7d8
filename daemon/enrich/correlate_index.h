/*
 * The incident set by what the correlation asks: a condition by its id, the active conditions of a device and kind, the
 * incidents of a key. Ids and keys are hashes; each question takes the same time however much is in the incident set.
 * For correlate.c alone.
 */
#ifndef MOBEYE_ENRICH_CORRELATE_INDEX_H
#define MOBEYE_ENRICH_CORRELATE_INDEX_H

#include "model/incident.h"

/* A link to an element of the incident set: its index + 1; 0 is none. */
typedef uint32_t incident_link;

/* The incidents of one key. Invariant: list has them in the order of first_seen_us, but for those that the system
 * closed, which drop out as they are met; every one reaches from its first_seen_us - gap_us to first_seen_us + reach_us
 * at most. */
struct key_incidents {
    incident_link any;       /* one of them, or 0: the place in the table is free */
    incident_link accepting; /* the last one that was; whether it still does, it says itself */
    incident_link only;      /* the list, while cap is 0 */
    incident_link *list;
    uint32_t n, cap;
    int64_t gap_us, reach_us;
};

/* The conditions of one device and kind. */
struct source_conditions {
    incident_link any;    /* one of them, or 0: the place in the table is free */
    incident_link active; /* chained by correlate_index.next_condition; those that are no longer active drop out as they
                             are met */
};

struct correlate_index {
    struct incident_set *set;
    unsigned shift; /* of a 64-bit hash, to a place in the tables */
    size_t mask;
    incident_link *conditions;
    struct source_conditions *senders;
    struct key_incidents *keys;
    incident_link *next_condition; /* of each condition of the incident set */
    bool *listed;                  /* is the condition in the chain of its sender? */
};

/* Of the incident set, which may grow by as many incidents and conditions as said. */
void index_open(struct correlate_index *index, struct incident_set *set, size_t growth);
void index_close(struct correlate_index *index);

/* NO_INCIDENT where the incident set has none. */
size_t index_condition(const struct correlate_index *index, const uint8_t id[INCIDENT_KEY_BYTES]);

/* The first active condition of the device and kind that the condition id begins with, and the next; NO_INCIDENT: no
 * more. */
size_t index_active(struct correlate_index *index, const uint8_t id[INCIDENT_KEY_BYTES]);
size_t index_next_active(struct correlate_index *index, size_t condition);

/* NULL where the incident set has no incident of the key. Stands until index_close(). */
struct key_incidents *index_key(const struct correlate_index *index, const uint8_t key[INCIDENT_KEY_BYTES]);

/* Its incident that accepts, or NO_INCIDENT. */
size_t index_accepting(const struct correlate_index *index, const struct key_incidents *key);

/* The incidents of the key that may reach to that time, as links; the system has closed none of them. Until something
 * is added. */
const incident_link *index_near(struct correlate_index *index, struct key_incidents *key, int64_t at_us, size_t *ret_n);

/* Widens the incident's time to include that one. */
void index_extend(struct correlate_index *index, size_t incident, int64_t at_us);

/* What was added to the incident set, or became active. */
void index_add_incident(struct correlate_index *index, size_t incident);
void index_add_condition(struct correlate_index *index, size_t condition);
void index_activated(struct correlate_index *index, size_t condition);

#endif
