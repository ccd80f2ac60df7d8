/* GeoJSON feature by feature: areas as EWKB, diagnostics by feature and line. */
#include <criterion/criterion.h>
#include <string.h>

#include "ctl/registry/geojson_read.h"

struct seen {
    struct buf areas; /* "FEATURE@LINE CODE NAME HEX;" each */
    struct line_diagnostics line_diagnostics;
    bool whole;
};

static void on_area(void *ctx, const struct geojson_area *area)
{
    struct seen *seen = ctx;
    buf_printf(&seen->areas, "%u@%u %.*s %.*s ", (unsigned)area->feature, (unsigned)area->line, (int)area->code.len,
               area->code.p, (int)area->name.len, area->name.p);
    for (size_t i = 0; i < area->ewkb.len; i++)
        buf_printf(&seen->areas, "%02X", (unsigned char)area->ewkb.p[i]);
    buf_printf(&seen->areas, ";");
}

static struct seen read_file(const char *file, const char *text, size_t piece)
{
    struct seen seen = {0};
    size_t len = strlen(text);
    struct geojson_reader *reader = geojson_reader_new(file, on_area, &seen, &seen.line_diagnostics);
    bool more = true;
    for (size_t at = 0; at < len && more; at += piece)
        more = geojson_reader_feed(reader, text + at, len - at < piece ? len - at : piece);
    seen.whole = geojson_reader_finish(reader);
    geojson_reader_free(&reader);
    cr_assert_null(reader);
    return seen;
}

static struct seen read_text(const char *text, size_t piece)
{
    return read_file("x.geojson", text, piece);
}

static void forget(struct seen *seen)
{
    buf_free(&seen->areas);
    line_diagnostics_free(&seen->line_diagnostics);
}

#define COLLECTION(features) "{\"type\":\"FeatureCollection\",\"features\":[" features "]}"
#define FEATURE(geometry)                                                                                              \
    "{\"type\":\"Feature\",\"properties\":{\"code\":\"C\",\"name\":\"N\"},\"geometry\":" geometry "}"
#define TRIANGLE "[[[0,0],[1,0],[0,1],[0,0]]]"

/* The same in EWKB: big-endian, a MultiPolygon with SRID 4326 of one polygon of one ring of four. */
#define ONE_POLYGON  "0020000006000010E600000001"
#define ONE_RING     "000000000300000001"
#define ZERO         "0000000000000000"
#define ONE          "3FF0000000000000"
#define TRIANGLE_HEX ONE_RING "00000004" ZERO ZERO ONE ZERO ZERO ONE ZERO ZERO

static void assert_areas(const char *text, const char *areas)
{
    for (size_t piece = 1; piece <= strlen(text); piece += 1 + piece / 8) {
        struct seen seen = read_text(text, piece);
        cr_assert(seen.whole);
        cr_assert_eq(seen.line_diagnostics.n, 0, "%s",
                     seen.line_diagnostics.n ? seen.line_diagnostics.list[0].text : "");
        cr_assert(str_is(buf_str(&seen.areas), areas), "%.*s, in pieces of %zu", (int)seen.areas.len, seen.areas.data,
                  piece);
        forget(&seen);
    }
}

/* The first diagnostic; none of the features is an area. */
static void assert_refused(const char *text, uint64_t line, const char *words, bool whole)
{
    struct seen seen = read_text(text, 5);
    cr_assert_gt(seen.line_diagnostics.n, 0, "%s", text);
    cr_assert(strstr(seen.line_diagnostics.list[0].text, words), "%s", seen.line_diagnostics.list[0].text);
    cr_assert_eq(seen.line_diagnostics.list[0].line, line, "%s: line %u", text,
                 (unsigned)seen.line_diagnostics.list[0].line);
    cr_assert_eq(seen.whole, whole, "%s", text);
    cr_assert_eq(seen.areas.len, 0);
    forget(&seen);
}

Test(geojson_read, a_polygon_is_a_multipolygon_of_one)
{
    assert_areas(COLLECTION(FEATURE("{\"type\":\"Polygon\",\"coordinates\":" TRIANGLE "}")),
                 "1@1 C N " ONE_POLYGON TRIANGLE_HEX ";");
    assert_areas(COLLECTION(FEATURE("{\"type\":\"MultiPolygon\",\"coordinates\":[" TRIANGLE "]}")),
                 "1@1 C N " ONE_POLYGON TRIANGLE_HEX ";");
}

Test(geojson_read, members_come_in_any_order_and_others_are_passed_over)
{
    assert_areas("\xEF\xBB\xBF{\"features\":[\n{\"geometry\":{\"coordinates\":" TRIANGLE
                 ",\"type\":\"Polygon\",\"x\":[[1]]},\n"
                 "\"properties\":{\"properties\":{\"code\":\"no\"},\"list\":[{\"name\":\"no\"}],\"name\":\"N\","
                 "\"code\":7,\"n\":null},"
                 "\"bbox\":[0,0,1,1]}],\"crs\":null,\"type\":\"FeatureCollection\"}",
                 "1@2 7 N " ONE_POLYGON TRIANGLE_HEX ";");
}

