/* mobeyectl devices: imports the registry of devices; lists unregistered senders. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "ctl/registry/bounds.h"
#include "ctl/registry/device_csv.h"
#include "ctl/registry/import.h"
#include "ctl/registry/near_device.h"

#define VERB "devices"

static const char help[] =
    "Usage: mobeyectl devices import [OPTION]... FILE.csv\n"
    "       mobeyectl devices unknown [OPTION]...\n"
    "Imports devices and their placements, or lists unregistered senders.\n\n"
    "import reads a CSV file (- for standard input), completely or not at all; every error is printed with its line.\n"
    "The header names the columns, of which only device_id is required:\n"
    "  device_id,model,group,account,input,heartbeat,grace,placed_from,placed_until,address,lon,lat,rd_x,rd_y,\n"
    "  team,secret,instructions\n"
    "A row is one placement, or a device without one; several rows of a device must agree about the device. The place\n"
    "is lon and lat in degrees or rd_x and rd_y in RD New. The placement starts at placed_from (empty: now, or when\n"
    "the device came to that place) and ends before placed_until (empty: until further notice); both are RFC 3339,\n"
    "such as 2026-11-23T21:00:00+01:00, or local time, such as 23-11-2026 21:00, in the time zone of the "
    "configuration\n"
    "(with --db alone: of the database). heartbeat and grace are durations such as 26h or 7d; secret is yes or no.\n"
    "Columns in the file replace the stored values, also with empty cells; columns that are missing change nothing. A\n"
    "later placement ends one without an end. Importing the same file twice changes nothing. The wijk and the RD New\n"
    "coordinates of each place are printed; a place outside the bounds of the configuration is refused.\n" CSV_HELP "\n"
    "unknown lists senders that have reported but are not registered; the column near names a registered device with\n"
    "a similar account or id.\n\n" BOUNDS_HELP CSV_DRY_RUN_HELP CTL_COMMON_HELP "\nExample:\n"
    "  $ mobeyectl devices import devices.csv\n\n"
    "Requires a member of mobeye_registry or mobeye_owner.\n" CTL_EXIT_HELP;

struct device_import {
    struct import import;
    struct buf text;
};

static const char copy[] =
    "copy pg_temp.device_import (line, device_id, model, \"group\", account, input, heartbeat, grace,"
    " placed_from, placed_until, address, lon, lat, rd_x, rd_y, team, secret, instructions)"
    " from stdin";

static void on_row(void *ctx, uint64_t line, const struct str *cells)
{
    struct device_import *devices = ctx;
    struct str values[DEVICE_COLUMNS];
    char number[24];
    if (!device_row(line, cells, &devices->import.line_diagnostics, &devices->text, values))
        return;
    snprintf(number, sizeof(number), "%llu", (unsigned long long)line);
    import_cell(&devices->import, str_from(number));
    for (int i = 0; i < DEVICE_COLUMNS; i++)
        import_cell(&devices->import, values[i]);
    import_end_row(&devices->import);
}

/* The columns of the file as a PostgreSQL array literal. */
static void list_header(uint32_t header, struct buf *out)
{
    for (size_t i = 0; i < device_columns.n; i++)
        if (header & UINT32_C(1) << i)
            buf_printf(out, "%s%s", out->len ? "," : "{", device_columns.names[i]);
    buf_append(out, "}", sizeof("}"));
}

static const char placed_sql[] = "select i.line, 'device ' || i.device_id || ' stands' || coalesce(' in wijk ' || "
                                 "w.wijk_code || ' ' || w.wijk_name, ' "
                                 "in no wijk') || coalesce(', RD ' || w.rd_x || ' ' || w.rd_y, ', outside RD New')"
                                 "  from pg_temp.device_import i, lateral mobeye.whereabouts(i.geom, lower(i.during)) w"
                                 " where i.geom is not null order by i.line";

static const char first_sql[] =
    "select line, device_id, model, \"group\", account, input, heartbeat::text, grace::text, lower(during)::text as "
    "placed_from, upper(during)::text as placed_until, address, round(public.st_x(geom)::numeric, 5) as lon,"
    " round(public.st_y(geom)::numeric, 5) as lat, team, secret, instructions"
    "  from pg_temp.device_import order by line limit 5";

static int store_devices(struct device_import *devices, const char *bounds)
{
    char check[BOUNDS_SIZE + 128];
    uint32_t columns = 0;
    int status = import_csv(&devices->import, &device_columns, on_row, devices, &columns);
    if (status != CTL_OK)
        return status;
    struct buf header = {0};
    list_header(columns, &header);
    const char *values[] = {header.data};
    snprintf(check, sizeof(check), "select line, warning, \"column\" || ': ' || message from mobeye.check_devices(%s)",
             bounds);
    status = import_finish(&devices->import, check, "select * from mobeye.merge_devices($1)", 1, values);
    buf_free(&header);
    return status;
}

