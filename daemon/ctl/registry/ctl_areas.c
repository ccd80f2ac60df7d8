/* mobeyectl areas: the areas of the layers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/registry/bounds.h"
#include "ctl/registry/geojson_read.h"
#include "ctl/registry/import.h"
#include "ctl/registry/registry_verb.h"

#define VERB "areas"

enum { LAYER_MAX = 32, VINTAGE_MIN = 1900, VINTAGE_MAX = 2999 };

static const char help[] =
    "Usage: mobeyectl areas import --layer LAYER [--vintage YEAR] [OPTION]... FILE.geojson\n"
    "       mobeyectl areas list [--layer LAYER] [--vintage YEAR] [OPTION]...\n"
    "       mobeyectl areas show --layer LAYER [--vintage YEAR] [OPTION]... CODE\n"
    "       mobeyectl areas export --layer LAYER [--vintage YEAR] [OPTION]...\n"
    "       mobeyectl areas remove --layer LAYER [--vintage YEAR] [OPTION]... [CODE]\n"
    "Imports, lists, shows, exports or removes areas.\n\n"
    "import replaces the areas of a layer and vintage by those of a file, completely or not at all. The file (- for\n"
    "standard input) is GeoJSON (RFC 7946): a FeatureCollection of polygons in degrees, each with properties.code\n"
    "and properties.name, and if known properties.homes, the number of homes. Invalid geometries are repaired, with\n"
    "a warning. An area that lies entirely outside the bounds of the configuration is refused. Importing the same\n"
    "file twice changes nothing.\n"
    "list prints the layers, or the areas of one. export prints the areas of a layer that are valid now, or those\n"
    "of a vintage, as GeoJSON, which import accepts. remove removes one area, or all of a layer and vintage.\n\n"
    "      --layer LAYER      name of the layer, such as wijk, buurt, beat, hotspot: a lower-case letter, then at\n"
    "                         most 31 of a-z 0-9 _ -\n"
    "      --vintage YEAR     the areas are valid from 1 January of YEAR until the layer's next vintage (default:\n"
    "                         always)\n" BOUNDS_HELP CSV_DRY_RUN_HELP
    "      --yes              remove: do not ask for confirmation; import: nor, on a terminal, before areas that the\n"
    "                         file lacks are removed\n" CTL_COMMON_HELP "\nExample, converting from RD New first:\n"
    "  $ ogr2ogr -f GeoJSON -t_srs EPSG:4326 -s_srs EPSG:28992 \\\n"
    "      -sql \"select wijkcode as code, wijknaam as name from wijken\" wijken.geojson wijkenbuurten.gpkg\n"
    "  $ mobeyectl areas import --layer wijk --vintage 2022 wijken.geojson\n\n"
    "Requires a member of mobeye_registry or mobeye_owner.\n" CTL_EXIT_HELP;

/* What the options select: a layer, all vintages or one, all areas or one. */
struct area_choice {
    const char *layer, *vintage, *code;
};

struct area_import {
    struct import import; /* must be first: its hooks receive it */
    const struct area_choice *choice;
    struct geojson_reader *reader;
    struct buf hex;
    PGresult *removed; /* what `merge` removed: see removed_sql; later what a person agreed to remove */
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
    import_cell(&areas->import, area->homes);
    import_cell(&areas->import, (struct str){hex, 2 * area->ewkb.len});
    import_end_row(&areas->import);
}

static bool feed_geojson(void *ctx, const char *bytes, size_t len)
{
    struct area_import *areas = ctx;
    return geojson_reader_feed(areas->reader, bytes, len);
}

/* All codes that were removed, how many, and the first few as the question names them. */
static const char removed_sql[] =
    "select array_agg(code order by code collate \"C\"), count(*),"
    " array_to_string((array_agg(code order by code collate \"C\"))[:5], ', ')"
    " || case when count(*) > 5 then ' and ' || count(*) - 5 || ' more' else '' end from pg_temp.area_removed";

/* A file of another layer, or of only a part of this one, would silently remove the rest. Scripts are not asked. */
static bool removal_unconfirmed(struct import *import)
{
    struct area_import *areas = (struct area_import *)import;
    if (import->call->yes || !isatty(STDIN_FILENO))
        return false;
    PGresult *asked = areas->removed;
    areas->removed = ctl_query(import->conn, VERB, "import", removed_sql, 0, NULL);
    bool same = asked && areas->removed && strcmp(PQgetvalue(asked, 0, 0), PQgetvalue(areas->removed, 0, 0)) == 0;
    PQclear(asked);
    return !same && (!areas->removed || !PQgetisnull(areas->removed, 0, 0));
}

