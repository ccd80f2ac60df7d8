/* mobeyectl retention: shows or erases what is past its retention time. The daemon erases it once an hour. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "ctl/lib/ctl.h"
#include "ctl/lib/options.h"
#include "ctl/lib/table.h"

#define VERB "retention"

static const char help[] =
    "Usage: mobeyectl retention [OPTION]...\n"
    "Erases what is past its retention time, as the daemon does once an hour, or shows it.\n\n"
    "The times are those of the section retention of the configuration. Incidents under a legal hold are kept, with\n"
    "their alerts. Each erasure is logged without its contents. Each class is erased in its own transaction: if one\n"
    "fails, the error is printed and the others are still erased.\n\n"
    "      --dry-run      show what would be erased; erase nothing\n"
    "      --json         with --dry-run: print JSON\n"
    "  -c, --config FILE  configuration file (default: " CONF_DEFAULT_FILE ")\n"
    "      --db CONNINFO  libpq connection string; overrides database.conninfo\n"
    "  -h, --help         print this help\n\n"
    "Example:\n"
    "  $ mobeyectl retention --dry-run\n\n" CTL_EXIT_HELP;

struct times {
    char text[5][40], wall[24];
    const char
        *values[7]; /* the job, for functions that take one; then camera, alarm, service, incident, burglary; now */
};

static void read_times(const struct conf *conf, struct times *ret)
{
    const int64_t keep_us[] = {conf->retention.class_us[CLASS_CAMERA], conf->retention.class_us[CLASS_ALARM],
                               conf->retention.class_us[CLASS_SERVICE], conf->retention.incident_us,
                               conf->retention.burglary_us};
    for (size_t i = 0; i < 5; i++) {
        snprintf(ret->text[i], sizeof(ret->text[i]), "%" PRId64 " microseconds", keep_us[i]);
        ret->values[i + 1] = ret->text[i];
    }
    ret->values[6] = ret->wall;
}

static int print_due(PGconn *conn, const struct times *times, bool json)
{
    PGresult *rows = ctl_query(conn, VERB, "query what to erase",
                               "select d.what, d.class, d.until, d.n as rows"
                               "  from unnest(mobeye.retention_jobs()) with ordinality as j(job, i)"
                               " cross join lateral mobeye.retention_due(j.job, $1::interval, $2::interval, "
                               "$3::interval, $4::interval, $5::interval) as d where d.n > 0 order by j.i, d.until",
                               5, times->values + 1);
    if (rows)
        ctl_print_rows(rows, json);
    PQclear(rows);
    return rows ? CTL_OK : CTL_FAILED;
}

/* Runs one job; prints what could not be erased. */
static int erase_class(PGconn *conn, struct times *times, const char *job, int64_t *erased)
{
    times->values[0] = job;
    snprintf(times->wall, sizeof(times->wall), "%" PRId64, clock_wall_us() / CLOCK_SECOND);
    PGresult *rows = ctl_query(conn, VERB, job,
                               "select coalesce(partition, what), n, error from mobeye.apply_retention("
                               "$1, $2::interval, $3::interval, $4::interval, $5::interval, $6::interval, "
                               "to_timestamp($7::float8))",
                               7, times->values);
    int status = rows ? CTL_OK : CTL_FAILED;
    for (int i = 0; i < PQntuples(rows); i++) {
        *erased += strtoll(PQgetvalue(rows, i, 1), NULL, 10);
        if (PQgetisnull(rows, i, 2))
            continue;
        ctl_fail(VERB, "%s: %s", PQgetvalue(rows, i, 0), PQgetvalue(rows, i, 2));
        status = CTL_FAILED;
    }
    PQclear(rows);
    return status;
}

static int erase_all(PGconn *conn, struct times *times)
{
    int64_t erased = 0;
    PGresult *jobs = ctl_query(conn, VERB, "query the jobs", "select unnest(mobeye.retention_jobs())", 0, NULL);
    int status = jobs ? CTL_OK : CTL_FAILED;
    for (int i = 0; i < PQntuples(jobs); i++)
        if (erase_class(conn, times, PQgetvalue(jobs, i, 0), &erased) != CTL_OK)
            status = CTL_FAILED;
    if (jobs)
        printf("%" PRId64 " row%s erased\n", erased, ctl_plural((unsigned long)erased));
    PQclear(jobs);
    return status;
}

static int run_retention(PGconn *conn, const struct conf *conf, bool dry_run, bool json)
{
    struct times times;
    read_times(conf, &times);
    return dry_run ? print_due(conn, &times, json) : erase_all(conn, &times);
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
        return ctl_usage(VERB, "--json requires --dry-run");
    struct conf *conf = ctl_load(call.file);
    PGconn *conn = conf ? ctl_connect_to(VERB, conf, call.db) : NULL;
    status = conn ? run_retention(conn, conf, dry_run, call.json) : CTL_FAILED;
    PQfinish(conn);
    conf_free(&conf);
    return status;
}
