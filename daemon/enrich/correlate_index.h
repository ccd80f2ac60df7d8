/*
 * Index of the incident set for correlate.c: a condition by its id, the active conditions of a device and kind, the
 * incidents of a key. Ids and keys are hashes; a lookup takes the same time however large the set is.
 *
 * It has hash tables of its own because base/hash holds pointers to items, and these items are elements of arrays that
 * move while they grow, so they are found by their index.
 */
#ifndef MOBEYE_ENRICH_CORRELATE_INDEX_H
#define MOBEYE_ENRICH_CORRELATE_INDEX_H

#include "model/incident.h"

/* A link to an element of the incident set: its index + 1; 0 is none. */
typedef uint32_t incident_link;

/* The incidents of one key. Invariant: list has them in the order of first_seen_us, except those closed by the system,
 * which are removed when they are encountered; each spans at most first_seen_us - gap_us to first_seen_us + reach_us.
 */
struct key_incidents {
    incident_link any;       /* one of them, or 0: the slot is free */
    incident_link accepting; /* the last one that accepted; it may no longer do so */
    incident_link only;      /* the list while cap is 0 */
    incident_link *list;
    uint32_t n, cap;
    int64_t gap_us, reach_us;
};

/* The conditions of one device and kind. */
struct source_conditions {
    incident_link any;    /* one of them, or 0: the slot is free */
    incident_link active; /* chained by correlate_index.next_condition; those that are no longer active are removed when
                             they are encountered */
};

struct correlate_index {
    struct incident_set *set;
    uint64_t factor; /* random: senders cannot choose ids that collide */
    unsigned shift;  /* from a 64-bit hash to a slot of the tables */
    size_t mask;
    incident_link *conditions;
    struct source_conditions *sources;
    struct key_incidents *keys;
    incident_link *next_condition; /* of each condition of the incident set */
    bool *listed;                  /* whether the condition is in the chain of its device and kind */
};

/* The incident set may grow by at most `growth` incidents and conditions. */
void index_open(struct correlate_index *index, struct incident_set *set, size_t growth);
void index_close(struct correlate_index *index);

/* NO_INCIDENT: not in the set. */
size_t index_condition(const struct correlate_index *index, const uint8_t id[INCIDENT_KEY_BYTES]);

/* The first active condition of the device and kind with which the id begins, and the next; NO_INCIDENT: no more. */
size_t index_active(struct correlate_index *index, const uint8_t id[INCIDENT_KEY_BYTES]);
size_t index_next_active(struct correlate_index *index, size_t condition);

/* NULL: the set has no incident of the key. Valid until index_close(). */
struct key_incidents *index_key(const struct correlate_index *index, const uint8_t key[INCIDENT_KEY_BYTES]);

/* The key's accepting incident, or NO_INCIDENT. */
size_t index_accepting(const struct correlate_index *index, const struct key_incidents *key);

/* Links to the incidents of the key that may span that time, except those closed by the system. Valid until something
 * is added. */
const incident_link *index_near(struct correlate_index *index, struct key_incidents *key, int64_t at_us, size_t *ret_n);

/* Extends the incident's time to include this one. */
void index_extend(struct correlate_index *index, size_t incident, int64_t at_us);

/* To be called for whatever was added to the set or became active. */
void index_add_incident(struct correlate_index *index, size_t incident);
void index_add_condition(struct correlate_index *index, size_t condition);
void index_activated(struct correlate_index *index, size_t condition);

#endif
