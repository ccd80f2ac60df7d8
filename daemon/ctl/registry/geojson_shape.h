/*
 * The polygons of one feature while its coordinates are read, and their EWKB.
 */
#ifndef MOBEYE_CTL_REGISTRY_GEOJSON_SHAPE_H
#define MOBEYE_CTL_REGISTRY_GEOJSON_SHAPE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* {0} is empty. An end is the count of positions up to the end of a ring, or of rings up to the end of a polygon. */
struct shape {
    double *positions; /* x, y */
    size_t n_positions, cap_positions;
    size_t *ring_ends;
    size_t n_rings, cap_rings;
    size_t *polygon_ends;
    size_t n_polygons, cap_polygons;
};

/* A state to which shape_back() returns, dropping what was added since. */
struct shape_mark {
    size_t positions, rings, polygons;
};

void shape_position(struct shape *shape, double x, double y);
void shape_end_ring(struct shape *shape);    /* ignores a ring without positions */
void shape_end_polygon(struct shape *shape); /* ignores a polygon without rings */

struct shape_mark shape_mark(const struct shape *shape);
void shape_back(struct shape *shape, struct shape_mark mark);

/* Appends it as a MultiPolygon with SRID 4326; rings are closed, and padded to 4 positions. */
void shape_ewkb(const struct shape *shape, struct buf *out);

void shape_free(struct shape *shape);

#endif
