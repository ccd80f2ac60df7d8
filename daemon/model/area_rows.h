/*
 * The areas as read from the database, to build an index from.
 */
#ifndef MOBEYE_MODEL_AREA_ROWS_H
#define MOBEYE_MODEL_AREA_ROWS_H

#include <stdint.h>

#include "base/buf.h"

/* No padding: the digest covers the bytes. */
struct area_row {
    int32_t vintage; /* INT32_MIN: none, which sorts before any other */
    uint32_t layer_len, code_len, wkb_len;
    int64_t from_us, until_us; /* validity, until excluded; INT64_MIN, INT64_MAX: unbounded */
    uint64_t at;               /* offset in bytes of layer, code and polygon, in that order */
};
_Static_assert(sizeof(struct area_row) == 40, "no padding");

struct area_rows {
    uint64_t version; /* of the database's areas */
    struct area_row *rows;
    size_t n, cap;
    struct buf bytes;
};

struct area_rows *area_rows_new(void);
void area_rows_free(struct area_rows **rows); /* safe on NULL */

/* Appends a copy; sets the row's offset and lengths. wkb: a polygon or multipolygon, in degrees WGS84. */
void area_rows_add(struct area_rows *rows, struct area_row row, struct str layer, struct str code, struct str wkb);

/* Digest of everything but the version: the same for equal rows in the same order. */
uint64_t area_rows_digest(const struct area_rows *rows);

/* Allocated memory, in bytes. */
size_t area_rows_bytes(const struct area_rows *rows);

/* The slices are valid until the next area_rows_add(). */
struct str area_row_layer(const struct area_rows *rows, size_t i);
struct str area_row_code(const struct area_rows *rows, size_t i);
struct str area_row_wkb(const struct area_rows *rows, size_t i);

#endif
