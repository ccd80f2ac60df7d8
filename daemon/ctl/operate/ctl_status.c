/* mobeyectl status: the daemon by its metrics, the database by a connection of the verb. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "conf/conf_board.h"
#include "conf/conf_frigate.h"
#include "ctl/lib/ctl.h"
#include "ctl/lib/options.h"
#include "ctl/operate/status.h"
#include "ctl/operate/unit_state.h"

#define VERB "status"

static const char help[] =
    "Usage: mobeyectl status [OPTION]...\n"
    "Shows the state of the daemon, its journal and the database on one screen, and of mobeye-frigate and "
    "mobeye-board\n"
    "where they are installed.\n\n"
    "The daemon is queried by its metrics (http.listen), twice within a second to compute rates; the database by a\n"
    "connection of its own. If the configuration cannot be read, only the database given by --db is shown.\n\n"
    "      --watch        show it again every two seconds, until Ctrl-C\n"
    "      --board FILE   configuration of mobeye-board (default: " CONF_BOARD_FILE ")\n"
    "      --frigate FILE configuration of mobeye-frigate (default: " CONF_FRIGATE_FILE ")\n"
    "      --state DIR    state directories of mobeyectl-watch@ units (default: " STATUS_WATCH_STATE ")\n"
    "      --json         print JSON\n"
    "  -c, --config FILE  configuration file (default: " CONF_DEFAULT_FILE ")\n"
    "      --db CONNINFO  libpq connection string; overrides database.conninfo\n"
    "  -h, --help         print this help\n\n"
    "Example:\n"
    "  $ mobeyectl status --json | jq .ok\n\n"
    "Exit status: 0 the daemon accepts alerts and its database is up, 1 otherwise, 2 usage error.\n";

/* Collecting */

static void scrape_twice(struct status *s)
{
    s->now_s = (double)clock_wall_us() / 1e6;
    s->disk_free = NAN;
    if (!s->conf) {
        err_set(&s->daemon_err, "not shown: the configuration file cannot be read");
        return;
    }
    if (!s->conf->http_listen) {
        err_set(&s->daemon_err, "not shown: http.listen is not set in %s", s->conf->file);
        return;
    }
    s->daemon_up = scrape_fetch(s->conf->http_listen, &s->before, &s->daemon_err) == 0;
    if (s->daemon_up && unit_state_of_file(s->conf->file) == UNIT_DOWN) {
        err_set(&s->daemon_err, "its unit is not running; another daemon answers at %s", s->conf->http_listen);
        s->daemon_up = false;
    }
    if (!s->daemon_up)
        return;
    nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
    s->daemon_up = scrape_fetch(s->conf->http_listen, &s->after, &s->daemon_err) == 0;
    s->ready = scrape_ready(s->conf->http_listen, &s->not_ready);
    struct statvfs space;
    if (statvfs(s->conf->journal.directory, &space) == 0)
        s->disk_free = (double)space.f_bavail * (double)space.f_frsize;
    s->now_s = (double)clock_wall_us() / 1e6;
}

double status_value(const struct status *s, const char *name)
{
    return scrape_value(&s->after, name, NULL);
}

double status_rate(const struct status *s, const char *name, const struct str *endpoint)
{
    double more = scrape_value(&s->after, name, endpoint) - scrape_value(&s->before, name, endpoint);
    double seconds = (double)(s->after.mono_us - s->before.mono_us) / 1e6;
    return more > 0 ? more / seconds : 0; /* negative if the daemon was restarted in between */
}

bool status_all_is_up(const struct status *s)
{
    return s->daemon_up && s->ready && s->db.up && status_value(s, "database_up") == 1;
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

double status_last_message(const struct status *s, struct str endpoint)
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
        printf("  %-20.*s %10.1f %12.0f %10.0f %10.0f  ", (int)name.len, name.p,
               status_rate(s, "received_total", &name), scrape_value(&s->after, "received_total", &name),
               scrape_value(&s->after, "rejected_total", &name), scrape_value(&s->after, "retry_total", &name));
        print_ago(s, status_last_message(s, name));
        puts(scrape_value(&s->after, "endpoint_silent", &name) == 1 ? ", SILENT" : "");
    }
}

/* If the daemon does not answer: the endpoints of the file, with their last message in the database. */
static void print_configured_endpoints(const struct status *s)
{
    printf("  %-20s %s\n", "endpoint", "last message in the database");
    for (size_t i = 0; i < s->conf->n_endpoints; i++) {
        printf("  %-20s ", s->conf->endpoints[i].name);
        print_ago(s, status_last_message(s, str_from(s->conf->endpoints[i].name)));
        putchar('\n');
    }
}