static bool confirm_removal(struct import *import)
{
    const struct area_import *areas = (struct area_import *)import;
    const struct area_choice *choice = areas->choice;
    if (!areas->removed)
        return false;
    unsigned long n = strtoul(PQgetvalue(areas->removed, 0, 1), NULL, 10);
    if (ctl_confirm(VERB, "The file lacks %lu area%s of layer %s%s%s: %s. Remove %s?", n, ctl_plural(n), choice->layer,
                    choice->vintage ? ", vintage " : "", choice->vintage ? choice->vintage : "",
                    PQgetvalue(areas->removed, 0, 2), n == 1 ? "it" : "them"))
        return true;
    ctl_fail(VERB, "nothing was imported");
    return false;
}

static int store_areas(struct area_import *areas, const char *bounds)
{
    char check[BOUNDS_SIZE + 192];
    const char *values[] = {areas->choice->layer, areas->choice->vintage};
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

static const char first_sql[] = "select feature, line, code, name, homes,"
                                " round((public.st_area(geom::public.geography) / 1e6)::numeric, 2) as km2,"
                                " round(public.st_x(public.st_centroid(geom))::numeric, 5) as lon,"
                                " round(public.st_y(public.st_centroid(geom))::numeric, 5) as lat"
                                "  from pg_temp.area_import order by feature limit 5";

static int import_areas(const struct ctl_call *call, const struct area_choice *choice, bool anyway, bool dry_run)
{
    char bounds[BOUNDS_SIZE + 16];
    if (bounds_expression(call, anyway, bounds) != CTL_OK)
        return CTL_FAILED;
    struct area_import areas = {.import = {.verb = VERB,
                                           .file = call->arguments[0],
                                           .call = call,
                                           .first = first_sql,
                                           .dry_run = dry_run,
                                           .unconfirmed = removal_unconfirmed,
                                           .confirm = confirm_removal},
                                .choice = choice};
    areas.reader = geojson_reader_new(areas.import.file, on_area, &areas, &areas.import.line_diagnostics);
    int status = import_open(&areas.import, "select mobeye.stage_areas()",
                             "copy pg_temp.area_import (feature, line, code, name, homes, geom) from stdin");
    if (status == CTL_OK)
        status = store_areas(&areas, bounds);
    geojson_reader_free(&areas.reader);
    buf_free(&areas.hex);
    PQclear(areas.removed);
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

#define CHOSEN                                                                                                         \
    " ($1::text is null or layer = $1) and ($2::int is null or vintage = $2) and ($3::text is null or code = $3)"

/* Validity begins and ends at midnight in the Netherlands, whatever the time zone of the session. */
static const char layers_sql[] =
    "select layer, vintage, count(*) as areas,"
    " to_char(min(lower(valid)) at time zone 'Europe/Amsterdam', 'YYYY-MM-DD') as valid_from,"
    " to_char(max(upper(valid)) at time zone 'Europe/Amsterdam', 'YYYY-MM-DD') as valid_until,"
    " bool_or(valid @> now()) as now from mobeye.area where" CHOSEN " group by 1, 2 order by 1, 2 nulls first";

static const char areas_sql[] = "select layer, code, name, vintage, valid @> now() as now,"
                                " round((public.st_area(geom::public.geography) / 1e6)::numeric, 2) as km2"
                                " from mobeye.area where" CHOSEN " order by layer, code, vintage";

static const struct registry_section sections[] = {
    {"areas", true, areas_sql},
    /* Teams have areas of all vintages, but each query must mention each parameter. */
    {"teams", true,
     "select distinct team from mobeye.team_area where layer = $1 and code = $3 and ($2::int is null or true) order by "
     "1"},
    {"placements", true,
     "select device_id, address, team from mobeye.placement where during @> now() and exists (select from mobeye.area a"
     " where" CHOSEN " and a.valid @> now() and public.st_covers(a.geom, placement.geom)) order by 1"},
    {0}};

/* Without a vintage: what is valid now; if a code is valid both always and in a vintage, that vintage, as when areas
 * are looked up. All decimals, so that an import changes nothing. */
static const char export_sql[] = "select distinct on (code) jsonb_build_object('type', 'Feature', 'properties', "
                                 "jsonb_strip_nulls(jsonb_build_object('code', code, 'name', name, 'homes', homes)),"
                                 " 'geometry', public.st_asgeojson(geom, 17)::jsonb)::text from mobeye.area"
                                 " where" CHOSEN " and ($2::int is not null or valid @> now())"
                                 " order by code, vintage desc nulls last";

static int list_areas(const struct ctl_call *call, const struct area_choice *choice)
{
    const char *values[] = {choice->layer, choice->vintage, choice->code};
    const struct registry_query query = {choice->layer ? areas_sql : layers_sql, 3, values};
    return registry_list(VERB, call, &query);
}

static int export_areas(PGconn *conn, const struct area_choice *choice)
{
    const char *values[] = {choice->layer, choice->vintage, choice->code};
    PGresult *rows = ctl_query(conn, VERB, "export", export_sql, 3, values);
    if (rows)
        puts("{\"type\": \"FeatureCollection\", \"features\": [");
    for (int row = 0; row < PQntuples(rows); row++)
        printf("%s%s\n", PQgetvalue(rows, row, 0), row + 1 < PQntuples(rows) ? "," : "");
    if (rows)
        puts("]}");
    int status = rows ? CTL_OK : CTL_FAILED;
    PQclear(rows);
    return status;
}

static int remove_areas(PGconn *conn, const struct ctl_call *call, const struct area_choice *choice)
{
    const char *values[] = {choice->layer, choice->vintage, choice->code};
    const struct registry_query query = {"with removed as (delete from mobeye.area where" CHOSEN
                                         " returning 1) select count(*) as removed from removed",
                                         3, values};
    if (!call->yes && !ctl_confirm(VERB, "Remove %s%s of layer %s%s%s?", choice->code ? "area " : "all areas",
                                   choice->code ? choice->code : "", choice->layer, choice->vintage ? ", vintage " : "",
                                   choice->vintage ? choice->vintage : ""))
        return CTL_FAILED;
    return registry_print(VERB, conn, call->json, "remove", &query);
}

static bool choice_exists(PGconn *conn, const struct area_choice *choice)
{
    const char *values[] = {choice->layer, choice->vintage, choice->code};
    if (!registry_exists(VERB, conn, "layer", choice->layer, "select from mobeye.area where layer = $1",
                         "select distinct layer from mobeye.area order by 1"))
        return false;
    PGresult *rows = ctl_query(conn, VERB, "areas", "select from mobeye.area where" CHOSEN " limit 1", 3, values);
    bool exist = PQntuples(rows) > 0;
    if (rows && !exist && choice->code)
        registry_missing(VERB, conn, "area", choice->code, "does not exist",
                         "select distinct code from mobeye.area order by 1");
    else if (rows && !exist)
        ctl_fail(VERB, "layer %s has no vintage %s (mobeyectl areas list)", choice->layer, choice->vintage);
    PQclear(rows);
    return exist;
}

enum { IMPORT, LIST, SHOW, EXPORT, REMOVE };

static int run_on_choice(const struct ctl_call *call, const struct area_choice *choice)
{
    const char *values[] = {choice->layer, choice->vintage, choice->code};
    PGconn *conn = ctl_connect(VERB, call->file, call->db);
    int status = CTL_FAILED;
    if (conn && choice_exists(conn, choice))
        status = call->action == SHOW     ? registry_show(VERB, conn, call->json, sections, 3, values)
                 : call->action == EXPORT ? export_areas(conn, choice)
                                          : remove_areas(conn, call, choice);
    PQfinish(conn);
    return status;
}

static const struct ctl_verb actions[] = {
    [IMPORT] = {"import", .takes = "layer vintage anyway dry-run yes config db json", .argument = "FILE.geojson",
                .least = 1, .most = 1},
    [LIST] = {"list", .takes = "layer vintage config db json"},
    [SHOW] = {"show", .takes = "layer vintage config db json", .argument = "CODE", .least = 1, .most = 1},
    [EXPORT] = {"export", .takes = "layer vintage config db"},
    [REMOVE] = {"remove", .takes = "layer vintage yes config db json", .argument = "CODE", .most = 1},
    {0}};
static const struct ctl_verb verb = {VERB, .help = help, .actions = actions};

int ctl_areas(int argc, char **argv)
{
    struct area_choice choice = {0};
    bool anyway = false, dry_run = false;
    const struct ctl_option options[] = {{"layer", .text = &choice.layer},
                                         {"vintage", .text = &choice.vintage},
                                         {"anyway", .flag = &anyway},
                                         {"dry-run", .flag = &dry_run},
                                         {0}};
    struct ctl_call call;
    int status = ctl_parse(argc, argv, &verb, options, &call);
    if (status != CTL_GO)
        return status;
    if (!choice.layer && call.action != LIST)
        return ctl_usage(VERB, "missing option --layer LAYER");
    if (choice.layer && !is_layer(choice.layer))
        return ctl_usage(VERB,
                         "--layer %s: not a layer name (expected a lower-case letter, then at most 31 of a-z 0-9 _ -)",
                         choice.layer);
    if (choice.vintage && !is_vintage(choice.vintage))
        return ctl_usage(VERB, "--vintage %s: not a year (expected %d to %d)", choice.vintage, VINTAGE_MIN,
                         VINTAGE_MAX);
    choice.code = call.action == IMPORT ? NULL : call.arguments[0];
    if (call.action == IMPORT)
        return import_areas(&call, &choice, anyway, dry_run);
    return call.action == LIST ? list_areas(&call, &choice) : run_on_choice(&call, &choice);
}
