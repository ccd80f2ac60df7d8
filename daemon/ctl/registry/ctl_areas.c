/* mobeyectl areas: imports the areas of a layer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/registry/bounds.h"
#include "ctl/registry/geojson_read.h"
#include "ctl/registry/import.h"

#define VERB "areas"

enum { LAYER_MAX = 32, VINTAGE_MIN = 1900, VINTAGE_MAX = 2999 };

static const char help[] =
    "Usage: mobeyectl areas import --layer LAYER [--vintage YEAR] [OPTION]... FILE.geojson\n"
    "Replaces the areas of a layer and vintage by those of a file, completely or not at all.\n\n"
    "The file (- for standard input) is GeoJSON (RFC 7946): a FeatureCollection of polygons in degrees, each with\n"
    "properties.code and properties.name. Invalid geometries are repaired, with a warning. An area that lies entirely\n"
    "outside the bounds of the configuration is refused. Importing the same file twice changes nothing.\n\n"
    "      --layer LAYER      name of the layer, such as wijk, buurt, beat, hotspot: a lower-case letter, then at "
    "most\n"
    "                         31 of a-z 0-9 _ -\n"
    "      --vintage YEAR     the areas are valid from 1 January of YEAR until the layer's next vintage (default:\n"
    "                         always)\n" BOUNDS_HELP CTL_COMMON_HELP "\nExample, converting from RD New first:\n"
    "  $ ogr2ogr -f GeoJSON -t_srs EPSG:4326 -s_srs EPSG:28992 \\\n"
    "      -sql \"select wijkcode as code, wijknaam as name from wijken\" wijken.geojson wijkenbuurten.gpkg\n"
    "  $ mobeyectl areas import --layer wijk --vintage 2022 wijken.geojson\n\n"
    "Requires a member of mobeye_registry or mobeye_owner.\n" CTL_EXIT_HELP;

struct area_import {
    struct import import;
    struct geojson_reader *reader;
    struct buf hex;
};

static void on_area(void *ctx, const struct geojson_area *area)
{
    static const char digits[] = "0123456789ABCDEF";
    struct area_import *areas = ctx;
    char number[24], line[24];
    char *hex = (areas->hex.len = 0, buf_reserve(&areas->hex, 2 * area->ewkb.len));
    for (size_t i = 0; i < area->ewkb.len; i++) {
        hex[2 * i] = digits[(unsigned char)area->ewkb.p[i] >> 4];
        hex[2 * i + 1] = digits[(unsigned char)area->ewkb.p[i] & 15];
    }
    snprintf(number, sizeof(number), "%llu", (unsigned long long)area->feature);
    snprintf(line, sizeof(line), "%llu", (unsigned long long)area->line);
    import_cell(&areas->import, str_from(number));
    import_cell(&areas->import, str_from(line));
    import_cell(&areas->import, area->code);
    import_cell(&areas->import, area->name);
    import_cell(&areas->import, (struct str){hex, 2 * area->ewkb.len});
    import_end_row(&areas->import);
}

static bool feed_geojson(void *ctx, const char *bytes, size_t len)
{
    struct area_import *areas = ctx;
    return geojson_reader_feed(areas->reader, bytes, len);
}

static int store_areas(struct area_import *areas, const char *layer, const char *vintage, const char *bounds)
{
    char check[BOUNDS_SIZE + 192];
    const char *values[] = {layer, vintage};
    int status = import_read(&areas->import, feed_geojson, areas);
    if (status != CTL_OK)
        return status;
    areas->import.whole = geojson_reader_finish(areas->reader);
    snprintf(check, sizeof(check),
             "select line, warning, format('feature %%s (%%s, %%s): %%s', feature, code, name, message) from "
             "mobeye.check_areas(%s)",
             bounds);
    return import_finish(&areas->import, check, "select * from mobeye.merge_areas($1, $2::integer)", 2, values);
}

static int import_areas(const struct ctl_call *call, const char *layer, const char *vintage, bool anyway)
{
    char bounds[BOUNDS_SIZE + 16];
    if (bounds_expression(call, anyway, bounds) != CTL_OK)
        return CTL_FAILED;
    struct area_import areas = {.import = {.verb = VERB, .file = call->arguments[0], .call = call}};
    areas.reader = geojson_reader_new(areas.import.file, on_area, &areas, &areas.import.line_diagnostics);
    int status = import_open(&areas.import, "select mobeye.stage_areas()",
                             "copy pg_temp.area_import (feature, line, code, name, geom) from stdin");
    if (status == CTL_OK)
        status = store_areas(&areas, layer, vintage, bounds);
    geojson_reader_free(&areas.reader);
    buf_free(&areas.hex);
    import_close(&areas.import);
    return status;
}

static bool is_layer(const char *text)
{
    return *text >= 'a' && *text <= 'z' && strlen(text) <= LAYER_MAX &&
           strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_-") == strlen(text);
}

static bool is_vintage(const char *text)
{
    return strlen(text) == 4 && strspn(text, "0123456789") == 4 && atoi(text) >= VINTAGE_MIN &&
           atoi(text) <= VINTAGE_MAX;
}

static const struct ctl_verb actions[] = {
    {"import", .takes = "layer vintage anyway config db json", .argument = "FILE.geojson", .least = 1, .most = 1}, {0}};
static const struct ctl_verb verb = {VERB, .help = help, .actions = actions};

int ctl_areas(int argc, char **argv)
{
    const char *layer = NULL, *vintage = NULL;
    bool anyway = false;
    const struct ctl_option options[] = {
        {"layer", .text = &layer}, {"vintage", .text = &vintage}, {"anyway", .flag = &anyway}, {0}};
    struct ctl_call call;
    int status = ctl_parse(argc, argv, &verb, options, &call);
    if (status != CTL_GO)
        return status;
    if (!layer)
        return ctl_usage(VERB, "missing option --layer LAYER");
    if (!is_layer(layer))
        return ctl_usage(
            VERB, "--layer %s: not a layer name (expected a lower-case letter, then at most 31 of a-z 0-9 _ -)", layer);
    if (vintage && !is_vintage(vintage))
        return ctl_usage(VERB, "--vintage %s: not a year (expected %d to %d)", vintage, VINTAGE_MIN, VINTAGE_MAX);
    return import_areas(&call, layer, vintage, anyway);
}
