/*
 * PostgreSQL's binary formats, in one place: OIDs of types, headers of arrays, times, points. store/param.h writes
 * them as parameters, store/copyrow.h as rows of COPY, store/column.h reads them from results.
 */
#ifndef MOBEYE_STORE_PGTYPE_H
#define MOBEYE_STORE_PGTYPE_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/clock.h"

/* OIDs, as in pg_type: fixed for built-in types. */
enum {
    TYPE_BOOL = 16,
    TYPE_BYTEA = 17,
    TYPE_INT8 = 20,
    TYPE_INT2 = 21,
    TYPE_INT4 = 23,
    TYPE_TEXT = 25,
    TYPE_JSON = 114,
    TYPE_BOX = 603,
    TYPE_REAL = 700,
    TYPE_DOUBLE = 701,
    TYPE_BOOL_ARRAY = 1000,
    TYPE_BYTEA_ARRAY = 1001,
    TYPE_INT4_ARRAY = 1007,
    TYPE_TEXT_ARRAY = 1009,
    TYPE_INT8_ARRAY = 1016,
    TYPE_BOX_ARRAY = 1020,
    TYPE_REAL_ARRAY = 1021,
    TYPE_TIMESTAMPTZ = 1184,
    TYPE_TIMESTAMPTZ_ARRAY = 1185,
    TYPE_INTERVAL = 1186,
    TYPE_INTERVAL_ARRAY = 1187,
    TYPE_NUMERIC = 1700,
    TYPE_UUID = 2950,
    TYPE_UUID_ARRAY = 2951,
    TYPE_JSONB = 3802,
};

enum {
    PGTYPE_ARRAY_HEADER_BYTES = 20, /* of one dimension; then each element with its length in front */
    PGTYPE_ARRAY_EMPTY_BYTES = 12,  /* an empty array has no dimension */
    PGTYPE_LENGTH_BYTES = 4,        /* in front of a value; -1: null */
    PGTYPE_POINT_BYTES = 25,
};

/* PostgreSQL counts time from 2000-01-01. */
#define PGTYPE_EPOCH_DAYS 10957

/* Wall time as a timestamptz, and back. */
static inline int64_t pgtype_timestamp(int64_t wall_us)
{
    return wall_us - PGTYPE_EPOCH_DAYS * CLOCK_DAY;
}

static inline int64_t pgtype_wall_us(int64_t timestamp)
{
    return timestamp + PGTYPE_EPOCH_DAYS * CLOCK_DAY;
}

static inline char *pgtype_put32(char *p, uint32_t v)
{
    v = htobe32(v);
    memcpy(p, &v, sizeof(v));
    return p + sizeof(v);
}

/* Writes the header of an array with one dimension of n elements: at most PGTYPE_ARRAY_HEADER_BYTES. Returns its end.
 */
static inline char *pgtype_put_array(char *p, uint32_t element_type, size_t n)
{
    p = pgtype_put32(p, n > 0 ? 1 : 0); /* dimensions */
    p = pgtype_put32(p, 1);             /* may contain nulls */
    p = pgtype_put32(p, element_type);
    return n > 0 ? pgtype_put32(pgtype_put32(p, (uint32_t)n), 1) : p; /* length, first index */
}

/* A point in degrees WGS84, as the EWKB that PostGIS reads. */
void pgtype_point(uint8_t ret[PGTYPE_POINT_BYTES], double lon, double lat);

#endif
