/*
 * What is known of one feature of a GeoJSON file while it is read, and whether it is an area.
 */
#ifndef MOBEYE_CTL_REGISTRY_GEOJSON_FEATURE_H
#define MOBEYE_CTL_REGISTRY_GEOJSON_FEATURE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "ctl/lib/line_diagnostics.h"
#include "ctl/registry/geojson_shape.h"

enum { GEOJSON_WORD_MAX = 64 }; /* bytes of a type that are kept, with the NUL */

struct geojson_feature {
    uint64_t number; /* in the file, from 1; 0: none has begun */
    uint64_t line;   /* that it begins on */
    struct buf code, name;
    char geometry_type[GEOJSON_WORD_MAX]; /* of the outermost geometry; empty: none */
    char bad_geometry[160];               /* what is wrong with it; empty: nothing */
    struct shape shape;
};

/* The next one, of which nothing is known yet. */
void geojson_feature_begin(struct geojson_feature *feature, uint64_t line);

/* Only the first of several counts. */
void geojson_feature_bad_geometry(struct geojson_feature *feature, const char *what);

/* Adds that x and y are not degrees, and the ogr2ogr command that makes them so; `crs` is what the file says of them.
 */
void geojson_feature_not_degrees(const struct geojson_feature *feature, double x, double y, const char *crs,
                                 const char *file, struct line_diagnostics *line_diagnostics);

/* Whether it has a code, a name and a polygon; what is wrong is added to findings. */
bool geojson_feature_check(struct geojson_feature *feature, struct line_diagnostics *line_diagnostics);

void geojson_feature_free(struct geojson_feature *feature);

#endif
