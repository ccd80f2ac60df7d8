#include "ctl/registry/geojson_feature.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistr.h>

#include "base/array.h"
#include "ctl/lib/cell_read.h"

enum { CODE_MAX = 64, HOMES_MAX = 999999999 };

/* Coordinate systems, recognised by their range of coordinates in the Netherlands. */
static const struct grid {
    double x_min, x_max, y_min, y_max;
    const char *name;
} grids[] = {
    {-10000, 310000, 280000, 640000, "EPSG:28992"},    /* RD New */
    {300000, 900000, 6400000, 7200000, "EPSG:3857"},   /* web mercator */
    {400000, 900000, 5500000, 6000000, "EPSG:25831"},  /* UTM zone 31 */
    {3800000, 4200000, 2900000, 3500000, "EPSG:3035"}, /* LAEA Europe */
};

void geojson_feature_begin(struct geojson_feature *feature, uint64_t line)
{
    feature->number++;
    feature->line = line;
    feature->code.len = 0;
    feature->name.len = 0;
    feature->homes.len = 0;
    feature->geometry_type[0] = '\0';
    feature->bad_geometry[0] = '\0';
    shape_back(&feature->shape, (struct shape_mark){0});
}

void geojson_feature_bad_geometry(struct geojson_feature *feature, const char *what)
{
    if (!feature->bad_geometry[0])
        snprintf(feature->bad_geometry, sizeof(feature->bad_geometry), "%s", what);
}

/* Adds "feature 3 (CODE, NAME): what", as far as code and name have been read. */
static void add_error(const struct geojson_feature *feature, struct line_diagnostics *line_diagnostics,
                      const char *what)
{
    struct buf who = {0};
    buf_append_str(&who, buf_str(&feature->code));
    if (who.len > 0 && feature->name.len > 0)
        buf_append_str(&who, STR(", "));
    buf_append_str(&who, buf_str(&feature->name));
    line_diagnostics_add(line_diagnostics, feature->line, false, "feature %llu%s%.*s%s: %s",
                         (unsigned long long)feature->number, who.len ? " (" : "", (int)who.len,
                         who.len ? who.data : "", who.len ? ")" : "", what);
    buf_free(&who);
}

/* NULL: not recognised. */
static const char *guess_grid(double x, double y, const char *crs)
{
    if (strstr(crs, "28992"))
        return "EPSG:28992";
    for (size_t i = 0; i < ARRAY_LEN(grids); i++)
        if (x >= grids[i].x_min && x <= grids[i].x_max && y >= grids[i].y_min && y <= grids[i].y_max)
            return grids[i].name;
    return NULL;
}

/* As one word of a command for a shell, which is no option. */
static void append_word(struct buf *out, const char *file)
{
    buf_printf(out, "'%s", *file == '-' ? "./" : "");
    for (const char *p = file; *p; p++)
        buf_append_str(out, *p == '\'' ? STR("'\\''") : (struct str){p, 1});
    buf_printf(out, "'");
}

void geojson_feature_not_degrees(const struct geojson_feature *feature, double x, double y, const char *crs,
                                 const char *file, struct line_diagnostics *line_diagnostics)
{
    struct buf what = {0};
    const char *grid = guess_grid(x, y, crs);
    buf_printf(
        &what,
        "geometry: the coordinates, such as %.10g %.10g, are not degrees (expected longitude and latitude; convert the "
        "file%s: ogr2ogr -f GeoJSON -t_srs EPSG:4326 -s_srs %s degrees.geojson ",
        x, y, grid ? "" : ", using its EPSG code", grid ? grid : "EPSG:CODE");
    append_word(&what, strcmp(file, "-") == 0 ? "FILE" : file);
    buf_printf(&what, ")");
    add_error(feature, line_diagnostics, what.data);
    buf_free(&what);
}

static const char *bad_text(struct str text, size_t max)
{
    if (text.len == 0)
        return "is missing";
    return max && u8_mbsnlen((const uint8_t *)text.p, text.len) > max ? "is too long" : NULL;
}

/* Leaves only digits, or nothing if the number is not known, which statistics offices write as 0 or less. false: it is
 * not a whole number. */
static bool read_homes(struct geojson_feature *feature, struct line_diagnostics *line_diagnostics)
{
    static const char topic[] = "homes";
    char text[32] = "", *end = text;
    struct str homes = buf_str(&feature->homes);
    if (homes.len == 0)
        return true;
    if (homes.len >= sizeof(text) || !cell_has_only(homes, "0123456789+-.eE"))
        return false;
    memcpy(text, homes.p, homes.len);
    double value = strtod(text, &end);
    if (end == text || *end || value != trunc(value) || value > HOMES_MAX)
        return false;
    feature->homes.len = 0;
    if (value > 0)
        buf_printf(&feature->homes, "%.0f", value);
    else
        line_diagnostics_assume(line_diagnostics, feature->line, topic, "properties.homes: %s read as not known", text);
    return true;
}

static bool check_texts(struct geojson_feature *feature, struct line_diagnostics *line_diagnostics)
{
    char what[160];
    const char *bad_code = bad_text(buf_str(&feature->code), CODE_MAX),
               *bad_name = bad_text(buf_str(&feature->name), 0);
    if (bad_code) {
        feature->code.len = 0;
        snprintf(what, sizeof(what), "properties.code: %s (expected a string of 1 to %d characters)", bad_code,
                 CODE_MAX);
        add_error(feature, line_diagnostics, what);
    }
    if (bad_name) {
        snprintf(what, sizeof(what), "properties.name: %s (expected a string)", bad_name);
        add_error(feature, line_diagnostics, what);
    }
    bool bad_homes = !read_homes(feature, line_diagnostics);
    if (bad_homes)
        add_error(feature, line_diagnostics,
                  "properties.homes: is not a number of homes (expected 1 to 999999999, or 0 or below if not known)");
    return !bad_code && !bad_name && !bad_homes;
}

static bool check_geometry(struct geojson_feature *feature, struct line_diagnostics *line_diagnostics)
{
    char what[320];
    if (feature->bad_geometry[0])
        snprintf(what, sizeof(what), "geometry: %s (expected a Polygon or MultiPolygon)", feature->bad_geometry);
    else if (!feature->geometry_type[0])
        snprintf(what, sizeof(what), "geometry: is missing (expected a Polygon or MultiPolygon)");
    else if (feature->shape.n_polygons == 0)
        snprintf(what, sizeof(what), "geometry: %s without a polygon (expected a Polygon or MultiPolygon)",
                 feature->geometry_type);
    else
        return true;
    add_error(feature, line_diagnostics, what);
    return false;
}

bool geojson_feature_check(struct geojson_feature *feature, struct line_diagnostics *line_diagnostics)
{
    bool texts = check_texts(feature, line_diagnostics);
    return check_geometry(feature, line_diagnostics) && texts;
}

void geojson_feature_free(struct geojson_feature *feature)
{
    buf_free(&feature->code);
    buf_free(&feature->name);
    buf_free(&feature->homes);
    shape_free(&feature->shape);
}
