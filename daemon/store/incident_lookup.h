/*
 * What the alerts of a batch may join: the parameters of mobeye.read_incidents() (sql/code/correlation.sql), and which
 * alert a condition belongs to.
 */
#ifndef MOBEYE_STORE_INCIDENT_LOOKUP_H
#define MOBEYE_STORE_INCIDENT_LOOKUP_H

#include <libpq-fe.h>

#include "model/batch.h"
#include "model/incident.h"

enum { INCIDENT_LOOKUP_PARAMS = 6 };

extern const char incident_lookup_sql[];
extern const Oid incident_lookup_types[INCIDENT_LOOKUP_PARAMS];

/* An id, and where and when in the batch it is found. */
struct lookup_id {
    uint8_t id[INCIDENT_KEY_BYTES];
    uint32_t row;
    int64_t from_us, until_us; /* times of occurrence */
};

struct incident_lookup {
    struct buf values[INCIDENT_LOOKUP_PARAMS]; /* with binary arrays */
    /* Sorted by id, each once. Sources: devices and kinds, as the first half of an id. */
    struct lookup_list {
        struct lookup_id *ids;
        uint32_t *slots; /* 2^bits are used: 1 + an index into ids as they were added; 0: free */
        size_t n, cap;   /* cap: slots allocated, and half as many ids */
        unsigned bits;
        uint64_t factor; /* random; 0: not yet drawn */
    } conditions, keys, sources;
};

/* Reuses the memory of an earlier use. Unreadable rows are left out. */
void incident_lookup_fill(struct incident_lookup *lookup, const struct batch *batch);
void incident_lookup_free(struct incident_lookup *lookup);

/* A row of the batch with an alert of the condition, or else of its device and kind. */
size_t incident_lookup_row(const struct incident_lookup *lookup, const uint8_t condition[INCIDENT_KEY_BYTES]);

#endif
