/*
 * What the alerts of a batch may join: the parameters of mobeye.read_incidents() (sql/0005_incidents.sql), and which
 * alert a thread is of.
 */
#ifndef MOBEYE_STORE_INCIDENT_ASK_H
#define MOBEYE_STORE_INCIDENT_ASK_H

#include <libpq-fe.h>

#include "alert/batch.h"
#include "alert/incident.h"

enum { INCIDENT_ASK_PARAMS = 6 };

extern const char incident_ask_sql[];
extern const Oid incident_ask_types[INCIDENT_ASK_PARAMS];

/* An id, and where and when in the batch it is found. */
struct asked {
    uint8_t id[INCIDENT_KEY_BYTES];
    uint32_t row;
    int64_t from_us, until_us; /* times of occurrence */
};

struct incident_ask {
    struct buf values[INCIDENT_ASK_PARAMS]; /* with binary arrays */
    struct asked *threads, *keys;           /* sorted, each once */
    size_t n_threads, n_keys, cap;
};

/* The memory of an earlier use is used again. Unreadable rows are left out. */
void incident_ask_fill(struct incident_ask *ask, const struct batch *batch);
void incident_ask_free(struct incident_ask *ask);

/* A row of the batch with an alert of the thread, or else of its device and kind. */
size_t incident_ask_row(const struct incident_ask *ask, const uint8_t thread[INCIDENT_KEY_BYTES]);

#endif
