/* mobeyectl status: the daemon by its metrics, the database by a connection of the verb. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "ctl/lib/ctl.h"
#include "ctl/lib/json.h"
#include "ctl/lib/options.h"
#include "ctl/lib/scrape.h"
#include "ctl/operate/status_db.h"

#define VERB "status"

static const char help[] =
    "Usage: mobeyectl status [OPTION]...\n"
    "Shows the state of the daemon, its journal and the database on one screen.\n\n"
    "The daemon is queried by its metrics (http.listen), twice within a second to compute rates; the database by a\n"
    "connection of its own. If the configuration cannot be read, only the database given by --db is shown.\n\n"
    "      --json         print JSON\n"
    "  -c, --config FILE  configuration file (default: " CTL_DEFAULT_FILE ")\n"
    "      --db CONNINFO  libpq connection string; overrides database.conninfo\n"
    "  -h, --help         print this help\n\n"
    "Example:\n"
    "  $ mobeyectl status --json | jq .ok\n\n"
    "Exit status: 0 everything is up, 1 the daemon or its database is not, 2 usage error.\n";

struct status {
    const struct conf *conf; /* NULL: the file cannot be read */

    bool daemon_up;
    struct err daemon_err;
    struct scrape before, after;
    double now_s; /* wall time of the second scrape, or of its failure */

    struct status_db db;
};

/* Collecting */

static void scrape_twice(struct status *s)
{
    s->now_s = (double)clock_wall_us() / 1e6;
    if (!s->conf) {
        err_set(&s->daemon_err, "not shown: the configuration file cannot be read");
        return;
    }
    if (!s->conf->http_listen) {
        err_set(&s->daemon_err, "not shown: http.listen is not set in %s", s->conf->file);
        return;
    }
    s->daemon_up = scrape_fetch(s->conf->http_listen, &s->before, &s->daemon_err) == 0;
    if (!s->daemon_up)
        return;
    nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
    s->daemon_up = scrape_fetch(s->conf->http_listen, &s->after, &s->daemon_err) == 0;
    s->now_s = (double)clock_wall_us() / 1e6;
}

static void query_database(struct status *s, const char *db)
{
    PGconn *conn = s->conf || db ? ctl_connect_to(VERB, s->conf, db) : NULL;
    status_db_query(&s->db, conn, VERB, s->conf ? s->conf->instance : NULL);
    PQfinish(conn);
}

static double value(const struct status *s, const char *name)
{
    return scrape_value(&s->after, name, NULL);
}

static double rate(const struct status *s, const char *name, const struct str *endpoint)
{
    double more = scrape_value(&s->after, name, endpoint) - scrape_value(&s->before, name, endpoint);
    double seconds = (double)(s->after.mono_us - s->before.mono_us) / 1e6;
    return more > 0 ? more / seconds : 0; /* negative if the daemon was restarted in between */
}

static bool all_is_up(const struct status *s)
{
    return s->daemon_up && s->db.up && value(s, "database_up") == 1;
}

/* The screen */

static void print_age(double seconds)
{
    long s = isnan(seconds) || seconds < 0 ? 0 : (long)seconds;
    if (s < 60)
        printf("%ld s", s);
    else if (s < 3600)
        printf("%ld min %ld s", s / 60, s % 60);
    else if (s < 86400)
        printf("%ld h %ld min", s / 3600, s / 60 % 60);
    else
        printf("%ld d %ld h", s / 86400, s / 3600 % 24);
}

/* at_s: Unix time; 0 means never. */
static void print_ago(const struct status *s, double at_s)
{
    if (!(at_s > 0)) {
        fputs("never", stdout);
        return;
    }
    print_age(s->now_s - at_s);
    fputs(" ago", stdout);
}

static void print_bytes(double bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    for (; bytes >= 1024 && unit < 4; unit++)
        bytes /= 1024;
    printf("%.*f %s", unit > 0, bytes, units[unit]);
}

/* Unix time of the endpoint's last message: from the metrics, or from the database if none came since the daemon
 * started. */
static double last_message(const struct status *s, struct str endpoint)
{
    double last = s->daemon_up ? scrape_value(&s->after, "last_received_timestamp_seconds", &endpoint) : 0;
    double age = status_db_last(&s->db, endpoint);
    if (last > 0 || isnan(age))
        return last;
    return s->now_s - age;
}

static void print_endpoints(const struct status *s)
{
    struct str name;
    printf("  %-20s %10s %12s %10s %10s  %s\n", "endpoint", "received/s", "received", "rejected", "retry",
           "last message");
    for (size_t i = 0; scrape_endpoint(&s->after, i, &name); i++) {
        printf("  %-20.*s %10.1f %12.0f %10.0f %10.0f  ", (int)name.len, name.p, rate(s, "received_total", &name),
               scrape_value(&s->after, "received_total", &name), scrape_value(&s->after, "rejected_total", &name),
               scrape_value(&s->after, "retry_total", &name));
        print_ago(s, last_message(s, name));
        puts(scrape_value(&s->after, "endpoint_silent", &name) == 1 ? ", SILENT" : "");
    }
}

