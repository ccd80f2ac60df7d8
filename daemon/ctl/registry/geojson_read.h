/*
 * Reads the areas of a GeoJSON FeatureCollection (RFC 7946) feature by feature, so that a file may have any size; a
 * feature has at most GEOJSON_PART_MAX bytes. Pure: bytes in, areas and diagnostics out. Invalid polygons are passed on
 * as they are; only a geometry that yields no polygon is refused.
 */
#ifndef MOBEYE_CTL_REGISTRY_GEOJSON_READ_H
#define MOBEYE_CTL_REGISTRY_GEOJSON_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "ctl/lib/line_diagnostics.h"

struct geojson_area {
    uint64_t feature; /* number in the file, from 1 */
    uint64_t line;    /* the line it begins on */
    struct str code;  /* properties.code, 1 to 64 characters */
    struct str name;  /* properties.name */
    struct str homes; /* properties.homes, digits; empty: not given */
    struct str ewkb;  /* MultiPolygon, SRID 4326; rings are closed and have 4 positions or more */
};

/* What the area points to is valid during the call. */
typedef void (*geojson_area_fn)(void *ctx, const struct geojson_area *area);

/* `file` is named in the command that would convert the coordinates. It and `line_diagnostics` must outlive the reader;
 * whatever is wrong is added there. */
struct geojson_reader *geojson_reader_new(const char *file, geojson_area_fn area, void *ctx,
                                          struct line_diagnostics *line_diagnostics);
void geojson_reader_free(struct geojson_reader **reader);

/* Reads the next bytes, in chunks of any size. false: the rest is ignored, since it is not JSON or not in degrees. */
bool geojson_reader_feed(struct geojson_reader *reader, const char *bytes, size_t len);

/* Call after the last byte. false: as for geojson_reader_feed(); or it is not a FeatureCollection, or is empty. */
bool geojson_reader_finish(struct geojson_reader *reader);

#endif
