/* A stack of the containers that are open, each with the part that it plays; the rest of the document is passed over.
 */
#include "ctl/geojson_read.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

#include "base/mem.h"
#include "ctl/geojson_feature.h"

enum { DEPTH_MAX = 64, NUMBER_MAX = 400, MARK_BYTES = 3 };

enum part {
    NOTHING, /* what nobody asks for, with all that is in it */
    ROOT,
    FEATURES, /* array of FEATURE */
    FEATURE,
    PROPERTIES,
    GEOMETRY,
    GEOMETRIES,  /* array of GEOMETRY */
    COORDINATES, /* array of arrays of numbers */
    CRS,         /* as older files have it */
    CRS_PROPERTIES,
    /* texts */
    ROOT_TYPE,
    CODE,
    NAME,
    GEOMETRY_TYPE,
    CRS_NAME,
};

/* The part that a member plays in an object that plays one. */
static const struct member {
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
    unsigned nesting;            /* of a geometry: arrays around a number of its coordinates; 0: none seen */
    struct shape_mark mark;
};

struct geojson_reader {
    const char *file;
    geojson_area_fn area;
    void *ctx;
    struct findings *findings;
    yajl_handle yajl;

    const unsigned char *bytes; /* being parsed */
    size_t counted;             /* of them, for `line` */
    uint64_t line;
    bool dead;
    size_t mark; /* bytes of a byte order mark that were seen; all of them once the text has begun */

    struct frame stack[DEPTH_MAX];
    size_t depth;
    enum part next; /* what the value of the member that was named plays */
    char root_type[GEOJSON_WORD_MAX];
    char crs[GEOJSON_WORD_MAX];
    bool has_features;

    struct geojson_feature feature;
    double ordinate[2];
    unsigned n_ordinates;
    struct buf ewkb;
};

/* The line of what was read last. */
static uint64_t current_line(struct geojson_reader *reader)
{
    size_t consumed = reader->bytes ? yajl_get_bytes_consumed(reader->yajl) : 0;
    while (reader->counted < consumed) {
        const unsigned char *feed = memchr(reader->bytes + reader->counted, '\n', consumed - reader->counted);
        if (!feed)
            break;
        reader->line++;
        reader->counted = (size_t)(feed - reader->bytes) + 1;
    }
    if (reader->counted < consumed)
        reader->counted = consumed;
    return reader->line;
}

static int die(struct geojson_reader *reader)
{
    reader->dead = true;
    return 0;
}

static struct frame *top(struct geojson_reader *reader)
{
    return reader->depth ? &reader->stack[reader->depth - 1] : NULL;
}

/* The geometry whose coordinates are being read. */
static struct frame *geometry_of(struct geojson_reader *reader)
{
    for (size_t i = reader->depth; i > 0; i--)
        if (reader->stack[i - 1].part == GEOMETRY)
            return &reader->stack[i - 1];
    return NULL;
}

static unsigned coordinate_depth(const struct geojson_reader *reader)
{
    unsigned depth = 0;
    while (depth < reader->depth && reader->stack[reader->depth - 1 - depth].part == COORDINATES)
        depth++;
    return depth;
}