/* If the daemon does not answer: the endpoints of the file, with their last message in the database. */
static void print_configured_endpoints(const struct status *s)
{
    printf("  %-20s %s\n", "endpoint", "last message in the database");
    for (size_t i = 0; i < s->conf->n_endpoints; i++) {
        printf("  %-20s ", s->conf->endpoints[i].name);
        print_ago(s, last_message(s, str_from(s->conf->endpoints[i].name)));
        putchar('\n');
    }
}

static void print_daemon(const struct status *s)
{
    if (!s->daemon_up) {
        printf("daemon       %s%s%s\n", s->conf ? s->conf->instance : "", s->conf ? ": " : "", s->daemon_err.text);
        return;
    }
    printf("daemon       %s: up for ", s->conf->instance);
    print_age(s->now_s - value(s, "start_timestamp_seconds"));
    printf(", %.1f accepted/s\n             configuration applied ", rate(s, "journaled_total", NULL));
    print_ago(s, value(s, "config_last_reload_timestamp_seconds"));
    if (value(s, "config_last_reload_successful") == 0)
        fputs("; the last reload was REFUSED (see mobeyed --check)", stdout);
    printf("\njournal      %.0f alerts waiting for the database, the oldest for ", value(s, "journal_pending"));
    print_age(value(s, "commit_lag_seconds"));
    fputs("; ", stdout);
    print_bytes(value(s, "journal_bytes"));
    fputs(" of ", stdout);
    print_bytes(value(s, "journal_max_bytes"));
    putchar('\n');
}

static void print_count(double count, const char *what)
{
    if (isnan(count))
        printf("%s: unknown (this role may not read it)", what);
    else
        printf("%.0f %s", count, what);
}

static void print_database(const struct status *s)
{
    const struct status_db *db = &s->db;
    fputs("database     ", stdout);
    if (s->daemon_up)
        printf("%s the daemon, %.1f stored/s; ", value(s, "database_up") == 1 ? "connected to" : "NOT CONNECTED to",
               rate(s, "committed_total", NULL));
    if (!db->up) {
        puts("NOT REACHABLE from here");
        return;
    }
    fputs("reachable from here; last stored ", stdout);
    print_ago(s, isnan(db->stored_age_s) ? 0 : s->now_s - db->stored_age_s);
    printf("\n             %.0f in quarantine%s\n", db->quarantined,
           db->quarantined > 0 ? " (see mobeyectl quarantine list)" : "");
    fputs("devices      ", stdout);
    print_count(db->silent, "silent");
    fputs(", ", stdout);
    print_count(db->muted, "muted (devices and areas)");
    fputs("\nrules        last changed ", stdout);
    if (isnan(db->rules_age_s)) {
        puts("never, or unknown (this role may not read it)");
        return;
    }
    print_age(db->rules_age_s);
    puts(" ago");
}

static void print_job(const PGresult *jobs, int row)
{
    printf("             %s %s: ", PQgetvalue(jobs, row, 0), PQgetisnull(jobs, row, 2) ? "is LATE" : "FAILS");
    if (!PQgetisnull(jobs, row, 2))
        printf("%s; ", PQgetvalue(jobs, row, 2));
    if (PQgetisnull(jobs, row, 1)) {
        puts("never succeeded");
        return;
    }
    fputs("last succeeded ", stdout);
    print_age(strtod(PQgetvalue(jobs, row, 1), NULL));
    puts(" ago");
}

static void print_jobs(const PGresult *jobs)
{
    int n = PQntuples(jobs), good = 0;
    if (n == 0) {
        puts(jobs ? "maintenance  no daemon has run any job yet" : "maintenance  unknown (this role may not read it)");
        return;
    }
    for (int row = 0; row < n; row++)
        good += status_job_good(jobs, row);
    printf("maintenance  %d of %d jobs done in time", good, n);
    for (int row = 0; row < n; row++)
        if (strcmp(PQgetvalue(jobs, row, 0), "retention") == 0 && !PQgetisnull(jobs, row, 1)) {
            fputs("; retention last succeeded ", stdout);
            print_age(strtod(PQgetvalue(jobs, row, 1), NULL));
            fputs(" ago", stdout);
        }
    putchar('\n');
    for (int row = 0; row < n; row++)
        if (!status_job_good(jobs, row))
            print_job(jobs, row);
}

static void print_screen(const struct status *s)
{
    print_daemon(s);
    print_database(s);
    print_jobs(s->db.jobs);
    if (s->daemon_up)
        print_endpoints(s);
    else if (s->conf)
        print_configured_endpoints(s);
}

/* JSON */

