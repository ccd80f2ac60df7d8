/* mobeyectl device: places, retrieves and shows one device. */
#include <stdio.h>

#include "base/clock.h"
#include "ctl/lib/ctl.h"
#include "ctl/lib/options.h"
#include "ctl/registry/bounds.h"
#include "ctl/registry/cell_read.h"
#include "ctl/registry/local_zone.h"

#define VERB "device"

static const char help[] =
    "Usage: mobeyectl device place DEVICE --at LON,LAT [OPTION]...\n"
    "       mobeyectl device retrieve DEVICE [--at TIME] [OPTION]...\n"
    "       mobeyectl device show DEVICE [OPTION]...\n"
    "Places, retrieves or shows one device.\n\n"
    "place records where a device stands from now on, or during a period, and ends its open placement. It prints the\n"
    "wijk and the RD New coordinates of the place. retrieve ends the current placement. show prints everything that\n"
    "is registered about a device, and its last message.\n\n"
    "      --at LON,LAT       place: position in degrees (WGS84), such as 5.38421,52.19634; or in RD New, such as\n"
    "                         \"155990.61 464256.19\"\n"
    "      --at TIME          retrieve: end of the placement (default: now)\n"
    "      --from TIME        place: start, RFC 3339, such as 2026-11-23T21:00:00+01:00, or local time, such as\n"
    "                         \"23-11-2026 21:00\" (default: now)\n"
    "      --until TIME       place: end, excluded (default: until further notice)\n"
    "      --address TEXT     place: its address\n"
    "      --team TEAM        place: the team of the placement; overrides the team of the area\n"
    "      --secret           place: show the place to its team only\n"
    "      --instructions TEXT\n"
    "                         place: what a patrol should know before going there\n"
    "      --anyway           place: accept a place outside the bounds of the configuration\n" CTL_COMMON_HELP
    "\nExample:\n"
    "  $ mobeyectl device place NL-0307-00042 --at 5.38421,52.19634 --address \"Kerkstraat 1\"\n\n"
    "place and retrieve require a member of mobeye_registry or mobeye_owner.\n" CTL_EXIT_HELP;

struct device_request {
    struct ctl_call call;
    PGconn *conn;
    const char *device;
    const char *at, *from, *until, *address, *team, *instructions;
    bool secret, anyway;
};

/* A warning of the server, such as that a team does not exist. */
static void on_notice(void *ctx, const PGresult *notice)
{
    const char *text = PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY);
    (void)ctx;
    ctl_fail(VERB, "warning: %s", text ? text : "");
}

/* Calls an SQL function and prints the row that it returns. */
static int call_function(const struct device_request *request, const char *what, const char *sql, int n,
                         const char *const *values)
{
    PGresult *row = ctl_query(request->conn, VERB, what, sql, n, values);
    int status = row ? CTL_OK : CTL_FAILED;
    if (row)
        ctl_print_rows(row, request->call.json);
    PQclear(row);
    return status;
}

/* CTL_OK if the option is not given (ret_text is then NULL) or is a valid time. What was assumed is printed. */
static int parse_time(const struct device_request *request, const char *option, const char *text,
                      char formatted[CLOCK_RFC3339_SIZE], const char **ret_text)
{
    struct err err;
    struct buf assumed = {0};
    int64_t us;
    *ret_text = NULL;
    if (!text)
        return CTL_OK;
    if (local_zone_set(VERB, &request->call, request->conn) != CTL_OK)
        return CTL_FAILED;
    if (cell_time(str_from(text), &us, &assumed, &err) < 0)
        return ctl_usage(VERB, "%s: %s", option, err.text);
    if (assumed.len > 0)
        fprintf(stderr, "mobeyectl " VERB ": note: %s: %.*s\n", option, (int)assumed.len, assumed.data);
    buf_free(&assumed);
    *ret_text = clock_format_rfc3339(us, 6, formatted);
    return CTL_OK;
}