static int import_file(const struct ctl_call *call, bool anyway, bool dry_run)
{
    char bounds[BOUNDS_SIZE + 16];
    if (bounds_expression(call, anyway, bounds) != CTL_OK)
        return CTL_FAILED;
    struct device_import devices = {.import = {.verb = VERB,
                                               .file = call->arguments[0],
                                               .call = call,
                                               .notes = placed_sql,
                                               .first = first_sql,
                                               .dry_run = dry_run,
                                               .local_times = true}};
    int status = import_open(&devices.import, "select mobeye.stage_devices()", copy);
    if (status == CTL_OK)
        status = store_devices(&devices, bounds);
    buf_free(&devices.text);
    import_close(&devices.import);
    return status;
}

static const char registered_sql[] =
    "select d.device_id, a.account, a.input from mobeye.device d left join mobeye.device_address a using (device_id) "
    "order by 1, 2, 3 nulls first";

static const char unknown_sql[] =
    "select u.device_id, " CTL_UTC("last_received_at") ", kind, endpoint, source, alerts, " CTL_UTC(
        "first_received_at") ", n.near from mobeye.device_unknown u left join unnest($1::text[], $2::text[]) "
                             "as n (device_id, near) on n.device_id = u.device_id order by 2 desc, 1";

static const char *value_or_null(const PGresult *rows, int row, int column)
{
    return PQgetisnull(rows, row, column) ? NULL : PQgetvalue(rows, row, column);
}

/* Appends "NL-HOME (account 3071 input 1)". */
static void describe(const struct near_candidate *near, struct buf *out)
{
    buf_printf(out, "%s", near->device_id);
    if (near->account)
        buf_printf(out, " (account %s%s%s)", near->account, near->input ? " input " : "",
                   near->input ? near->input : "");
}

/* Builds two text arrays: the unknown ids that resemble a registered device, and that device. */
static void find_near(const PGresult *unknown, const PGresult *registered, struct buf *ids, struct buf *nears)
{
    size_t n = (size_t)PQntuples(registered);
    struct near_candidate *candidates = mem_zalloc((n + 1) * sizeof(*candidates));
    for (size_t i = 0; i < n; i++)
        candidates[i] = (struct near_candidate){PQgetvalue(registered, (int)i, 0), value_or_null(registered, (int)i, 1),
                                                value_or_null(registered, (int)i, 2)};
    for (int i = 0; i < PQntuples(unknown); i++) {
        const struct near_candidate *near = near_device(PQgetvalue(unknown, i, 0), candidates, n);
        struct buf text = {0};
        if (!near)
            continue;
        describe(near, &text);
        /* Ids and accounts contain neither quotes nor backslashes. */
        buf_printf(ids, "%s\"%s\"", ids->len ? "," : "{", PQgetvalue(unknown, i, 0));
        buf_printf(nears, "%s\"%s\"", nears->len ? "," : "{", text.data);
        buf_free(&text);
    }
    buf_printf(ids, ids->len ? "}" : "{}");
    buf_printf(nears, nears->len ? "}" : "{}");
    free(candidates);
}

static PGresult *query_unknown(PGconn *conn)
{
    struct buf ids = {0}, nears = {0};
    PGresult *unknown = ctl_query(conn, VERB, "unknown", "select device_id from mobeye.device_unknown", 0, NULL);
    PGresult *registered = unknown ? ctl_query(conn, VERB, "unknown", registered_sql, 0, NULL) : NULL;
    PGresult *rows = NULL;
    if (registered) {
        find_near(unknown, registered, &ids, &nears);
        const char *values[] = {ids.data, nears.data};
        rows = ctl_query(conn, VERB, "unknown", unknown_sql, 2, values);
    }
    PQclear(unknown);
    PQclear(registered);
    buf_free(&ids);
    buf_free(&nears);
    return rows;
}

static int list_unknown(const struct ctl_call *call)
{
    PGconn *conn = ctl_connect(VERB, call->file, call->db);
    PGresult *rows = conn ? query_unknown(conn) : NULL;
    if (rows)
        ctl_print_rows(rows, call->json);
    PQclear(rows);
    PQfinish(conn);
    return rows ? CTL_OK : CTL_FAILED;
}

enum { IMPORT, UNKNOWN };

static const struct ctl_verb actions[] = {
    [IMPORT] = {"import", .takes = "anyway dry-run config db json", .argument = "FILE.csv", .least = 1, .most = 1},
    [UNKNOWN] = {"unknown", .takes = "config db json"},
    {0}};
static const struct ctl_verb verb = {VERB, .help = help, .actions = actions};

int ctl_devices(int argc, char **argv)
{
    bool anyway = false, dry_run = false;
    const struct ctl_option options[] = {{"anyway", .flag = &anyway}, {"dry-run", .flag = &dry_run}, {0}};
    struct ctl_call call;
    int status = ctl_parse(argc, argv, &verb, options, &call);
    if (status != CTL_GO)
        return status;
    return call.action == IMPORT ? import_file(&call, anyway, dry_run) : list_unknown(&call);
}
