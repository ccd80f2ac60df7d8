/* mobeyectl retention: what is past its time of keeping. The daemon erases it by itself, once an hour. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "ctl/ctl.h"

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

struct request {
    const char *file, *db;
    bool dry_run, json;
};

static int run(PGconn *conn, const struct request *request, const struct conf *conf)
{
    char times[4][40];
    const char *values[4];
    const int64_t keep_us[] = {conf->retention.class_us[CLASS_CAMERA], conf->retention.class_us[CLASS_ALARM],
                               conf->retention.class_us[CLASS_SERVICE], conf->retention.incident_us};
    for (size_t i = 0; i < 4; i++) {
        snprintf(times[i], sizeof(times[i]), "%" PRId64 " microseconds", keep_us[i]);
        values[i] = times[i];
    }
    const char *sql = request->dry_run ? "select what, class, until, n as rows from mobeye.retention_due("
                                         "$1::interval, $2::interval, $3::interval, $4::interval)"
                                       : "select mobeye.apply_retention("
                                         "$1::interval, $2::interval, $3::interval, $4::interval)";
    PGresult *rows = PQexecParams(conn, sql, 4, NULL, values, NULL, NULL, 0);
    int status = CTL_OK;
    if (PQresultStatus(rows) != PGRES_TUPLES_OK)
        status = ctl_fail_sql(VERB, request->dry_run ? "what is due" : "erasing", rows);
    else if (request->dry_run)
        ctl_print_rows(rows, request->json);
    else
        printf("%s rows erased\n", PQgetvalue(rows, 0, 0));
    PQclear(rows);
    return status;
}

int ctl_retention(int argc, char **argv)
{
    static const struct option options[] = {
        {"dry-run", no_argument, NULL, 'n'},      {"json", no_argument, NULL, 'j'},
        {"config", required_argument, NULL, 'c'}, {"db", required_argument, NULL, 'd'},
        {"help", no_argument, NULL, 'h'},         {0}};
    struct request request = {0};
    int option;
    while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        if (option == 'n')
            request.dry_run = true;
        else if (option == 'j')
            request.json = true;
        else if (option == 'c')
            request.file = optarg;
        else if (option == 'd')
            request.db = optarg;
        else if (option != 'h')
            return CTL_USAGE;
        else {
            fputs(help, stdout);
            return CTL_OK;
        }
    }
    if (optind < argc)
        return ctl_usage(VERB, "\"%s\": it takes no arguments", argv[optind]);
    if (request.json && !request.dry_run)
        return ctl_usage(VERB, "--json goes with --dry-run");
    struct conf *conf = ctl_load(request.file);
    PGconn *conn = conf ? ctl_connect(VERB, NULL, request.db ? request.db : conf->database.conninfo) : NULL;
    int status = conn ? run(conn, &request, conf) : CTL_FAILED;
    PQfinish(conn);
    conf_free(&conf);
    return status;
}
