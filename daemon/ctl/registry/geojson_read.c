/* geojson_split yields the outline and the features, one text each. Within a text, a stack holds the open containers
 * with their roles; everything else is skipped. */
#include "ctl/registry/geojson_read.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/mem.h"
#include "ctl/registry/geojson_feature.h"
#include "ctl/registry/geojson_split.h"
#include "ingest/json_read.h"

enum { DEPTH_MAX = 64, MARK_BYTES = 3 };

enum part {
    NOTHING, /* ignored, with all its contents */
    ROOT,
    FEATURES, /* array of FEATURE */
    FEATURE,
    PROPERTIES,
    GEOMETRY,
    GEOMETRIES,  /* array of GEOMETRY */
    COORDINATES, /* array of arrays of numbers */
    CRS,         /* in older files */
    CRS_PROPERTIES,
    /* texts */
    ROOT_TYPE,
    CODE,
    NAME,
    HOMES,
    GEOMETRY_TYPE,
    CRS_NAME,
};

/* The role of a member, by the role of its object. */
static const struct geojson_member {
    enum part in;
    const char *key;
    enum part part;
} members[] = {
    {ROOT, "type", ROOT_TYPE},
    {ROOT, "features", FEATURES},
    {ROOT, "crs", CRS},
    {FEATURE, "properties", PROPERTIES},
    {FEATURE, "geometry", GEOMETRY},
    {PROPERTIES, "code", CODE},
    {PROPERTIES, "name", NAME},
    {PROPERTIES, "homes", HOMES},
    {GEOMETRY, "type", GEOMETRY_TYPE},
    {GEOMETRY, "coordinates", COORDINATES},
    {GEOMETRY, "geometries", GEOMETRIES},
    {CRS, "properties", CRS_PROPERTIES},
    {CRS_PROPERTIES, "name", CRS_NAME},
};

struct frame {
    enum part part;
    bool is_array;
    char type[GEOJSON_WORD_MAX]; /* of a geometry */
    unsigned nesting;            /* of a geometry: depth of arrays around its numbers; 0: no number yet */
    struct shape_mark mark;
};

struct geojson_reader {
    const char *file;
    geojson_area_fn area;
    void *ctx;
    struct line_diagnostics *line_diagnostics;
    struct geojson_split split;
    struct json_reader *json;
    bool dead;
    size_t mark; /* bytes of the byte order mark read so far; MARK_BYTES once the text has begun */

    struct frame stack[DEPTH_MAX];
    size_t depth;
    enum part next; /* role of the value of the last name */

    /* From the outline, as far as it has been read. */
    char root_type[GEOJSON_WORD_MAX];
    char crs[GEOJSON_WORD_MAX];
    bool has_features;
    enum part last_array; /* role of the last array of the outermost object */

    struct geojson_feature feature;
    double ordinate[2];
    unsigned n_ordinates;
    struct buf ewkb;
};

/* Always false: nothing more is read. */
static bool stop_reading(struct geojson_reader *reader)
{
    reader->dead = true;
    return false;
}

/* The innermost; not before the first. */
static struct frame *top(struct geojson_reader *reader)
{
    return &reader->stack[reader->depth - 1];
}

/* The geometry whose coordinates are being read. */
static struct frame *geometry_of(struct geojson_reader *reader)
{
    size_t i = reader->depth - 1;
    while (reader->stack[i].part != GEOMETRY)
        i--;
    return &reader->stack[i];
}

static unsigned coordinate_depth(const struct geojson_reader *reader)
{
    unsigned depth = 0;
    while (depth < reader->depth && reader->stack[reader->depth - 1 - depth].part == COORDINATES)
        depth++;
    return depth;
}

/* The role of the value that begins now, a member of an object or an element of an array. */
static enum part take_part(struct geojson_reader *reader)
{
    const struct frame *container = reader->depth ? top(reader) : NULL;
    enum part part = reader->next;
    reader->next = NOTHING;
    if (!container)
        return ROOT;
    if (!container->is_array)
        return part;
    switch (container->part) {
    case FEATURES:
        return FEATURE;
    case GEOMETRIES:
        return GEOMETRY;
    case COORDINATES:
        return COORDINATES;
    default:
        return NOTHING;
    }
}

static void push(struct geojson_reader *reader, bool is_array)
{
    enum part part = take_part(reader);
    bool array_part = part == FEATURES || part == GEOMETRIES || part == COORDINATES;
    if (part == COORDINATES && !is_array)
        geojson_feature_bad_geometry(&reader->feature, "coordinates contain an object");
    if (part > CRS_PROPERTIES || array_part != is_array)
        part = NOTHING;
    if (reader->depth == 1 && is_array)
        reader->last_array = part;
    struct frame *frame = &reader->stack[reader->depth++];
    *frame = (struct frame){.part = part, .is_array = is_array, .mark = shape_mark(&reader->feature.shape)};
    if (part == FEATURES)
        reader->has_features = true;
    if (part == COORDINATES && coordinate_depth(reader) == 1)
        geometry_of(reader)->mark = shape_mark(&reader->feature.shape);
    reader->n_ordinates = 0;
}

