/*
 * Splits a GeoJSON text, so that at most one feature is in memory: into the objects that are elements of an array of
 * the outermost object, one by one, and the outline, which is the text with each of them replaced by {} and all line
 * feeds kept. The text is valid JSON if the outline and all objects are. Only quotes and brackets are examined.
 */
#ifndef MOBEYE_CTL_REGISTRY_GEOJSON_SPLIT_H
#define MOBEYE_CTL_REGISTRY_GEOJSON_SPLIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define GEOJSON_PART_MAX (64 << 20) /* bytes of an object, or of the outline */

/* The arguments are valid during the call. Returning false stops the splitting. */
struct geojson_split_calls {
    /* Called before the first object of an array, with the outline so far, closed after the array. */
    bool (*array)(void *ctx, struct str outline);
    /* Called with an object and the line that it begins on, from 1. */
    bool (*object)(void *ctx, struct str text, uint64_t line);
};

/* To start a text, set calls and ctx and zero the rest. */
struct geojson_split {
    const struct geojson_split_calls *calls;
    void *ctx;
    struct buf outline, object;
    uint64_t lines; /* line feeds seen */
    uint64_t object_lines;
    unsigned depth;
    char open[2]; /* the bracket at depth 0 and 1 */
    bool in_string, escaped, in_object, array_announced;
};

void geojson_split_free(struct geojson_split *split);

enum geojson_split_result { GEOJSON_SPLIT_OK, GEOJSON_SPLIT_STOPPED, GEOJSON_SPLIT_TOO_LARGE };

/* Reads the next bytes, in chunks of any size. */
enum geojson_split_result geojson_split_feed(struct geojson_split *split, const char *bytes, size_t len);

/* Call after the last byte. Returns the outline, followed by an unfinished object. */
struct str geojson_split_outline(struct geojson_split *split);

#endif
