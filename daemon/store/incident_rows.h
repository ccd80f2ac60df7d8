/*
 * Incidents between the database and the incident set: what mobeye.read_incidents() returns, and what the
 * correlation changed, as parameters of mobeye.store_incidents() (sql/code/correlation.sql).
 */
#ifndef MOBEYE_STORE_INCIDENT_ROWS_H
#define MOBEYE_STORE_INCIDENT_ROWS_H

#include "store/incident_lookup.h"

enum { INCIDENT_STORE_PARAMS = 74 };

extern const char incident_store_sql[];
extern const Oid incident_store_types[INCIDENT_STORE_PARAMS];

/* What happened to an incident, in the words of patrol.changes. */
enum incident_op { INCIDENT_NEW, INCIDENT_ALERT, INCIDENT_STATUS, INCIDENT_VERIFIED };

const char *incident_op_word(enum incident_op op);

struct incident_change {
    uint64_t id;
    enum incident_op op;
    bool urgent; /* a panic or holdup joined: an older screen cannot close the incident */
};

/* The incidents and conditions of a batch, and what must be stored of them. */
struct incident_rows {
    struct incident_set set;
    bool *was_verified; /* of the incidents in the database, as read */
    size_t n_known, cap_known;
    size_t *fresh; /* indexes of the new ones, in the order of their keys: the database numbers them in this order */
    size_t n_fresh, cap_fresh;
    struct incident_change *changes;
    size_t n_changes, cap_changes;
};

/* Appends the areas as mobeye.teams_of() and mobeye.store_incidents() take them. */
void incident_areas_text(const struct alert_areas *areas, struct buf *out);

void incident_rows_free(struct incident_rows *rows);
/* Empties it, keeps the memory. */
void incident_rows_clear(struct incident_rows *rows);

/* Fills the incident set, which is empty. false: a condition leads to an incident that is not among them, since another
 * daemon created it at this moment. */
bool incident_rows_read(struct incident_rows *rows, const PGresult *result);

/* After the correlation. Appends to the bufs of values, which are empty; false, and nothing is appended, if there is
 * nothing to be stored. `rules` is the hash of the rules, 16 bytes, or NULL. */
bool incident_rows_encode(struct incident_rows *rows, const struct incident_lookup *lookup, const struct batch *batch,
                          const uint8_t *rules, struct buf values[INCIDENT_STORE_PARAMS]);

/* Takes the ids of the new incidents, and lists the changes. false: their number is wrong. */
bool incident_rows_stored(struct incident_rows *rows, const PGresult *result);

/* The changes as three array literals in SQL, separated by commas: '{17,18}', '{new,alert}', '{f,t}'. */
void incident_rows_print_changes(const struct incident_rows *rows, struct buf *sql);

#endif
