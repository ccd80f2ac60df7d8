/* mobeyectl devices: imports, lists and exports the registry of devices. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/nearest.h"
#include "ctl/registry/bounds.h"
#include "ctl/registry/device_csv.h"
#include "ctl/registry/devices_unknown.h"
#include "ctl/registry/registry_verb.h"
#include "ctl/registry/text_import.h"

#define VERB "devices"

static const char help[] =
    "Usage: mobeyectl devices import [OPTION]... FILE.csv\n"
    "       mobeyectl devices list [--state STATE] [--team TEAM] [OPTION]...\n"
    "       mobeyectl devices export [OPTION]...\n"
    "       mobeyectl devices unknown [OPTION]...\n"
    "Imports, lists or exports devices and their placements, or lists unregistered senders.\n\n"
    "import reads a CSV file (- for standard input), completely or not at all; every error is printed with its line.\n"
    "The header names the columns; only device_id is required:\n"
    "  device_id,model,group,account,input,heartbeat,grace,placed_from,placed_until,address,lon,lat,rd_x,rd_y,\n"
    "  team,secret,instructions\n"
    "A row is one placement, or a device without one; several rows of a device must agree about the device. The place\n"
    "is lon and lat in degrees or rd_x and rd_y in RD New. The placement starts at placed_from (empty: now, or when\n"
    "the device came to that place) and ends before placed_until (empty: until further notice); both are RFC 3339,\n"
    "such as 2026-11-23T21:00:00+01:00, or local time, such as 23-11-2026 21:00, in the time zone of the\n"
    "configuration (with --db alone: of the database). heartbeat and grace are durations such as 26h or 7d; secret\n"
    "is yes or no. Columns in the file replace the stored values, also with empty cells; columns that are missing\n"
    "change nothing. A later placement ends a stored one without an end. Importing the same file twice changes\n"
    "nothing. Where secret is empty or missing, a placement of a secret home is secret too, with a warning; only no\n"
    "makes it plain. The wijk and the RD New coordinates of each place are printed; a place outside the bounds of\n"
    "the configuration is refused.\n" CSV_HELP "\n"
    "list prints each device with its state, its place and its last message. export prints all devices and\n"
    "placements as CSV, which import accepts. unknown lists senders that have reported but are not registered; the\n"
    "column near names a registered device with a similar account or id.\n\n" BOUNDS_HELP CSV_DRY_RUN_HELP
    "      --state STATE      list: only devices that are placed, stock, repair or retired\n"
    "      --team TEAM        list: only devices that are placed for this team\n" CTL_COMMON_HELP "\nExample:\n"
    "  $ mobeyectl devices import devices.csv\n\n"
    "Requires a member of mobeye_registry or mobeye_owner.\n" CTL_EXIT_HELP;

static const char copy[] =
    "copy pg_temp.device_import (line, device_id, model, \"group\", account, input, heartbeat, grace,"
    " placed_from, placed_until, address, lon, lat, rd_x, rd_y, team, secret, instructions)"
    " from stdin";

static const char near_sql[] =
    "with imported as (select min(line) as line, device_id from pg_temp.device_import group by device_id)"
    " select distinct on (i.device_id) i.line, i.device_id, e.device_id from imported i"
    " join (select 0 as line, device_id from mobeye.device union all select line, device_id from imported) e"
    " on lower(e.device_id) = lower(i.device_id) and e.line < i.line"
    " where not exists (select from mobeye.device k where k.device_id = i.device_id) order by i.device_id, e.line";

/* Warns of new devices whose id differs only in case from that of another one, registered or on an earlier line. */
static bool warn_of_case(struct import *import)
{
    PGresult *rows = ctl_query(import->conn, VERB, "import", near_sql, 0, NULL);
    for (int row = 0; row < PQntuples(rows); row++)
        line_diagnostics_add(&import->line_diagnostics, strtoull(PQgetvalue(rows, row, 0), NULL, 10), true,
                             "device_id: %s is a new device (did you mean %s?)", PQgetvalue(rows, row, 1),
                             PQgetvalue(rows, row, 2));
    bool done = rows != NULL;
    PQclear(rows);
    return done;
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

static int import_file(const struct ctl_call *call, bool anyway, bool dry_run)
{
    char bounds[BOUNDS_SIZE + 16], check[BOUNDS_SIZE + 128];
    if (bounds_expression(call, anyway, bounds) != CTL_OK)
        return CTL_FAILED;
    snprintf(check, sizeof(check),
             "select line, warning, \"column\" || ': ' || message from mobeye.check_devices(%s, $1)", bounds);
    const struct text_import import = {.verb = VERB,
                                       .columns = device_columns,
                                       .read_row = device_row,
                                       .stage = "select mobeye.stage_devices()",
                                       .copy = copy,
                                       .check = check,
                                       .merge = "select * from mobeye.merge_devices($1)",
                                       .first = first_sql,
                                       .notes = placed_sql,
                                       .check_columns = true};
    return text_import_run(&import, call, dry_run, warn_of_case, NULL);
}

static const char list_sql[] =
    "select d.device_id, d.model, d.device_group as \"group\", a.account, a.input, d.state, p.address, p.team,"
    " s.last_received_at,"
    " s.silent_since is not null as silent from mobeye.device d"
    " left join lateral (select account, input from mobeye.device_address a where a.device_id = d.device_id"
    "   order by 1, 2 nulls first limit 1) a on true"
    " left join mobeye.placement p on p.device_id = d.device_id and p.during @> now()"
    " left join mobeye.device_status s on s.device_id = d.device_id"
    " where ($1::text is null or d.state = $1) and ($2::text is null or p.team = $2) order by 1";

/* Durations as the import reads them. */
#define DURATION(column)                                                                                               \
    "case when mod(extract(epoch from " column ") * 1000, 1000) <> 0 then trunc(extract(epoch from " column            \
    ") * 1000) || 'ms' when mod(extract(epoch from " column "), 3600) = 0 then trunc(extract(epoch from " column       \
    ") / 3600) || 'h' else trunc(extract(epoch from " column ")) || 's' end as " column

static const char export_sql[] =
    "select d.device_id, d.model, d.device_group as \"group\", a.account, a.input, " DURATION(
        "heartbeat") ", " DURATION("grace") ","
                                            " to_char(lower(p.during) at time zone 'UTC', "
                                            "'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') as placed_from,"
                                            " to_char(upper(p.during) at time zone 'UTC', "
                                            "'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') as placed_until,"
                                            " p.address, public.st_x(p.geom) as lon, public.st_y(p.geom) as lat, "
                                            "p.team,"
                                            " case p.secret when true then 'yes' when false then 'no' end as secret, "
                                            "p.instructions"
                                            " from mobeye.device d"
                                            " left join lateral (select account, input from mobeye.device_address a "
                                            "where a.device_id ="
                                            "   d.device_id order by 1, 2 nulls first limit 1) a on true"
                                            " left join mobeye.placement p on p.device_id = d.device_id order by "
                                            "d.device_id, lower(p.during)";

static const char addresses_sql[] =
    "select device_id, count(*) from mobeye.device_address group by 1 having count(*) > 1 order by 1";

/* The file has one account per device. */
static int warn_of_addresses(const struct ctl_call *call)
{
    PGconn *conn = ctl_connect(VERB, call->file, call->db);
    PGresult *rows = conn ? ctl_query(conn, VERB, "export", addresses_sql, 0, NULL) : NULL;
    int status = rows ? CTL_OK : CTL_FAILED;
    for (int row = 0; rows && row < PQntuples(rows); row++)
        ctl_fail(VERB,
                 "warning: device %s has %s accounts; the first is exported, and importing the file removes the others",
                 PQgetvalue(rows, row, 0), PQgetvalue(rows, row, 1));
    PQclear(rows);
    PQfinish(conn);
    return status;
}

static int export_devices(const struct ctl_call *call)
{
    const struct registry_query query = {export_sql, 0, NULL};
    int status = warn_of_addresses(call);
    return status == CTL_OK ? registry_export(VERB, call, &query) : status;
}

static const char *state_word(const void *ctx, size_t i)
{
    static const char *const words[] = {"placed", "stock", "repair", "retired"};
    (void)ctx;
    return i < ARRAY_LEN(words) ? words[i] : NULL;
}

static int list_devices(const struct ctl_call *call, const char *state, const char *team)
{
    const char *values[] = {state, team};
    const struct registry_query query = {list_sql, 2, values};
    bool known = !state;
    for (size_t i = 0; !known && state_word(NULL, i); i++)
        known = strcmp(state, state_word(NULL, i)) == 0;
    if (!known)
        return ctl_usage(VERB, "--state \"%s\" is not a state%s (expected placed, stock, repair or retired)", state,
                         nearest_hint(state, state_word, NULL).text);
    return registry_list(VERB, call, &query);
}

enum { IMPORT, LIST, EXPORT, UNKNOWN };

static const struct ctl_verb actions[] = {
    [IMPORT] = {"import", .takes = "anyway dry-run config db json", .argument = "FILE.csv", .least = 1, .most = 1},
    [LIST] = {"list", .takes = "state team config db json"},
    [EXPORT] = {"export", .takes = "config db"},
    [UNKNOWN] = {"unknown", .takes = "config db json"},
    {0}};
static const struct ctl_verb verb = {VERB, .help = help, .actions = actions};

int ctl_devices(int argc, char **argv)
{
    bool anyway = false, dry_run = false;
    const char *state = NULL, *team = NULL;
    const struct ctl_option options[] = {{"anyway", .flag = &anyway},
                                         {"dry-run", .flag = &dry_run},
                                         {"state", .text = &state},
                                         {"team", .text = &team},
                                         {0}};
    struct ctl_call call;
    int status = ctl_parse(argc, argv, &verb, options, &call);
    if (status != CTL_GO)
        return status;
    switch (call.action) {
    case IMPORT:
        return import_file(&call, anyway, dry_run);
    case LIST:
        return list_devices(&call, state, team);
    case EXPORT:
        return export_devices(&call);
    default:
        return devices_unknown(&call);
    }
}