static void print_daemon(const struct status *s)
{
    if (!s->daemon_up) {
        printf("daemon       %s%s%s\n", s->conf ? s->conf->instance : "", s->conf ? ": " : "", s->daemon_err.text);
        if (!isnan(s->db.alive_age_s)) {
            fputs("             it last reported to the database ", stdout);
            print_ago(s, s->now_s - s->db.alive_age_s);
            putchar('\n');
        }
        return;
    }
    printf("daemon       %s: up for ", s->conf->instance);
    print_age(s->now_s - status_value(s, "start_timestamp_seconds"));
    printf(", %.1f accepted/s\n             configuration applied ", status_rate(s, "journaled_total", NULL));
    print_ago(s, status_value(s, "config_last_reload_timestamp_seconds"));
    if (status_value(s, "config_last_reload_successful") == 0)
        fputs("; the last reload was REFUSED (journalctl -u mobeyed -p warning gives the reason)", stdout);
    putchar('\n');
    if (!s->ready)
        printf("             NOT READY, senders get RETRY: %.*s\n", (int)s->not_ready.len, s->not_ready.data);
}

/* If the disk is full, the journal drops stored alerts, so all of its present space counts as available. */
double status_journal_limit(const struct status *s)
{
    double max = status_value(s, "journal_max_bytes");
    double disk = status_value(s, "journal_bytes") + s->disk_free;
    return disk < max ? disk : max;
}

double status_full_in_s(const struct status *s)
{
    double share = status_value(s, "journal_max_bytes") / status_journal_limit(s);
    double fill = status_value(s, "journal_fill_ratio") * share,
           since_s = status_value(s, "database_changed_timestamp_seconds");
    double per_s = status_rate(s, "journal_fill_ratio", NULL) * share;
    if (status_value(s, "database_up") == 0)
        per_s = fill / (s->now_s - (since_s > 0 ? since_s : status_value(s, "start_timestamp_seconds")));
    return per_s > 0 && fill < 1 ? (1 - fill) / per_s : NAN;
}

static void print_journal(const struct status *s)
{
    double max = status_value(s, "journal_max_bytes"), limit = status_journal_limit(s);
    double fill = status_value(s, "journal_fill_ratio") * max / limit, full_s = status_full_in_s(s);
    double pending = status_value(s, "journal_pending");
    printf("journal      %.0f alert%s waiting for the database, the oldest for ", pending,
           ctl_plural((unsigned long)pending));
    print_age(status_value(s, "commit_lag_seconds"));
    printf("\n             %.0f %% full", fill * 100);
    if (fill >= 1)
        fputs(": senders get RETRY", stdout);
    else if (!isnan(full_s)) {
        fputs(", full in ", stdout);
        print_age(full_s);
        fputs(" at this rate", stdout);
    }
    fputs(" (of ", stdout);
    print_bytes(limit);
    if (limit < max) {
        fputs(": the disk has ", stdout);
        print_bytes(s->disk_free);
        fputs(" left", stdout);
    }
    fputs("); ", stdout);
    print_bytes(status_value(s, "journal_bytes"));
    fputs(" on disk, with stored alerts and preallocated space\n", stdout);
}

static const char *why_unknown(const struct status_db *db)
{
    return db->failed ? "it could not be read, see the error" : "this role may not read it";
}

static void print_queue(const struct status *s)
{
    if (isnan(s->db.open)) {
        if (s->db.up)
            printf("queue        unknown (%s)\n", why_unknown(&s->db));
        return;
    }
    printf("queue        %.0f open, %.0f overdue", s->db.open, s->db.overdue);
    if (!isnan(s->db.waiting_s)) {
        fputs("; the oldest has waited ", stdout);
        print_age(s->db.waiting_s);
        fputs(" to be acknowledged", stdout);
    }
    putchar('\n');
}

static void print_count(const struct status_db *db, double count, const char *what)
{
    if (isnan(count))
        printf("%s: unknown (%s)", what, why_unknown(db));
    else
        printf("%.0f %s", count, what);
}

static void print_database(const struct status *s)
{
    const struct status_db *db = &s->db;
    fputs("database     ", stdout);
    if (s->daemon_up && status_value(s, "database_up") == 1)
        printf("connected to the daemon, %.1f stored/s; ", status_rate(s, "committed_total", NULL));
    else if (s->daemon_up) {
        double since_s = status_value(s, "database_changed_timestamp_seconds");
        fputs("NOT CONNECTED to the daemon for ", stdout);
        print_age(s->now_s - (since_s > 0 ? since_s : status_value(s, "start_timestamp_seconds")));
        fputs(" (journalctl -u mobeyed -p warning gives the reason); ", stdout);
    }
    if (!db->up) {
        printf("%s%s%.*s\n", db->connected ? "reachable from here, but" : "NOT REACHABLE from here",
               db->why.len == 0 ? ""
               : db->connected  ? " "
                                : ":\n             ",
               (int)db->why.len, db->why.data);
        return;
    }
    fputs("reachable from here; last stored ", stdout);
    print_ago(s, isnan(db->stored_age_s) ? 0 : s->now_s - db->stored_age_s);
    fputs("\n             ", stdout);
    print_count(db, db->quarantined, "in quarantine");
    puts(db->quarantined > 0 ? " (see mobeyectl quarantine list)" : "");
    fputs("devices      ", stdout);
    print_count(db, db->silent, "silent");
    fputs(", ", stdout);
    print_count(db, db->muted, "muted (devices and areas)");
    fputs("\nrules        last changed ", stdout);
    if (isnan(db->rules_age_s)) {
        printf("never, or unknown (%s)\n", why_unknown(db));
        return;
    }
    print_age(db->rules_age_s);
    puts(" ago");
}

