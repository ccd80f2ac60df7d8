/*
 * Takes a GeoJSON text apart, so that no more than one feature of it is in memory: the objects that are elements of an
 * array of the outermost object, one by one, and the outline, which is the text with {} in the place of each of them
 * and the line feeds kept. The text is JSON if the outline and all objects are. Looks at quotes and brackets alone.
 */
#ifndef MOBEYE_CTL_REGISTRY_GEOJSON_SPLIT_H
#define MOBEYE_CTL_REGISTRY_GEOJSON_SPLIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define GEOJSON_PART_MAX (64 << 20) /* bytes of an object, or of the outline */

/* What they are given is valid during the call. false: the rest is not wanted. */
struct geojson_split_calls {
    /* Before the first object of an array: the outline so far, closed behind it. */
    bool (*array)(void *ctx, struct str outline);
    /* An object, and the line that it begins on, from 1. */
    bool (*object)(void *ctx, struct str text, uint64_t line);
};

/* Zero-initialised but for calls and ctx, it is at the start of a text. */
struct geojson_split {
    const struct geojson_split_calls *calls;
    void *ctx;
    struct buf outline, object;
    uint64_t lines; /* line feeds seen */
    uint64_t object_lines;
    unsigned depth;
    char open[2]; /* the bracket at depth 0 and 1 */
    bool in_string, escaped, in_object, array_told;
};

void geojson_split_free(struct geojson_split *split);

enum geojson_split_result { GEOJSON_SPLIT_OK, GEOJSON_SPLIT_STOPPED, GEOJSON_SPLIT_TOO_LARGE };

/* The next bytes, in pieces of any size. */
enum geojson_split_result geojson_split_feed(struct geojson_split *split, const char *bytes, size_t len);

/* After the last byte: the outline, and an object that never ended. */
struct str geojson_split_outline(struct geojson_split *split);

#endif
