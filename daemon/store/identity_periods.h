/*
 * The periods in which identities are stored (sql/code/identities.sql): the current one, which takes those of new
 * alerts, and the closed ones. A closed period never changes; its filter says which identities may be in it, so that
 * only those are looked up. A filter has every identity of its period, and reports about one in a hundred others by
 * mistake.
 */
#ifndef MOBEYE_STORE_IDENTITY_PERIODS_H
#define MOBEYE_STORE_IDENTITY_PERIODS_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "store/pgtype.h"

struct identity_period {
    uint32_t number;
    bool made;       /* the database has its filter */
    bool whole;      /* the filter is here; otherwise any identity may be in the period */
    uint64_t *words; /* of the filter, 1.5 bytes per identity: those that are here */
    size_t n;
};

/* The periods of one database: to be cleared if the next may be another one. {0}: none are known. */
struct identity_periods {
    uint32_t current; /* 0: not known */
    struct identity_period *closed;
    size_t n;
};

/* Also frees the memory. */
void identity_periods_clear(struct identity_periods *periods);

/* Reads all periods: a statement without parameters, and its binary result, which replaces them; filters that are here
 * stay. false: none is the current one, which is then not known. */
extern const char identity_periods_sql[];
bool identity_periods_take(struct identity_periods *periods, const PGresult *rows);

/* Whether there is a closed period whose filter the database had not built when they were read. */
bool identity_periods_unfiltered(const struct identity_periods *periods);

/* The first one whose filter the database has and that is not here; NULL: there is none. It is read slice by slice,
 * since libpq keeps a buffer as large as the largest value that it received: a statement, its parameters, which are
 * appended to the bufs of values, and its binary result. If the result lacks the slice, the filter counts as not
 * built. */
struct identity_period *identity_periods_next_filter(const struct identity_periods *periods);
enum { IDENTITY_FILTER_PARAMS = 2, IDENTITY_FILTER_SLICE = 1048576 /* bytes, as in the statement */ };
extern const char identity_filter_sql[];
extern const Oid identity_filter_types[IDENTITY_FILTER_PARAMS];
void identity_period_encode_slice(const struct identity_period *period, struct buf values[IDENTITY_FILTER_PARAMS]);
void identity_period_take_slice(struct identity_period *period, const PGresult *row);

/* Whether the identity may be stored in the period. `low`: its last 8 bytes as a number, the first of them the
 * highest. */
bool identity_period_may_have(const struct identity_period *period, uint64_t low);

#endif