Test(geojson_read, features_are_numbered_and_know_their_line)
{
    assert_areas("{\"type\":\"FeatureCollection\",\n\n\"features\":[\n" FEATURE(
                     "{\"type\":\"Polygon\",\"coordinates\":" TRIANGLE
                     "}") ",\n" FEATURE("{\"type\":\"Polygon\",\"coordinates\":" TRIANGLE "}") "]}",
                 "1@4 C N " ONE_POLYGON TRIANGLE_HEX ";2@5 C N " ONE_POLYGON TRIANGLE_HEX ";");
}

Test(geojson_read, rings_are_closed_and_padded_and_altitudes_dropped)
{
    assert_areas(COLLECTION(FEATURE("{\"type\":\"Polygon\",\"coordinates\":[[[0,0,9],[1,0,9],[0,1,9]]]}")),
                 "1@1 C N " ONE_POLYGON TRIANGLE_HEX ";");
    assert_areas(COLLECTION(FEATURE("{\"type\":\"Polygon\",\"coordinates\":[[[1,1]],[]]}")),
                 "1@1 C N " ONE_POLYGON ONE_RING "00000004" ONE ONE ONE ONE ONE ONE ONE ONE ";");
}

Test(geojson_read, of_a_collection_the_polygons_count)
{
    assert_areas(COLLECTION(FEATURE(
                     "{\"type\":\"GeometryCollection\",\"geometries\":[{\"type\":\"Point\",\"coordinates\":[1,1]},"
                     "{\"type\":\"Polygon\",\"coordinates\":" TRIANGLE "},"
                     "{\"type\":\"MultiLineString\",\"coordinates\":[[[1,1],[0,0]]]}]}")),
                 "1@1 C N " ONE_POLYGON TRIANGLE_HEX ";");
}

