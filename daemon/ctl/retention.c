/* mobeyectl retention: what is past its time of keeping. The daemon erases it by itself, once an hour. */
#include <inttypes.h>
#include <stdio.h>

#include "ctl/ctl.h"
#include "ctl/options.h"

#define VERB "retention"

static const char help[] =
    "Usage: mobeyectl retention [OPTION]...\n"
    "Erases what is past the times of the section retention of the configuration, as the daemon does once an hour, or\n"
    "shows it. Incidents under a legal hold stay, with their alerts. What is erased is logged without what it said.\n\n"
    "      --dry-run      show what is due, and erase nothing\n"
    "      --json         --dry-run: as JSON\n"
    "  -c, --config FILE  the configuration, default " CTL_DEFAULT_FILE "\n"
    "      --db CONNINFO  the database, as libpq writes it, instead of database.conninfo\n"
    "  -h, --help         this text\n";

static int run(PGconn *conn, const struct conf *conf, bool dry_run, bool json)
{
    char times[4][40];
    const char *values[4];
    const int64_t keep_us[] = {conf->retention.class_us[CLASS_CAMERA], conf->retention.class_us[CLASS_ALARM],
                               conf->retention.class_us[CLASS_SERVICE], conf->retention.incident_us};
    for (size_t i = 0; i < 4; i++) {
        snprintf(times[i], sizeof(times[i]), "%" PRId64 " microseconds", keep_us[i]);
        values[i] = times[i];
    }
    const char *sql = dry_run ? "select what, class, until, n as rows from mobeye.retention_due("
                                "$1::interval, $2::interval, $3::interval, $4::interval)"
                              : "select mobeye.apply_retention("
                                "$1::interval, $2::interval, $3::interval, $4::interval)";
    PGresult *rows = ctl_query(conn, VERB, dry_run ? "what is due" : "erasing", sql, 4, values);
    if (rows && dry_run)
        ctl_print_rows(rows, json);
    else if (rows)
        printf("%s rows erased\n", PQgetvalue(rows, 0, 0));
    PQclear(rows);
    return rows ? CTL_OK : CTL_FAILED;
}

static const struct ctl_verb verb = {VERB, .takes = "config db json", .help = help};

int ctl_retention(int argc, char **argv)
{
    bool dry_run = false;
    const struct ctl_option options[] = {{"dry-run", .flag = &dry_run}, {0}};
    struct ctl_call call;
    int status = ctl_parse(argc, argv, &verb, options, &call);
    if (status != CTL_GO)
        return status;
    if (call.json && !dry_run)
        return ctl_usage(VERB, "--json goes with --dry-run");
    struct conf *conf = ctl_load(call.file);
    PGconn *conn = conf ? ctl_connect_to(VERB, conf, call.db) : NULL;
    status = conn ? run(conn, conf, dry_run, call.json) : CTL_FAILED;
    PQfinish(conn);
    conf_free(&conf);
    return status;
}