static void on_name(void *ctx, struct str name)
{
    struct geojson_reader *reader = ctx;
    if (reader->dead)
        return;
    reader->next = NOTHING;
    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        if (members[i].in == top(reader)->part && str_is(name, members[i].key))
            reader->next = members[i].part;
}

static void set_word(char word[GEOJSON_WORD_MAX], struct str text)
{
    snprintf(word, GEOJSON_WORD_MAX, "%.*s", (int)(text.len < GEOJSON_WORD_MAX ? text.len : GEOJSON_WORD_MAX - 1),
             text.p);
}

static void set_text(struct buf *buf, struct str text)
{
    buf->len = 0;
    buf_append_str(buf, text);
}

/* A string or a number. */
static void take_text(struct geojson_reader *reader, enum part part, struct str text)
{
    switch (part) {
    case ROOT_TYPE:
        set_word(reader->root_type, text);
        break;
    case CODE:
        set_text(&reader->feature.code, text);
        break;
    case NAME:
        set_text(&reader->feature.name, text);
        break;
    case HOMES:
        set_text(&reader->feature.homes, text);
        break;
    case GEOMETRY_TYPE:
        set_word(top(reader)->type, text);
        break;
    case CRS_NAME:
        set_word(reader->crs, text);
        break;
    case COORDINATES:
        geojson_feature_bad_geometry(&reader->feature, "coordinates contain a string");
        break;
    default:
        break;
    }
}

static void take_number(struct geojson_reader *reader, enum part part, const struct json_value *value)
{
    if (part != COORDINATES) {
        take_text(reader, part, value->string);
        return;
    }
    struct frame *geometry = geometry_of(reader);
    unsigned depth = coordinate_depth(reader);
    if (geometry->nesting != 0 && geometry->nesting != depth) {
        geojson_feature_bad_geometry(&reader->feature, "coordinates are nested unevenly");
        return;
    }
    geometry->nesting = depth;
    if (reader->n_ordinates < 2)
        reader->ordinate[reader->n_ordinates] = value->number;
    reader->n_ordinates++;
}

static void on_value(void *ctx, const struct json_value *value)
{
    struct geojson_reader *reader = ctx;
    if (reader->dead)
        return;
    switch (value->type) {
    case JSON_OBJECT:
    case JSON_ARRAY:
        push(reader, value->type == JSON_ARRAY);
        break;
    case JSON_STRING:
        take_text(reader, take_part(reader), value->string);
        break;
    case JSON_NUMBER:
        take_number(reader, take_part(reader), value);
        break;
    case JSON_BOOLEAN:
    case JSON_NULL:
        if (take_part(reader) == COORDINATES)
            geojson_feature_bad_geometry(&reader->feature, "coordinates contain a value that is not a number");
        break;
    }
}

static void end_position(struct geojson_reader *reader)
{
    double x = reader->ordinate[0], y = reader->ordinate[1];
    if (reader->n_ordinates < 2)
        geojson_feature_bad_geometry(&reader->feature, "a position has fewer than two numbers");
    else if (!(fabs(x) <= 180 && fabs(y) <= 90)) {
        geojson_feature_not_degrees(&reader->feature, x, y, reader->crs, reader->file, reader->line_diagnostics);
        stop_reading(reader);
    } else
        shape_position(&reader->feature.shape, x, y);
}

/* The depth determines whether a position, a ring or a polygon ends. */
static void end_coordinates(struct geojson_reader *reader)
{
    const struct frame *geometry = geometry_of(reader);
    unsigned depth = coordinate_depth(reader);
    if (geometry->nesting == depth)
        end_position(reader);
    else if (geometry->nesting == depth + 1)
        shape_end_ring(&reader->feature.shape);
    else if (geometry->nesting == depth + 2)
        shape_end_polygon(&reader->feature.shape);
    reader->n_ordinates = 0;
}

/* Checks how deep the coordinates of a Polygon or MultiPolygon are nested. Other geometries have no area, or are
 * collections. */
static void end_geometry(struct geojson_reader *reader)
{
    const struct frame *geometry = top(reader);
    bool polygon = strcmp(geometry->type, "Polygon") == 0, multi = strcmp(geometry->type, "MultiPolygon") == 0;
    if ((polygon && geometry->nesting != 0 && geometry->nesting != 3) ||
        (multi && geometry->nesting != 0 && geometry->nesting != 4))
        geojson_feature_bad_geometry(&reader->feature, "the nesting of coordinates does not match its type");
    else if (!polygon && !multi && geometry->nesting != 0)
        shape_back(&reader->feature.shape, geometry->mark);
    if (!geometry->type[0])
        geojson_feature_bad_geometry(&reader->feature, "its type is missing");
    snprintf(reader->feature.geometry_type, sizeof(reader->feature.geometry_type), "%s",
             geometry->type); /* the outermost ends last */
}

