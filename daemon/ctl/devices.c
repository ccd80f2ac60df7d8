/* mobeyectl devices: imports the registry of devices; lists who reports without being in it. */
#include <stdio.h>

#include "ctl/device_csv.h"
#include "ctl/import.h"

#define VERB "devices"

static const char help[] =
    "Usage: mobeyectl devices import [OPTION]... FILE.csv\n"
    "       mobeyectl devices unknown [OPTION]...\n"
    "import registers devices and their placements from a file, - for stdin, all of it or nothing; every bad row is\n"
    "named by its line. The header names the columns, of which only device_id must be there:\n"
    "  device_id,model,group,account,input,heartbeat,grace,placed_from,placed_until,address,lon,lat,rd_x,rd_y,\n"
    "  team,secret,instructions\n"
    "A row is one placement, or a device that has none; several rows of a device say the same of it. The place is\n"
    "lon and lat in degrees or rd_x and rd_y in RD New. It holds from placed_from (empty: from now, or since it\n"
    "stands there) until before placed_until (empty: until further notice): RFC 3339, as\n"
    "2026-11-23T21:00:00+01:00. heartbeat and grace as 26h or 7d. secret is yes or no.\n"
    "What a column of the file says holds, empty cells too; of what no column speaks, all stays as it is. A\n"
    "placement without end is ended by a later one. The same file twice changes nothing.\n\n"
    "unknown lists the senders that reported and are not registered.\n\n" CTL_COMMON_HELP
    "\nIt takes a member of mobeye_registry or mobeye_owner.\n";

struct device_import {
    struct import import;
    struct csv_reader *reader;
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
    if (!device_row(line, cells, &devices->import.findings, &devices->text, values))
        return;
    snprintf(number, sizeof(number), "%llu", (unsigned long long)line);
    import_cell(&devices->import, str_from(number));
    for (int i = 0; i < DEVICE_COLUMNS; i++)
        import_cell(&devices->import, values[i]);
    import_end_row(&devices->import);
}

static bool feed(void *ctx, const char *bytes, size_t len)
{
    struct device_import *devices = ctx;
    return csv_reader_feed(devices->reader, bytes, len);
}

/* The columns of the file as an array of PostgreSQL's. */
static void list_header(const struct csv_reader *reader, struct buf *out)
{
    for (size_t i = 0; i < device_columns.n; i++)
        if (csv_reader_header(reader) & UINT32_C(1) << i)
            buf_printf(out, "%s%s", out->len ? "," : "{", device_columns.names[i]);
    buf_append(out, "}", sizeof("}"));
}

static int store(struct device_import *devices)
{
    int status = import_read(&devices->import, feed, devices);
    if (status != CTL_OK)
        return status;
    struct buf header = {0};
    devices->import.whole = csv_reader_finish(devices->reader);
    list_header(devices->reader, &header);
    const char *values[] = {header.data};
    status = import_finish(&devices->import,
                           "select line, warning, \"column\" || ': ' || message from mobeye.check_devices()",
                           "select * from mobeye.merge_devices($1)", 1, values);
    buf_free(&header);
    return status;
}

static int import_file(const struct ctl_call *call)
{
    struct device_import devices = {.import = {.verb = VERB, .file = call->arguments[0], .call = call}};
    devices.reader = csv_reader_new(&device_columns, on_row, &devices, &devices.import.findings);
    int status = import_open(&devices.import, "select mobeye.stage_devices()", copy);
    if (status == CTL_OK)
        status = store(&devices);
    csv_reader_free(&devices.reader);
    buf_free(&devices.text);
    import_close(&devices.import);
    return status;
}

static const char unknown_sql[] =
    "select device_id, " CTL_UTC("last_received_at") ", kind, endpoint, source, alerts, " CTL_UTC(
        "first_received_at") " from mobeye.device_unknown order by 2 desc, 1";

static int list_unknown(const struct ctl_call *call)
{
    PGconn *conn = ctl_connect(VERB, call->file, call->db);
    PGresult *rows = conn ? ctl_query(conn, VERB, "unknown", unknown_sql, 0, NULL) : NULL;
    if (rows)
        ctl_print_rows(rows, call->json);
    PQclear(rows);
    PQfinish(conn);
    return rows ? CTL_OK : CTL_FAILED;
}

enum { IMPORT, UNKNOWN };

static const struct ctl_verb actions[] = {
    [IMPORT] = {"import", .takes = "config db json", .argument = "FILE.csv", .least = 1, .most = 1},
    [UNKNOWN] = {"unknown", .takes = "config db json"},
    {0}};
static const struct ctl_verb verb = {VERB, .help = help, .actions = actions};

int ctl_devices(int argc, char **argv)
{
    const struct ctl_option options[] = {{0}};
    struct ctl_call call;
    int status = ctl_parse(argc, argv, &verb, options, &call);
    if (status != CTL_GO)
        return status;
    return call.action == IMPORT ? import_file(&call) : list_unknown(&call);
}
