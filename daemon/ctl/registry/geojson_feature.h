/*
 * One feature of a GeoJSON file while it is read, and the check whether it is an area.
 */
#ifndef MOBEYE_CTL_REGISTRY_GEOJSON_FEATURE_H
#define MOBEYE_CTL_REGISTRY_GEOJSON_FEATURE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "ctl/lib/line_diagnostics.h"
#include "ctl/registry/geojson_shape.h"

enum { GEOJSON_WORD_MAX = 64 }; /* size of a type that is kept, including the NUL */

struct geojson_feature {
    uint64_t number; /* in the file, from 1; 0: none yet */
    uint64_t line;   /* the line it begins on */
    struct buf code, name;
    struct buf homes;                     /* digits; empty: not given */
    char geometry_type[GEOJSON_WORD_MAX]; /* of the outermost geometry; empty: none */
    char bad_geometry[160];               /* error in the geometry; empty: none */
    struct shape shape;
};

/* Starts the next feature. */
void geojson_feature_begin(struct geojson_feature *feature, uint64_t line);

/* Records an error in the geometry; only the first one is kept. */
void geojson_feature_bad_geometry(struct geojson_feature *feature, const char *what);

/* Adds the error that x and y are not degrees, with the ogr2ogr command that converts them; `crs` is the reference
 * system named in the file. */
void geojson_feature_not_degrees(const struct geojson_feature *feature, double x, double y, const char *crs,
                                 const char *file, struct line_diagnostics *line_diagnostics);

/* Whether it has a code, a name and a polygon; errors are added to line_diagnostics. */
bool geojson_feature_check(struct geojson_feature *feature, struct line_diagnostics *line_diagnostics);

void geojson_feature_free(struct geojson_feature *feature);

#endif
