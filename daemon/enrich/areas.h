/*
 * Finds the areas that contain a location, at most one per layer. GEOS does the geometry.
 *
 * A location on the edge is inside. If several areas of a layer contain it and are valid at that time, the newest
 * vintage wins, then the lowest code, byte by byte, which also decides on a shared border.
 */
#ifndef MOBEYE_ENRICH_AREAS_H
#define MOBEYE_ENRICH_AREAS_H

#include "model/area_rows.h"
#include "model/batch.h"

struct area_set; /* immutable; may be used by any thread, but by only one at a time */

/* Slow if there are many areas: for a worker thread. Also does the work that GEOS would defer to the first use. Never
 * NULL. */
struct area_set *area_set_build(const struct area_rows *rows);

/* Slow too. Safe on NULL. */
void area_set_free(struct area_set **set);

size_t area_set_count(const struct area_set *set);
size_t area_set_n_left_out(const struct area_set *set);

/* Areas that are ignored because GEOS cannot use them: "layer/code: why"; NULL past the last. */
const char *area_set_left_out(const struct area_set *set, size_t i);

/* Approximate memory of a set built from the rows, in bytes. */
size_t area_set_bytes(const struct area_rows *rows);

/* The places that areas_find() has looked up for the batch, which need not be searched again, and the combinations of
 * areas found there: each is stored once. */
struct area_memo;

struct area_memo *area_memo_new(void);
void area_memo_free(struct area_memo **memo); /* safe on NULL */

/* To be called before the first areas_find() for a batch, and when the set has changed. */
void area_memo_clear(struct area_memo *memo);

/* The areas that contain the location (degrees WGS84) at that time; valid as long as the batch. */
const struct alert_areas *areas_find(const struct area_set *set, struct area_memo *memo, struct batch *batch,
                                     double lon, double lat, int64_t at_us);

#endif