static void put_endpoints(struct buf *out, const struct status *s)
{
    struct str name;
    ctl_json_name(out, "endpoints");
    buf_append_str(out, STR("["));
    for (size_t i = 0; s->daemon_up && scrape_endpoint(&s->after, i, &name); i++) {
        double last = last_message(s, name);
        ctl_json_comma(out);
        buf_append_str(out, STR("{"));
        ctl_json_text(out, "name", name);
        ctl_json_number(out, "received_per_second", rate(s, "received_total", &name));
        ctl_json_number(out, "received", scrape_value(&s->after, "received_total", &name));
        ctl_json_number(out, "rejected", scrape_value(&s->after, "rejected_total", &name));
        ctl_json_number(out, "retry", scrape_value(&s->after, "retry_total", &name));
        ctl_json_number(out, "last_received", last > 0 ? last : NAN);
        buf_append_str(out, STR("}"));
    }
    buf_append_str(out, STR("]"));
}

static void put_daemon(struct buf *out, const struct status *s)
{
    ctl_json_name(out, "daemon");
    buf_append_str(out, STR("{"));
    ctl_json_bool(out, "up", s->daemon_up);
    if (!s->daemon_up) {
        buf_append_str(out, STR("}, \"journal\": null"));
        return;
    }
    ctl_json_number(out, "started", value(s, "start_timestamp_seconds"));
    ctl_json_number(out, "accepted_per_second", rate(s, "journaled_total", NULL));
    ctl_json_number(out, "stored_per_second", rate(s, "committed_total", NULL));
    ctl_json_number(out, "database_up", value(s, "database_up"));
    ctl_json_number(out, "rules_applied", value(s, "config_last_reload_timestamp_seconds"));
    ctl_json_number(out, "last_reload_successful", value(s, "config_last_reload_successful"));
    buf_append_str(out, STR("}, \"journal\": {"));
    ctl_json_number(out, "pending", value(s, "journal_pending"));
    ctl_json_number(out, "lag_seconds", value(s, "commit_lag_seconds"));
    ctl_json_number(out, "bytes", value(s, "journal_bytes"));
    ctl_json_number(out, "max_bytes", value(s, "journal_max_bytes"));
    buf_append_str(out, STR("}"));
}

static void put_database(struct buf *out, const struct status_db *db)
{
    ctl_json_name(out, "database");
    buf_append_str(out, STR("{"));
    ctl_json_bool(out, "up", db->up);
    ctl_json_number(out, "quarantined", db->quarantined);
    ctl_json_number(out, "stored_seconds_ago", db->stored_age_s);
    ctl_json_number(out, "silent", db->silent);
    ctl_json_number(out, "muted", db->muted);
    ctl_json_number(out, "rules_changed_seconds_ago", db->rules_age_s);
    buf_append_str(out, STR("}"));
}

static void put_jobs(struct buf *out, const PGresult *jobs)
{
    ctl_json_name(out, "maintenance");
    buf_append_str(out, STR("["));
    for (int row = 0; row < PQntuples(jobs); row++) {
        ctl_json_comma(out);
        buf_append_str(out, STR("{"));
        ctl_json_text(out, "job", str_from(PQgetvalue(jobs, row, 0)));
        ctl_json_bool(out, "ok", status_job_good(jobs, row));
        ctl_json_number(out, "succeeded_seconds_ago",
                        PQgetisnull(jobs, row, 1) ? NAN : strtod(PQgetvalue(jobs, row, 1), NULL));
        if (!PQgetisnull(jobs, row, 2))
            ctl_json_text(out, "error", str_from(PQgetvalue(jobs, row, 2)));
        buf_append_str(out, STR("}"));
    }
    buf_append_str(out, STR("]"));
}

static void print_json(const struct status *s)
{
    struct buf out = {0};
    buf_append_str(&out, STR("{"));
    ctl_json_bool(&out, "ok", all_is_up(s));
    if (s->conf)
        ctl_json_text(&out, "instance", str_from(s->conf->instance));
    put_daemon(&out, s);
    put_database(&out, &s->db);
    put_jobs(&out, s->db.jobs);
    put_endpoints(&out, s);
    printf("%.*s}\n", (int)out.len, out.data);
    buf_free(&out);
}

static const struct ctl_verb verb = {VERB, .takes = "config db json", .help = help};

int ctl_status(int argc, char **argv)
{
    const struct ctl_option options[] = {{0}};
    struct ctl_call call;
    int result = ctl_parse(argc, argv, &verb, options, &call);
    if (result != CTL_GO)
        return result;
    struct conf *conf = ctl_load(call.file);
    if (!conf)
        ctl_fail(VERB,
                 "%s: cannot be read, see above; daemon, journal and endpoints are not shown, since the file has their "
                 "addresses%s (a running daemon continues with the configuration that it read before: systemctl status "
                 "mobeyed)",
                 call.file ? call.file : CTL_DEFAULT_FILE,
                 call.db ? "" : ", nor is the database (use --db CONNINFO to show it)");
    if (!conf && !call.db)
        return CTL_FAILED;
    struct status s = {.conf = conf};
    scrape_twice(&s);
    query_database(&s, call.db);
    if (call.json)
        print_json(&s);
    else
        print_screen(&s);
    result = all_is_up(&s) ? CTL_OK : CTL_FAILED;
    status_db_clear(&s.db);
    buf_free(&s.before.text);
    buf_free(&s.after.text);
    conf_free(&conf);
    return result;
}
