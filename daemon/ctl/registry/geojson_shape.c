#include "ctl/registry/geojson_shape.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"

enum { WKB_POLYGON = 3, WKB_MULTIPOLYGON = 6, SRID = 4326, RING_MIN = 4 };

#define WKB_HAS_SRID UINT32_C(0x20000000)

static void *grow_list(void *list, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return list;
    *cap = *cap ? 2 * *cap : 64;
    return mem_realloc(list, *cap, size);
}

void shape_position(struct shape *shape, double x, double y)
{
    shape->positions = grow_list(shape->positions, shape->n_positions, &shape->cap_positions, 2 * sizeof(double));
    shape->positions[2 * shape->n_positions] = x;
    shape->positions[2 * shape->n_positions + 1] = y;
    shape->n_positions++;
}

void shape_end_ring(struct shape *shape)
{
    size_t from = shape->n_rings ? shape->ring_ends[shape->n_rings - 1] : 0;
    if (shape->n_positions == from)
        return;
    shape->ring_ends = grow_list(shape->ring_ends, shape->n_rings, &shape->cap_rings, sizeof(size_t));
    shape->ring_ends[shape->n_rings++] = shape->n_positions;
}

void shape_end_polygon(struct shape *shape)
{
    size_t from = shape->n_polygons ? shape->polygon_ends[shape->n_polygons - 1] : 0;
    if (shape->n_rings == from)
        return;
    shape->polygon_ends = grow_list(shape->polygon_ends, shape->n_polygons, &shape->cap_polygons, sizeof(size_t));
    shape->polygon_ends[shape->n_polygons++] = shape->n_rings;
}

struct shape_mark shape_mark(const struct shape *shape)
{
    return (struct shape_mark){shape->n_positions, shape->n_rings, shape->n_polygons};
}

void shape_back(struct shape *shape, struct shape_mark mark)
{
    shape->n_positions = mark.positions;
    shape->n_rings = mark.rings;
    shape->n_polygons = mark.polygons;
}

static void append_ring(const double *positions, size_t n, struct buf *out)
{
    const double *last = positions + 2 * (n - 1);
    size_t whole = n + (positions[0] != last[0] || positions[1] != last[1] || n == 1);
    whole = whole < RING_MIN ? RING_MIN : whole;
    buf_be32(out, (uint32_t)whole);
    for (size_t i = 0; i < whole; i++)
        for (size_t axis = 0; axis < 2; axis++) {
            union {
                double number;
                uint64_t bits;
            } value = {.number = positions[i < n ? 2 * i + axis : axis]};
            buf_be64(out, value.bits);
        }
}

void shape_ewkb(const struct shape *shape, struct buf *out)
{
    static const char big_endian = 0;
    size_t ring = 0, position = 0;
    buf_append(out, &big_endian, 1);
    buf_be32(out, WKB_MULTIPOLYGON | WKB_HAS_SRID);
    buf_be32(out, SRID);
    buf_be32(out, (uint32_t)shape->n_polygons);
    for (size_t i = 0; i < shape->n_polygons; i++) {
        buf_append(out, &big_endian, 1);
        buf_be32(out, WKB_POLYGON);
        buf_be32(out, (uint32_t)(shape->polygon_ends[i] - ring));
        for (; ring < shape->polygon_ends[i]; ring++) {
            append_ring(shape->positions + 2 * position, shape->ring_ends[ring] - position, out);
            position = shape->ring_ends[ring];
        }
    }
}

void shape_free(struct shape *shape)
{
    free(shape->positions);
    free(shape->ring_ends);
    free(shape->polygon_ends);
    *shape = (struct shape){0};
}