Test(geojson_read, what_no_area_can_be_made_of_is_refused_by_name_and_the_rest_is_read)
{
    static const struct {
        const char *geometry, *words;
    } cases[] = {
        {FEATURE("null"), "feature 1 (C, N): geometry: is missing"},
        {FEATURE("{\"type\":\"Point\",\"coordinates\":[1,1]}"), "geometry: Point without a polygon"},
        {FEATURE("{\"type\":\"MultiLineString\",\"coordinates\":" TRIANGLE "}"), "MultiLineString without a polygon"},
        {FEATURE("{\"type\":\"Polygon\",\"coordinates\":[]}"), "Polygon without a polygon"},
        {FEATURE("{\"type\":\"MultiPolygon\",\"coordinates\":" TRIANGLE "}"),
         "nesting of coordinates does not match its type"},
        {FEATURE("{\"type\":\"Polygon\",\"coordinates\":[[[0,0],[1,[0]],[0,1]]]}"), "nested unevenly"},
        {FEATURE("{\"type\":\"Polygon\",\"coordinates\":[[[0,0],[1],[0,1]]]}"), "fewer than two numbers"},
        {FEATURE("{\"type\":\"Polygon\",\"coordinates\":[[[0,0],[\"1\",0],[0,1]]]}"), "coordinates contain a string"},
        {FEATURE("{\"type\":\"Polygon\",\"coordinates\":[[[0,0],[null,0],[0,1]]]}"), "a value that is not a number"},
        {FEATURE("{\"type\":\"Polygon\",\"coordinates\":[[{}]]}"), "coordinates contain an object"},
        {FEATURE("{\"coordinates\":" TRIANGLE "}"), "its type is missing"},
        {"{\"properties\":{\"name\":\"N\"},\"geometry\":{\"type\":\"Polygon\",\"coordinates\":" TRIANGLE "}}",
         "feature 1 (N): properties.code: is missing"},
        {"{\"properties\":{\"code\":{},\"name\":\"N\"},\"geometry\":{\"type\":\"Polygon\",\"coordinates\":" TRIANGLE
         "}}",
         "feature 1 (N): properties.code: is missing"},
        {"{\"properties\":{\"code\":\"C\"},\"geometry\":{\"type\":\"Polygon\",\"coordinates\":" TRIANGLE "}}",
         "feature 1 (C): properties.name: is missing"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf text = {0};
        buf_printf(&text, "{\"type\":\"FeatureCollection\",\"features\":[%s]}", cases[i].geometry);
        buf_append(&text, "", 1);
        assert_refused(text.data, 1, cases[i].words, true);
        buf_free(&text);
    }
}

Test(geojson_read, what_is_not_in_degrees_is_told_with_the_command_that_mends_it)
{
    assert_refused(COLLECTION(FEATURE("{\"type\":\"Polygon\",\"coordinates\":[[[155000,463000],[1,0],[0,1]]]}")), 1,
                   "ogr2ogr -f GeoJSON -t_srs EPSG:4326 -s_srs EPSG:28992 degrees.geojson 'x.geojson'", false);
    assert_refused(COLLECTION(FEATURE("{\"type\":\"Polygon\",\"coordinates\":[[[600000,6800000],[1,0],[0,1]]]}")), 1,
                   "-s_srs EPSG:3857", false);
    assert_refused(COLLECTION(FEATURE("{\"type\":\"Polygon\",\"coordinates\":[[[1e9,0],[1,0],[0,1]]]}")), 1,
                   "-s_srs EPSG:CODE", false);
    assert_refused("{\"type\":\"FeatureCollection\",\"crs\":{\"type\":\"name\",\"properties\":{\"name\":"
                   "\"urn:ogc:def:crs:EPSG::28992\"}},\"features\":[" FEATURE(
                       "{\"type\":\"Polygon\",\"coordinates\":[[[1e9,0],[1,0],[0,1]]]}") "]}",
                   1, "-s_srs EPSG:28992", false);
}

Test(geojson_read, the_command_that_mends_a_file_is_for_a_shell)
{
    static const struct {
        const char *file, *word;
    } cases[] = {
        {"'s-Hertogenbosch & co.geojson", " ''\\''s-Hertogenbosch & co.geojson')"},
        {"-t.geojson", " './-t.geojson')"},
        {"-", " 'FILE')"}, /* standard input */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct seen seen =
            read_file(cases[i].file,
                      COLLECTION(FEATURE("{\"type\":\"Polygon\",\"coordinates\":[[[155000,463000],[1,0],[0,1]]]}")), 5);
        cr_assert_gt(seen.line_diagnostics.n, 0);
        const char *said = seen.line_diagnostics.list[0].text;
        cr_assert_not_null(strstr(said, cases[i].word), "%s", said);
        forget(&seen);
    }
}

Test(geojson_read, what_is_no_feature_collection_is_refused)
{
    assert_refused("", 1, "not JSON", false);
    assert_refused("{\"type\":\"FeatureCollection\",\n\"features\":[\n}", 3, "not JSON", false);
    assert_refused("{\"type\":\"Feature\"}", 0, "the type is \"Feature\" (expected FeatureCollection)", false);
    assert_refused("[1]", 1, "not an object", false);
    assert_refused("{}", 0, "the type is \"\"", false);
    assert_refused(COLLECTION(""), 0, "has no features", false);
    assert_refused("{\"type\":\"FeatureCollection\"}", 0, "has no features", false);
}

Test(geojson_read, depth_is_bounded)
{
    enum { DEPTH = 100 };
    char nested[2 * DEPTH + 1];
    struct buf text = {0};
    memset(nested, '[', DEPTH);
    memset(nested + DEPTH, ']', DEPTH);
    nested[2 * DEPTH] = '\0';
    buf_printf(&text, "{\"type\":\"FeatureCollection\",\"x\":%s}%c", nested, '\0');
    assert_refused(text.data, 1, "nested too deeply (expected at most 64 levels)", false);
    text.len = 0;
    buf_printf(&text, "{\"type\":\"FeatureCollection\",\"features\":[\n{\"x\":%s}]}%c", nested, '\0');
    assert_refused(text.data, 2, "nested too deeply (expected at most 64 levels)", false);
    buf_free(&text);
}

Test(geojson_read, a_file_is_json_as_a_whole)
{
    static const char feature[] = FEATURE("{\"type\":\"Polygon\",\"coordinates\":" TRIANGLE "}");
    static const char *const cases[][2] = {{"\n", "]}"},   {",,", "]}"},   {",", ",]}"}, {",", "}}"},
                                           {",", "]}\n{"}, {",", "]}x"},   {",", ""},    {",", "]"},
                                           {",", ",{]}"},  {",", ",\"]}"}, {":", "]}"},  {",", "],}"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf text = {0};
        buf_printf(&text, "{\"type\":\"FeatureCollection\",\"features\":[%s%s%s%s%c", feature, cases[i][0], feature,
                   cases[i][1], '\0');
        struct seen seen = read_text(text.data, 7);
        cr_expect_not(seen.whole, "%s", text.data);
        cr_expect_eq(seen.line_diagnostics.n, 1, "%s", text.data);
        cr_expect_str_eq(seen.line_diagnostics.list[0].text, "not JSON");
        forget(&seen);
        buf_free(&text);
    }
    assert_refused(COLLECTION("{\"type\":\"Feature\",\n\"a\":[}}"), 2, "not JSON", false);
    assert_refused(COLLECTION("{\"x\":\n\"\xE9\"}"), 2, "not UTF-8", false);
    assert_refused(COLLECTION(FEATURE("\"\\u0000\"")), 1, "U+0000 is not allowed", false);
}

Test(geojson_read, only_features_of_the_outermost_object_are_areas)
{
    assert_areas("{\"type\":\"FeatureCollection\",\"others\":[" FEATURE("{}") "],\"features\":[" FEATURE(
                     "{\"type\":\"Polygon\",\"coordinates\":" TRIANGLE
                     "}") "],\"more\":[{\"a\":[{}]}],\"x\":{\"features\":[" FEATURE("{}") "]}}",
                 "1@1 C N " ONE_POLYGON TRIANGLE_HEX ";");
}