static void print_job(const PGresult *jobs, int row)
{
    printf("             %s %s: ", PQgetvalue(jobs, row, 0), PQgetisnull(jobs, row, 2) ? "LATE" : "FAILED");
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

static void print_jobs(const struct status_db *db)
{
    const PGresult *jobs = db->jobs;
    int n = PQntuples(jobs), good = 0;
    if (n == 0) {
        printf("maintenance  %s\n", jobs            ? "no daemon has run any job yet"
                                    : db->connected ? "unknown (this role may not read it)"
                                                    : "unknown (no connection to the database)");
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

static void print_watches(const struct status_watches *watches)
{
    for (size_t i = 0; i < watches->n; i++) {
        const struct status_watch *w = &watches->list[i];
        printf("%-12s %s: ", i == 0 ? "watch" : "", w->name);
        if (!w->readable) {
            puts("unknown (its state can be read by root and mobeyed-watch only)");
            continue;
        }
        if (isnan(w->behind))
            fputs("progress unknown", stdout);
        else
            printf(w->behind > 1    ? "%.0f changes not delivered yet"
                   : w->behind == 1 ? "1 change not delivered yet"
                                    : "up to date",
                   w->behind);
        if (w->dead > 0)
            printf(", %zu DEAD LETTER%s (when its receiver works again: mobeyectl watch --retry)", w->dead,
                   w->dead == 1 ? "" : "S");
        putchar('\n');
    }
}

static void print_screen(const struct status *s)
{
    print_daemon(s);
    if (s->daemon_up)
        print_journal(s);
    print_queue(s);
    print_database(s);
    print_jobs(&s->db);
    print_watches(&s->watches);
    status_frigate_print(&s->frigate);
    status_board_print(&s->board);
    if (s->daemon_up)
        print_endpoints(s);
    else if (s->conf)
        print_configured_endpoints(s);
}

static const struct ctl_verb verb = {VERB, .takes = "config db json", .help = help};

struct status_request {
    struct ctl_call call;
    const char *state, *frigate, *board;
};

/* Collects and shows once; CTL_FAILED: something is not up. */
static int show_status(const struct conf *conf, const struct status_request *request, bool in_place)
{
    struct status s = {.conf = conf};
    scrape_twice(&s);
    status_db_query(&s.db, VERB, conf, request->call.db);
    status_watches_read(&s.watches, request->state, s.db.last_change);
    status_frigate_read(&s.frigate, request->frigate);
    status_board_read(&s.board, request->board);
    if (in_place)
        fputs("\033[H\033[2J", stdout);
    if (request->call.json)
        status_print_json(&s);
    else
        print_screen(&s);
    fflush(stdout);
    int result = status_all_is_up(&s) ? CTL_OK : CTL_FAILED;
    status_db_clear(&s.db);
    free(s.watches.list);
    status_program_clear(&s.frigate);
    status_program_clear(&s.board);
    buf_free(&s.not_ready);
    buf_free(&s.before.text);
    buf_free(&s.after.text);
    return result;
}

int ctl_status(int argc, char **argv)
{
    bool watch = false;
    struct status_request request = {
        .state = STATUS_WATCH_STATE, .frigate = CONF_FRIGATE_FILE, .board = CONF_BOARD_FILE};
    const struct ctl_option options[] = {{"watch", .flag = &watch},
                                         {"state", .text = &request.state},
                                         {"frigate", .text = &request.frigate},
                                         {"board", .text = &request.board},
                                         {0}};
    const struct ctl_call *call = &request.call;
    int result = ctl_parse(argc, argv, &verb, options, &request.call);
    if (result != CTL_GO)
        return result;
    struct conf *conf = ctl_load(call->file);
    if (!conf)
        ctl_fail(VERB,
                 "%s: cannot be read, see above; daemon, journal and endpoints are not shown, since the file has their "
                 "addresses%s (a running daemon continues with the configuration that it read before: systemctl status "
                 "mobeyed)",
                 call->file ? call->file : CONF_DEFAULT_FILE,
                 call->db ? "" : ", nor is the database (use --db CONNINFO to show it)");
    if (!conf && !call->db)
        return CTL_FAILED;
    bool in_place = watch && !call->json && isatty(STDOUT_FILENO);
    do {
        result = show_status(conf, &request, in_place);
        if (watch)
            nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
    } while (watch && !ferror(stdout));
    conf_free(&conf);
    return result;
}