/* Refuses a place outside the bounds. The database decides, as for the imports. */
static int check_place(const struct device_request *request, const char *lon, const char *lat)
{
    char bounds[BOUNDS_SIZE];
    if (bounds_read(&request->call, request->anyway, bounds) != CTL_OK)
        return CTL_FAILED;
    const char *values[] = {lon, lat, bounds[0] ? bounds : NULL};
    PGresult *why =
        ctl_query(request->conn, VERB, "place",
                  "select mobeye.implausible(public.st_setsrid(public.st_makepoint($1::float8, $2::float8), "
                  "4326), $3::float8[])",
                  3, values);
    int status = why ? CTL_OK : CTL_FAILED;
    if (why && !PQgetisnull(why, 0, 0))
        status = ctl_fail(VERB, "--at: %s", PQgetvalue(why, 0, 0));
    PQclear(why);
    return status;
}

struct position {
    char lon[32], lat[32];
};

/* Converts RD New to degrees, as PostGIS does for imports. */
static int convert_rd(const struct device_request *request, double x, double y, struct position *ret)
{
    char x_text[32], y_text[32];
    snprintf(x_text, sizeof(x_text), "%.17g", x);
    snprintf(y_text, sizeof(y_text), "%.17g", y);
    const char *values[] = {x_text, y_text};
    PGresult *row = ctl_query(request->conn, VERB, "--at",
                              "select public.st_x(g), public.st_y(g) from public.st_transform(public.st_setsrid("
                              "public.st_makepoint($1::float8, $2::float8), 28992), 4326) as g",
                              2, values);
    if (!row)
        return CTL_FAILED;
    snprintf(ret->lon, sizeof(ret->lon), "%s", PQgetvalue(row, 0, 0));
    snprintf(ret->lat, sizeof(ret->lat), "%s", PQgetvalue(row, 0, 1));
    PQclear(row);
    return CTL_OK;
}

static int find_position(const struct device_request *request, struct position *ret)
{
    struct err err;
    double x, y;
    bool rd;
    if (!request->at)
        return ctl_usage(VERB, "missing option --at LON,LAT");
    if (cell_position(str_from(request->at), &x, &y, &rd, &err) < 0)
        return ctl_usage(VERB, "--at: %s", err.text);
    if (rd)
        return convert_rd(request, x, y, ret);
    snprintf(ret->lon, sizeof(ret->lon), "%.17g", x);
    snprintf(ret->lat, sizeof(ret->lat), "%.17g", y);
    return CTL_OK;
}

static int place_device(const struct device_request *request)
{
    struct position at;
    char from_text[CLOCK_RFC3339_SIZE], until_text[CLOCK_RFC3339_SIZE];
    const char *from, *until;
    int status = find_position(request, &at);
    if (status == CTL_OK)
        status = parse_time(request, "--from", request->from, from_text, &from);
    if (status == CTL_OK)
        status = parse_time(request, "--until", request->until, until_text, &until);
    if (status == CTL_OK)
        status = check_place(request, at.lon, at.lat);
    if (status != CTL_OK)
        return status;
    const char *values[] = {
        request->device,      at.lon, at.lat, from, until, request->address, request->team, request->secret ? "t" : "f",
        request->instructions};
    return call_function(
        request, "place",
        "select p.placement_id, $1 as device_id, w.*"
        "  from mobeye.device_place($1, $2, $3, coalesce($4::timestamptz, now()), $5, $6, $7, $8, $9) as "
        "p(placement_id), mobeye.whereabouts(public.st_setsrid(public.st_makepoint($2, $3), 4326), "
        "coalesce($4::timestamptz, now())) as w",
        9, values);
}

static int retrieve_device(const struct device_request *request)
{
    char at_text[CLOCK_RFC3339_SIZE];
    const char *at;
    int status = parse_time(request, "--at", request->at, at_text, &at);
    if (status != CTL_OK)
        return status;
    const char *values[] = {request->device, at};
    return call_function(
        request, "retrieve",
        "select mobeye.device_retrieve($1, coalesce($2::timestamptz, now())) as placement_id, $1 as device_id", 2,
        values);
}

/* The sections that show prints about device $1. */
static const struct section {
    const char *name;
    bool many;
    const char *sql;
} sections[] = {
    {"device", false,
     "select device_id, model, device_group as \"group\", state, heartbeat::text, grace::text, " CTL_UTC(
         "registered_at") ", note from mobeye.device where device_id = $1"},
    {"addresses", true,
     "select account, input from mobeye.device_address where device_id = $1 order by account, input nulls first"},
    {"inputs", true, "select input, label from mobeye.device_input where device_id = $1 order by input"},
    {"placements", true,
     "select placement_id, placed_from, placed_until, lon, lat, address, team, secret, instructions from (select *,"
     " public.st_x(geom) as lon, public.st_y(geom) as lat,"
     " to_char(lower(during) at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') as placed_from,"
     " to_char(upper(during) at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') as placed_until"
     " from mobeye.placement where device_id = $1) p order by during"},
    {"status", false,
     "select " CTL_UTC("last_received_at") ", " CTL_UTC(
         "last_occurred_at") ", endpoint, source, kind, battery_pct,"
                             " signal_dbm, " CTL_UTC(
                                 "silent_since") ", alerts from mobeye.device_status where device_id = $1"},
};

