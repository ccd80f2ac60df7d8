/* mobeyectl measures: imports what was done against burglary. */
#include "ctl/registry/measure_csv.h"
#include "ctl/registry/text_import.h"

#define VERB "measures"

static const char help[] =
    "Usage: mobeyectl measures import [OPTION]... FILE.csv\n"
    "Imports what was done against burglary, for the district safety report. Placements of devices count by "
    "themselves.\n\n"
    "import reads a CSV file (- for standard input), completely or not at all; every error is printed with its line.\n"
    "The header names the columns; number, note and until may be missing:\n"
    "  kind,layer,code,from,until,number,note\n"
    "kind is letter, tent, patrol or other; layer and code name an area. The measure counts on the local day of from;\n"
    "times are RFC 3339 or local time, such as 23-11-2026 21:00 or 23-11-2026, in the time zone of the configuration\n"
    "(with --db alone: of the database). number is how many letters, visitors or hours. Importing the same file twice\n"
    "changes nothing; a measure that differs only in number is changed. One that is wrong in anything else must be\n"
    "deleted from mobeye.measure, or it is counted in addition to the corrected one.\n" CSV_HELP
    "\n" CSV_DRY_RUN_HELP CTL_COMMON_HELP "\nExample:\n"
    "  $ mobeyectl measures import maatregelen.csv\n\n"
    "Requires a member of mobeye_registry or mobeye_owner.\n" CTL_EXIT_HELP;

static const struct text_import import = {
    .verb = VERB,
    .format = &measure_format,
    .stage = "select mobeye.stage_measures()",
    .copy = "copy pg_temp.measure_import (line, kind, layer, code, from_at, until_at, number, note) from stdin",
    .check = "select line, warning, \"column\" || ': ' || message from mobeye.check_measures()",
    .merge = "select * from mobeye.merge_measures($1)",
    .first = "select line, kind, layer, code, from_at::text as \"from\", until_at::text as until, number, note"
             "  from pg_temp.measure_import order by line limit 5",
};

static const struct ctl_verb actions[] = {
    {"import", .takes = "dry-run config db json", .argument = "FILE.csv", .least = 1, .most = 1}, {0}};
static const struct ctl_verb verb = {VERB, .help = help, .actions = actions};

int ctl_measures(int argc, char **argv)
{
    bool dry_run = false;
    const struct ctl_option options[] = {{"dry-run", .flag = &dry_run}, {0}};
    struct ctl_call call;
    int status = ctl_parse(argc, argv, &verb, options, &call);
    return status == CTL_GO ? text_import_run(&import, &call, dry_run, NULL, NULL) : status;
}
