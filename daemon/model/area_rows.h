/*
 * The areas as the database has them: what an index of them is built from.
 */
#ifndef MOBEYE_MODEL_AREA_ROWS_H
#define MOBEYE_MODEL_AREA_ROWS_H

#include <stdint.h>

#include "base/buf.h"

/* Without padding: digests are of the bytes. */
struct area_row {
    int32_t vintage; /* INT32_MIN: none, which counts as older than any */
    uint32_t layer_len, code_len, wkb_len;
    int64_t from_us, until_us; /* when it holds, until excluded; INT64_MIN, INT64_MAX: without end */
    uint64_t at;               /* in the bytes: layer, code and polygon, one behind the other */
};

struct area_rows {
    uint64_t version; /* of the database's areas */
    struct area_row *rows;
    size_t n, cap;
    struct buf bytes;
};

struct area_rows *area_rows_new(void);
void area_rows_free(struct area_rows **rows); /* safe on NULL */

/* Appends a copy. The row's at and lengths are set. wkb: a polygon or multipolygon, in degrees WGS84. */
void area_rows_add(struct area_rows *rows, struct area_row row, struct str layer, struct str code, struct str wkb);

/* Of everything but the version: equal rows in the same order have the same. */
uint64_t area_rows_digest(const struct area_rows *rows);

size_t area_rows_bytes(const struct area_rows *rows); /* of memory */

/* Slices that live until the next area_rows_add(). */
struct str area_row_layer(const struct area_rows *rows, size_t i);
struct str area_row_code(const struct area_rows *rows, size_t i);
struct str area_row_wkb(const struct area_rows *rows, size_t i);

#endif
