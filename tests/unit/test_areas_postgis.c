/*
 * Areas as found by GEOS compared with ST_Covers of PostGIS: the districts of Amersfoort if available, and polygons
 * with everything that polygons may have. Needs a PostgreSQL (writer_rig.h).
 */
#include "enrich/areas.h"
#include "store/registry_rows.h"
#include "writer_rig.h"

#define POINTS 20000
/* Beside a checkout, and not part of it. */
#define DISTRICTS MOBEYE_SOURCE "/../shared/data/amersfoort-wijken-2014.geojson"

struct points {
    struct buf lon, lat; /* arrays as PostgreSQL reads them */
    double at[2 * POINTS][2];
    size_t n;
};

static struct rig rig;
static struct area_rows *rows;
static struct area_set *set;
static struct area_memo *memo;
static struct batch *batch;
static struct points points;

static void setup(void)
{
    rig_open(&rig);
}

static void teardown(void)
{
    rig_close(&rig);
}

TestSuite(areas_postgis, .init = setup, .fini = teardown, .timeout = 300);

static void load(void)
{
    struct err err;
    struct registry *registry = registry_new();
    rows = area_rows_new();
    cr_assert_eq(registry_read(rig.admin, registry, rows, &err), 0, "%s", err.text);
    set = area_set_build(rows);
    memo = area_memo_new();
    batch = batch_new(1);
    registry_free(&registry);
}

static void unload(void)
{
    area_rows_free(&rows);
    area_set_free(&set);
    area_memo_free(&memo);
    batch_free(&batch);
    buf_free(&points.lon);
    buf_free(&points.lat);
}

static void add_point(double lon, double lat)
{
    points.at[points.n][0] = lon;
    points.at[points.n][1] = lat;
    buf_printf(&points.lon, "%s%.17g", points.n ? "," : "{", lon);
    buf_printf(&points.lat, "%s%.17g", points.n ? "," : "{", lat);
    points.n++;
}

/* Within the box around all areas and a little more. */
static void draw_points(void)
{
    PGresult *box = PQexec(rig.admin, "select st_xmin(b), st_ymin(b), st_xmax(b), st_ymax(b) from"
                                      " (select st_expand(st_extent(geom), 0.01) as b from mobeye.area) e");
    double edge[4];
    for (int i = 0; i < 4; i++)
        edge[i] = strtod(PQgetvalue(box, 0, i), NULL);
    PQclear(box);
    srand(20181123);
    for (int i = 0; i < POINTS; i++) {
        double x = rand() / (double)RAND_MAX, y = rand() / (double)RAND_MAX;
        add_point(edge[0] + x * (edge[2] - edge[0]), edge[1] + y * (edge[3] - edge[1]));
    }
}

/* Corners are on the borders of all areas that meet there. */
static void add_corners(void)
{
    PGresult *corners = PQexec(rig.admin, "select distinct st_x(d.geom), st_y(d.geom) from mobeye.area a,"
                                          " st_dumppoints(a.geom) d limit 20000");
    cr_assert_gt(PQntuples(corners), 0);
    for (int i = 0; i < PQntuples(corners); i++)
        add_point(strtod(PQgetvalue(corners, i, 0), NULL), strtod(PQgetvalue(corners, i, 1), NULL));
    PQclear(corners);
}

static const char *code_of(const struct alert_areas *areas)
{
    static char code[80];
    code[0] = '\0';
    if (areas->n > 0)
        snprintf(code, sizeof(code), "%.*s", (int)areas->area[0].code.len, areas->area[0].code.p);
    return code;
}