#define N_SECTIONS (sizeof(sections) / sizeof(sections[0]))

static int show_tables(const struct device_request *request)
{
    const char *values[] = {request->device};
    for (size_t i = 0; i < N_SECTIONS; i++) {
        PGresult *rows = ctl_query(request->conn, VERB, sections[i].name, sections[i].sql, 1, values);
        if (!rows)
            return CTL_FAILED;
        if (PQntuples(rows) > 0) {
            printf("%s%s:\n", i ? "\n" : "", sections[i].name);
            ctl_print_rows(rows, false);
        }
        PQclear(rows);
    }
    return CTL_OK;
}

static int show_json(const struct device_request *request)
{
    struct buf sql = {0};
    const char *values[] = {request->device};
    buf_printf(&sql, "select jsonb_pretty(jsonb_build_object(");
    for (size_t i = 0; i < N_SECTIONS; i++)
        buf_printf(&sql, "%s'%s', (select %s from (%s) x)", i ? ", " : "", sections[i].name,
                   sections[i].many ? "coalesce(jsonb_agg(to_jsonb(x)), '[]')" : "to_jsonb(x)", sections[i].sql);
    buf_append(&sql, "))", sizeof("))"));
    PGresult *row = ctl_query(request->conn, VERB, "show", sql.data, 1, values);
    if (row)
        puts(PQgetvalue(row, 0, 0));
    int status = row ? CTL_OK : CTL_FAILED;
    PQclear(row);
    buf_free(&sql);
    return status;
}

static int show_device(const struct device_request *request)
{
    const char *values[] = {request->device};
    PGresult *known =
        ctl_query(request->conn, VERB, "show", "select from mobeye.device where device_id = $1", 1, values);
    int n = known ? PQntuples(known) : -1;
    PQclear(known);
    if (n < 0)
        return CTL_FAILED;
    if (n == 0)
        return ctl_fail(VERB,
                        "device \"%s\" is not registered ('mobeyectl devices unknown' lists unregistered senders)",
                        request->device);
    return request->call.json ? show_json(request) : show_tables(request);
}

enum { PLACE, RETRIEVE, SHOW };

static const struct ctl_verb actions[] = {
    [PLACE] = {"place", .takes = "at from until address team secret instructions anyway config db json",
               .argument = "DEVICE", .least = 1, .most = 1},
    [RETRIEVE] = {"retrieve", .takes = "at config db json", .argument = "DEVICE", .least = 1, .most = 1},
    [SHOW] = {"show", .takes = "config db json", .argument = "DEVICE", .least = 1, .most = 1},
    {0}};
static const struct ctl_verb verb = {VERB, .help = help, .actions = actions};
static int (*const runs[])(const struct device_request *request) = {
    [PLACE] = place_device, [RETRIEVE] = retrieve_device, [SHOW] = show_device};

int ctl_device(int argc, char **argv)
{
    struct device_request request = {0};
    const struct ctl_option options[] = {{"at", .text = &request.at},
                                         {"from", .text = &request.from},
                                         {"until", .text = &request.until},
                                         {"address", .text = &request.address},
                                         {"team", .text = &request.team},
                                         {"secret", .flag = &request.secret},
                                         {"instructions", .text = &request.instructions},
                                         {"anyway", .flag = &request.anyway},
                                         {0}};
    int status = ctl_parse(argc, argv, &verb, options, &request.call);
    if (status != CTL_GO)
        return status;
    request.device = request.call.arguments[0];
    request.conn = ctl_connect(VERB, request.call.file, request.call.db);
    if (!request.conn)
        return CTL_FAILED;
    PQsetNoticeReceiver(request.conn, on_notice, NULL);
    status = runs[request.call.action](&request);
    PQfinish(request.conn);
    return status;
}