/* What a value plays that begins now: a member of an object, or an element of an array. */
static enum part take_part(struct geojson_reader *reader)
{
    const struct frame *around = top(reader);
    enum part part = reader->next;
    reader->next = NOTHING;
    if (!around)
        return ROOT;
    if (!around->is_array)
        return part;
    switch (around->part) {
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

static int push(struct geojson_reader *reader, bool is_array)
{
    enum part part = take_part(reader);
    bool array_part = part == FEATURES || part == GEOMETRIES || part == COORDINATES;
    if (part == COORDINATES && !is_array)
        geojson_feature_bad_geometry(&reader->feature, "coordinates hold an object");
    if (part > CRS_PROPERTIES || array_part != is_array)
        part = NOTHING;
    if (reader->depth == DEPTH_MAX) {
        findings_add(reader->findings, current_line(reader), false, "is nested more than %d deep", DEPTH_MAX);
        return die(reader);
    }
    struct frame *frame = &reader->stack[reader->depth++];
    *frame = (struct frame){.part = part, .is_array = is_array, .mark = shape_mark(&reader->feature.shape)};
    if (part == FEATURE)
        geojson_feature_begin(&reader->feature, current_line(reader));
    if (part == FEATURES)
        reader->has_features = true;
    if (part == COORDINATES && coordinate_depth(reader) == 1)
        geometry_of(reader)->mark = shape_mark(&reader->feature.shape);
    reader->n_ordinates = 0;
    return 1;
}

static int on_start_map(void *ctx)
{
    return push(ctx, false);
}

static int on_start_array(void *ctx)
{
    return push(ctx, true);
}

static int on_map_key(void *ctx, const unsigned char *text, size_t len)
{
    struct geojson_reader *reader = ctx;
    reader->next = NOTHING;
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
        if (members[i].in == top(reader)->part && str_is((struct str){(const char *)text, len}, members[i].key))
            reader->next = members[i].part;
    return 1;
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
    case GEOMETRY_TYPE:
        set_word(top(reader)->type, text);
        break;
    case CRS_NAME:
        set_word(reader->crs, text);
        break;
    case COORDINATES:
        geojson_feature_bad_geometry(&reader->feature, "coordinates hold a text");
        break;
    default:
        break;
    }
}

static int on_string(void *ctx, const unsigned char *text, size_t len)
{
    struct geojson_reader *reader = ctx;
    take_text(reader, take_part(reader), (struct str){(const char *)text, len});
    return 1;
}

static int on_boolean(void *ctx, int value)
{
    struct geojson_reader *reader = ctx;
    (void)value;
    if (take_part(reader) == COORDINATES)
        geojson_feature_bad_geometry(&reader->feature, "coordinates hold what is no number");
    return 1;
}

static int on_null(void *ctx)
{
    return on_boolean(ctx, 0);
}

static int on_number(void *ctx, const char *text, size_t len)
{
    struct geojson_reader *reader = ctx;
    char copy[NUMBER_MAX + 1];
    enum part part = take_part(reader);
    if (part != COORDINATES) {
        take_text(reader, part, (struct str){text, len});
        return 1;
    }
    struct frame *geometry = geometry_of(reader);
    unsigned depth = coordinate_depth(reader);
    if (len > NUMBER_MAX || (geometry->nesting != 0 && geometry->nesting != depth)) {
        geojson_feature_bad_geometry(&reader->feature,
                                     len > NUMBER_MAX ? "a number is too long" : "coordinates are nested unevenly");
        return 1;
    }
    geometry->nesting = depth;
    memcpy(copy, text, len);
    copy[len] = '\0';
    if (reader->n_ordinates < 2)
        reader->ordinate[reader->n_ordinates] = strtod(copy, NULL);
    reader->n_ordinates++;
    return 1;
}

static int end_position(struct geojson_reader *reader)
{
    double x = reader->ordinate[0], y = reader->ordinate[1];
    if (reader->n_ordinates < 2)
        geojson_feature_bad_geometry(&reader->feature, "a position has less than two numbers");
    else if (!(fabs(x) <= 180 && fabs(y) <= 90)) {
        geojson_feature_not_degrees(&reader->feature, x, y, reader->crs, reader->file, reader->findings);
        return die(reader);
    } else
        shape_position(&reader->feature.shape, x, y);
    return 1;
}

/* Which of position, ring and polygon ends tells how deep it is. */
static int end_coordinates(struct geojson_reader *reader)
{
    const struct frame *geometry = geometry_of(reader);
    unsigned depth = coordinate_depth(reader);
    int go_on = 1;
    if (geometry->nesting == depth)
        go_on = end_position(reader);
    else if (geometry->nesting == depth + 1)
        shape_end_ring(&reader->feature.shape);
    else if (geometry->nesting == depth + 2)
        shape_end_polygon(&reader->feature.shape);
    reader->n_ordinates = 0;
    return go_on;
}

static int on_end_array(void *ctx)
{
    struct geojson_reader *reader = ctx;
    int go_on = top(reader)->part == COORDINATES ? end_coordinates(reader) : 1;
    reader->depth--;
    return go_on;
}

/* Kinds of geometry: how deep their coordinates are nested. Others have no area, or are collections. */
static void end_geometry(struct geojson_reader *reader)
{
    const struct frame *geometry = top(reader);
    bool polygon = strcmp(geometry->type, "Polygon") == 0, multi = strcmp(geometry->type, "MultiPolygon") == 0;
    if ((polygon && geometry->nesting != 0 && geometry->nesting != 3) ||
        (multi && geometry->nesting != 0 && geometry->nesting != 4))
        geojson_feature_bad_geometry(&reader->feature, "coordinates are not nested as those of its type");
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
    if (!geojson_feature_check(feature, reader->findings))
        return;
    reader->ewkb.len = 0;
    shape_ewkb(&feature->shape, &reader->ewkb);
    reader->area(reader->ctx, &(struct geojson_area){feature->number, feature->line, buf_str(&feature->code),
                                                     buf_str(&feature->name), buf_str(&reader->ewkb)});
}

static int on_end_map(void *ctx)
{
    struct geojson_reader *reader = ctx;
    enum part part = top(reader)->part;
    if (part == GEOMETRY)
        end_geometry(reader);
    else if (part == FEATURE)
        end_feature(reader);
    reader->depth--;
    return 1;
}

static const yajl_callbacks callbacks = {.yajl_null = on_null,
                                         .yajl_boolean = on_boolean,
                                         .yajl_number = on_number,
                                         .yajl_string = on_string,
                                         .yajl_start_map = on_start_map,
                                         .yajl_map_key = on_map_key,
                                         .yajl_end_map = on_end_map,
                                         .yajl_start_array = on_start_array,
                                         .yajl_end_array = on_end_array};

struct geojson_reader *geojson_reader_new(const char *file, geojson_area_fn area, void *ctx, struct findings *findings)
{
    struct geojson_reader *reader = mem_zalloc(sizeof(*reader));
    reader->file = file;
    reader->area = area;
    reader->ctx = ctx;
    reader->findings = findings;
    reader->line = 1;
    reader->yajl = yajl_alloc(&callbacks, NULL, reader);
    return reader;
}

void geojson_reader_free(struct geojson_reader **reader)
{
    if (!*reader)
        return;
    yajl_free((*reader)->yajl);
    geojson_feature_free(&(*reader)->feature);
    buf_free(&(*reader)->ewkb);
    free(*reader);
    *reader = NULL;
}

/* Of yajl's lines the first says what it is. */
static bool judge(struct geojson_reader *reader, yajl_status status)
{
    uint64_t line = current_line(reader);
    if (status == yajl_status_ok || reader->dead)
        return !reader->dead;
    unsigned char *text = yajl_get_error(reader->yajl, 0, NULL, 0);
    findings_add(reader->findings, line, false, "is no JSON: %.*s", (int)strcspn((const char *)text, "\n"), text);
    yajl_free_error(reader->yajl, text);
    return die(reader);
}

static bool parse(struct geojson_reader *reader, const char *bytes, size_t len)
{
    reader->bytes = (const unsigned char *)bytes;
    reader->counted = 0;
    bool good = judge(reader, yajl_parse(reader->yajl, reader->bytes, len));
    reader->bytes = NULL;
    return good;
}

/* A byte order mark is passed over; the beginning of one is what it is. */
bool geojson_reader_feed(struct geojson_reader *reader, const char *bytes, size_t len)
{
    static const char mark[] = "\xEF\xBB\xBF";
    for (; len > 0 && reader->mark < MARK_BYTES && *bytes == mark[reader->mark]; bytes++, len--)
        reader->mark++;
    if (reader->dead || len == 0)
        return !reader->dead;
    size_t held = reader->mark < MARK_BYTES ? reader->mark : 0;
    reader->mark = MARK_BYTES;
    return (held == 0 || parse(reader, mark, held)) && parse(reader, bytes, len);
}

bool geojson_reader_finish(struct geojson_reader *reader)
{
    if (reader->dead || !judge(reader, yajl_complete_parse(reader->yajl)))
        return false;
    if (strcmp(reader->root_type, "FeatureCollection") != 0)
        findings_add(reader->findings, 0, false, "its type is \"%s\" (a GeoJSON FeatureCollection)", reader->root_type);
    else if (!reader->has_features || reader->feature.number == 0)
        findings_add(reader->findings, 0, false, "has no features (to take a layer away, delete it from mobeye.area)");
    else
        return true;
    return die(reader);
}