/* All areas are of one layer and vintage: PostGIS says which of them cover the point, and the lowest code is taken. */
static void compare(size_t least_inside)
{
    buf_append(&points.lon, "}", 2);
    buf_append(&points.lat, "}", 2);
    const char *values[] = {points.lon.data, points.lat.data};
    PGresult *judged = PQexecParams(rig.admin,
                                    "select coalesce((select min(a.code collate \"C\") from mobeye.area a where"
                                    " st_covers(a.geom, st_setsrid(st_makepoint(p.lon, p.lat), 4326))), '')"
                                    " from unnest($1::float8[], $2::float8[]) with ordinality as p (lon, lat, n)"
                                    " order by p.n",
                                    2, NULL, values, NULL, NULL, 0);
    cr_assert_eq(PQresultStatus(judged), PGRES_TUPLES_OK, "%s", PQerrorMessage(rig.admin));
    cr_assert_eq((size_t)PQntuples(judged), points.n);
    size_t inside = 0, differ = 0;
    for (size_t i = 0; i < points.n; i++) {
        const char *expected = PQgetvalue(judged, (int)i, 0);
        const char *found = code_of(areas_find(set, memo, batch, points.at[i][0], points.at[i][1], RIG_TIME_US));
        inside += *expected != '\0';
        differ += strcmp(found, expected) != 0;
        cr_expect(strcmp(found, expected) == 0 || differ > 10, "%.17g %.17g: \"%s\", PostGIS says \"%s\"",
                  points.at[i][0], points.at[i][1], found, expected);
    }
    cr_expect_eq(differ, 0, "%zu of %zu points", differ, points.n);
    cr_expect_geq(inside, least_inside);
    cr_expect_geq(points.n - inside, 100);
    PQclear(judged);
}

static char *read_districts(void)
{
    FILE *file = fopen(DISTRICTS, "r");
    if (!file)
        cr_skip_test("%s is missing", DISTRICTS);
    struct buf text = {0};
    while (!feof(file))
        text.len += fread(buf_reserve(&text, 65536), 1, 65535, file);
    fclose(file);
    buf_append(&text, "", 1);
    return text.data;
}

Test(areas_postgis, the_districts_of_amersfoort_are_found_as_postgis_finds_them)
{
    char *text = read_districts();
    const char *values[] = {text};
    PGresult *result = PQexecParams(rig.admin,
                                    "insert into mobeye.area (layer, code, name, vintage, geom) select 'wijk',"
                                    " f->'properties'->>'code', f->'properties'->>'name', 2014,"
                                    " st_multi(st_setsrid(st_geomfromgeojson(f->'geometry'), 4326))"
                                    " from jsonb_array_elements($1::jsonb->'features') f",
                                    1, NULL, values, NULL, NULL, 0);
    cr_assert_eq(PQresultStatus(result), PGRES_COMMAND_OK, "%s", PQerrorMessage(rig.admin));
    PQclear(result);
    free(text);
    load();
    cr_expect_eq(area_set_n_left_out(set), 0);
    /* A point that is known to be in Liendert. */
    cr_expect_str_eq(code_of(areas_find(set, memo, batch, 5.40168265, 52.16646193, RIG_TIME_US)), "WK030710");
    draw_points();
    add_corners();
    compare(5000);
    unload();
}

Test(areas_postgis, holes_parts_and_shared_borders_are_found_as_postgis_finds_them)
{
    rig_sql(&rig, "insert into mobeye.area (layer, code, name, geom)"
                  " select 'wijk', code, code, st_multi(st_geomfromtext(wkt, 4326)) from (values"
                  " ('C', 'POLYGON((5 52,5.25 52,5.25 52.25,5 52.25,5 52),(5.0625 52.0625,5.125 52.0625,5.125 52.125,"
                  "5.0625 52.125,5.0625 52.0625))'),"
                  " ('B', 'MULTIPOLYGON(((5.25 52,5.5 52,5.5 52.25,5.25 52.25,5.25 52)),"
                  "((5.0625 52.0625,5.09375 52.0625,5.09375 52.125,5.0625 52.125,5.0625 52.0625)))'),"
                  " ('A', 'POLYGON((5 52.25,5.5 52.25,5.25 52.5,5 52.25))'),"
                  " ('AA', 'POLYGON((5.3 52.05,5.6 52.05,5.35 52.1,5.6 52.2,5.3 52.2,5.3 52.05))')) as a (code, wkt)");
    load();
    draw_points();
    add_corners();
    /* On shared borders, at places that are exact in binary. */
    for (int i = 0; i <= 16; i++) {
        add_point(5.25, 52 + i / 64.0);
        add_point(5 + i / 32.0, 52.25);
        add_point(5.0625 + i / 256.0, 52.0625);
    }
    compare(5000);
    unload();
}
