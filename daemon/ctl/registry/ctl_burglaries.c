/* mobeyectl burglaries: imports reported burglaries from the police's own records. */
#include <inttypes.h>
#include <stdio.h>

#include "ctl/registry/bounds.h"
#include "ctl/registry/burglary_csv.h"
#include "ctl/registry/text_import.h"

#define VERB "burglaries"

static const char help[] =
    "Usage: mobeyectl burglaries import [OPTION]... FILE.csv\n"
    "Imports reported burglaries, for the district safety report, near repeats and hotspots.\n\n"
    "import reads a CSV file (- for standard input), completely or not at all; every error is printed with its line.\n"
    "The header names the columns; only reference is required:\n"
    "  reference,occurred_from,occurred_until,attempt,method,address,lon,lat,rd_x,rd_y\n"
    "reference is the number in the police's records: a known one is replaced, in every column that the file has.\n"
    "A new one needs occurred_from, the earliest possible time, whose local day counts in reports; occurred_until is\n"
    "the latest possible time. Both are RFC 3339 or local time, such as 23-11-2026 21:00, in the time zone of the\n"
    "configuration (with --db alone: of the database). attempt is yes or no (empty: no). The place is lon and lat in\n"
    "degrees or rd_x and rd_y in RD New; without one a burglary is not counted in any area. Importing the same file\n"
    "twice changes nothing. What is older than retention.burglary of the configuration is imported with a "
    "warning.\n" CSV_HELP "\n" BOUNDS_HELP CSV_DRY_RUN_HELP CTL_COMMON_HELP "\nExample:\n"
    "  $ mobeyectl burglaries import inbraken.csv\n\n"
    "Requires a member of mobeye_registry or mobeye_owner.\n" CTL_EXIT_HELP;

static const char first_sql[] =
    "select line, reference, occurred_from::text, occurred_until::text, attempt, method, address,"
    " round(public.st_x(geom)::numeric, 5) as lon, round(public.st_y(geom)::numeric, 5) as lat"
    "  from pg_temp.burglary_import order by line limit 5";

/* Without a configuration: the default. */
static int read_keep(const struct ctl_call *call, int64_t *ret_us)
{
    *ret_us = INT64_C(1825) * 86400 * 1000000;
    if (!call->file && call->db)
        return CTL_OK;
    struct conf *conf = ctl_load(call->file);
    if (!conf)
        return CTL_FAILED;
    *ret_us = conf->retention.burglary_us;
    conf_free(&conf);
    return CTL_OK;
}

static int import_file(const struct ctl_call *call, bool anyway, bool dry_run)
{
    char bounds[BOUNDS_SIZE + 16], check[BOUNDS_SIZE + 192];
    int64_t keep_us;
    if (bounds_expression(call, anyway, bounds) != CTL_OK || read_keep(call, &keep_us) != CTL_OK)
        return CTL_FAILED;
    snprintf(check, sizeof(check),
             "select line, warning, \"column\" || ': ' || message"
             " from mobeye.check_burglaries(%s, interval '%" PRId64 " microseconds', $1)",
             bounds, keep_us);
    const struct text_import import = {
        .verb = VERB,
        .format = &burglary_format,
        .stage = "select mobeye.stage_burglaries()",
        .copy =
            "copy pg_temp.burglary_import (line, reference, occurred_from, occurred_until, attempt, method, address,"
            " lon, lat, rd_x, rd_y) from stdin",
        .check = check,
        .check_columns = true,
        .merge = "select * from mobeye.merge_burglaries($1)",
        .first = first_sql,
    };
    return text_import_run(&import, call, dry_run, NULL, NULL);
}

static const struct ctl_verb actions[] = {
    {"import", .takes = "anyway dry-run config db json", .argument = "FILE.csv", .least = 1, .most = 1}, {0}};
static const struct ctl_verb verb = {VERB, .help = help, .actions = actions};

int ctl_burglaries(int argc, char **argv)
{
    bool anyway = false, dry_run = false;
    const struct ctl_option options[] = {{"anyway", .flag = &anyway}, {"dry-run", .flag = &dry_run}, {0}};
    struct ctl_call call;
    int status = ctl_parse(argc, argv, &verb, options, &call);
    return status == CTL_GO ? import_file(&call, anyway, dry_run) : status;
}