static void end_feature(struct geojson_reader *reader)
{
    struct geojson_feature *feature = &reader->feature;
    if (!geojson_feature_check(feature, reader->line_diagnostics))
        return;
    reader->ewkb.len = 0;
    shape_ewkb(&feature->shape, &reader->ewkb);
    reader->area(reader->ctx,
                 &(struct geojson_area){feature->number, feature->line, buf_str(&feature->code),
                                        buf_str(&feature->name), buf_str(&feature->homes), buf_str(&reader->ewkb)});
}

static void on_close(void *ctx)
{
    struct geojson_reader *reader = ctx;
    if (reader->dead)
        return;
    if (top(reader)->part == COORDINATES)
        end_coordinates(reader);
    else if (top(reader)->part == GEOMETRY)
        end_geometry(reader);
    reader->depth--;
}

/* Reads a text whose outermost object has the role `part`. */
static bool read_json(struct geojson_reader *reader, enum part part, struct str text, uint64_t line)
{
    static const struct json_calls calls = {on_name, on_value, on_close};
    size_t offset;
    reader->depth = 1;
    reader->next = NOTHING;
    reader->stack[0] = (struct frame){.part = part};
    const char *fault = json_read(reader->json, text, &calls, reader, &offset);
    if (reader->dead || !fault)
        return !reader->dead;
    for (size_t i = 0; i < offset; i++)
        line += text.p[i] == '\n';
    line_diagnostics_add(reader->line_diagnostics, line, false, "%s", fault);
    return stop_reading(reader);
}

static bool read_outline(void *ctx, struct str outline)
{
    struct geojson_reader *reader = ctx;
    reader->root_type[0] = reader->crs[0] = '\0';
    return read_json(reader, ROOT, outline, 1);
}

static bool read_object(void *ctx, struct str text, uint64_t line)
{
    struct geojson_reader *reader = ctx;
    bool is_feature = reader->last_array == FEATURES;
    if (is_feature)
        geojson_feature_begin(&reader->feature, line);
    if (!read_json(reader, is_feature ? FEATURE : NOTHING, text, line))
        return false;
    if (is_feature)
        end_feature(reader);
    return true;
}

static const struct geojson_split_calls split_calls = {read_outline, read_object};

struct geojson_reader *geojson_reader_new(const char *file, geojson_area_fn area, void *ctx,
                                          struct line_diagnostics *line_diagnostics)
{
    struct geojson_reader *reader = mem_zalloc(sizeof(*reader));
    reader->file = file;
    reader->area = area;
    reader->ctx = ctx;
    reader->line_diagnostics = line_diagnostics;
    reader->split = (struct geojson_split){.calls = &split_calls, .ctx = reader};
    reader->json = json_reader_new(&(struct json_limits){
        .bytes = 2 * GEOJSON_PART_MAX, .at_once = 1 << 16, .levels = DEPTH_MAX, .unique_names = false});
    return reader;
}

void geojson_reader_free(struct geojson_reader **reader)
{
    if (!*reader)
        return;
    json_reader_free(&(*reader)->json);
    geojson_split_free(&(*reader)->split);
    geojson_feature_free(&(*reader)->feature);
    buf_free(&(*reader)->ewkb);
    free(*reader);
    *reader = NULL;
}

static bool feed_split(struct geojson_reader *reader, const char *bytes, size_t len)
{
    if (geojson_split_feed(&reader->split, bytes, len) == GEOJSON_SPLIT_TOO_LARGE) {
        line_diagnostics_add(reader->line_diagnostics, reader->split.lines + 1, false,
                             "a feature, or the text outside the features, is too large (expected at most %d MiB)",
                             GEOJSON_PART_MAX >> 20);
        stop_reading(reader);
    }
    return !reader->dead;
}

/* Skips a byte order mark; an incomplete one is part of the text. */
bool geojson_reader_feed(struct geojson_reader *reader, const char *bytes, size_t len)
{
    static const char mark[] = "\xEF\xBB\xBF";
    for (; len > 0 && reader->mark < MARK_BYTES && *bytes == mark[reader->mark]; bytes++, len--)
        reader->mark++;
    if (reader->dead || len == 0)
        return !reader->dead;
    size_t held = reader->mark < MARK_BYTES ? reader->mark : 0;
    reader->mark = MARK_BYTES;
    return (held == 0 || feed_split(reader, mark, held)) && feed_split(reader, bytes, len);
}

bool geojson_reader_finish(struct geojson_reader *reader)
{
    if (reader->dead || !read_outline(reader, geojson_split_outline(&reader->split)))
        return false;
    if (strcmp(reader->root_type, "FeatureCollection") != 0)
        line_diagnostics_add(reader->line_diagnostics, 0, false, "the type is \"%s\" (expected FeatureCollection)",
                             reader->root_type);
    else if (!reader->has_features || reader->feature.number == 0)
        line_diagnostics_add(reader->line_diagnostics, 0, false,
                             "the file has no features (to remove a layer: mobeyectl areas remove --layer LAYER)");
    else
        return true;
    return stop_reading(reader);
}
