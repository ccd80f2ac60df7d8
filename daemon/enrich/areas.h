/*
 * Which areas a place is in: of every layer at most one. GEOS does the geometry.
 *
 * A place on the edge is inside. Of the areas of a layer that have it and hold at that time, the one of the newest
 * vintage is taken, and of those the one with the lowest code, byte by byte: so is one of two on their shared border.
 */
#ifndef MOBEYE_ENRICH_AREAS_H
#define MOBEYE_ENRICH_AREAS_H

#include "model/area_rows.h"
#include "model/batch.h"

struct area_set; /* does not change any more; may be used by any condition, by one at a time */

/* Takes long where there are many: for a worker thread. Everything that GEOS would work out at the first use is worked
 * out. Never NULL. */
struct area_set *area_set_build(const struct area_rows *rows);

/* Takes long as well. Safe on NULL. */
void area_set_free(struct area_set **set);

size_t area_set_count(const struct area_set *set);
size_t area_set_n_left_out(const struct area_set *set);

/* Areas that GEOS cannot use, which are left out: "layer/code: why", NULL past the last. */
const char *area_set_left_out(const struct area_set *set, size_t i);

/* About how much memory the set takes that is built of the rows. */
size_t area_set_bytes(const struct area_rows *rows);

/* What areas_find() has found for the batch, so that what many alerts have in common is kept once. */
struct area_memo;

struct area_memo *area_memo_new(void);
void area_memo_free(struct area_memo **memo); /* safe on NULL */

/* Before the first areas_find() for a batch, and where the set is another: forgets the one before. */
void area_memo_clear(struct area_memo *memo);

/* The areas that have the place (degrees WGS84) at that time, kept in the batch. */
const struct alert_areas *areas_find(const struct area_set *set, struct area_memo *memo, struct batch *batch,
                                     double lon, double lat, int64_t at_us);

#endif
