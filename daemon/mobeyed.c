/* The daemon: parses arguments, builds everything, runs the loop, tears down in reverse order. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <event2/event_struct.h>
#include <geos_c.h>
#include <libpq-fe.h>
#include <openssl/crypto.h>
#include <sodium.h>
#include <unistring/version.h>
#include <xxhash.h>
#include <yaml.h>
#include <zmq.h>

#include "base/clock.h"
#include "base/http.h"
#include "base/log.h"
#include "base/notify.h"
#include "conf/load.h"
#include "conf/text.h"
#include "flow/check_external.h"
#include "flow/pipeline.h"
#include "ingest/json_read.h"
#include "store/database_names.h"

#define DEFAULT_FILE "/etc/mobeyed/mobeyed.yaml"
/* A stop takes at most 10 s: this long for storing alerts, the rest for closing. */
#define STOP_GIVE_UP_US (6 * CLOCK_SECOND)
#define STATUS_EVERY_US (5 * CLOCK_SECOND)

enum { EXIT_FATAL = 1, EXIT_CONFIGURATION = 2 };

struct daemon {
    const char *file;
    struct loop *loop;
    struct metrics *metrics;
    struct pipeline *pipeline;
    struct http *http;
    struct event on_term, on_int, on_hup, watchdog, status;
    bool stopping;
};

static const char usage[] =
    "Usage: mobeyed [OPTION]...\n"
    "Receives alarm alerts over ZeroMQ and raw TCP (SIA DC-09), journals them, and writes them to PostgreSQL, each "
    "exactly once.\n\n"
    "  -c, --config FILE  configuration file (default: " DEFAULT_FILE ")\n"
    "      --check        check the configuration, print every error in it, and exit\n"
    "      --db CONNINFO  with --check: look up the layers, areas, groups and teams of the rules in this database\n"
    "      --debug        log debug messages\n"
    "  -V, --version      print the version, and the versions of the libraries in use\n"
    "  -h, --help         print this help\n\n"
    "Signals: HUP reloads the configuration, TERM and INT stop.\n"
    "Exit status: 0 stopped by a signal, 1 fatal error, 2 bad configuration or usage. See mobeyed(8), "
    "mobeyed.yaml(5).\n";

static void print_version(void)
{
    int major, minor, patch;
    unsigned hash = XXH_versionNumber();
    printf("mobeyed %s\nlibevent %s\n", MOBEYE_VERSION, event_get_version());
    zmq_version(&major, &minor, &patch);
    printf("libzmq %d.%d.%d\nlibpq %d.%d\n", major, minor, patch, PQlibVersion() / 10000, PQlibVersion() % 10000);
    yaml_get_version(&major, &minor, &patch);
    printf("libyaml %d.%d.%d\n", major, minor, patch);
    printf("%s\n", json_library());
    printf("libunistring %d.%d.%d\n", _libunistring_version >> 16, _libunistring_version >> 8 & 0xff,
           _libunistring_version & 0xff);
    printf("libxxhash %u.%u.%u\n", hash / 10000, hash / 100 % 100, hash % 100);
    printf("libsodium %s\nlibcrypto %s\nGEOS %s\n", sodium_version_string(), OpenSSL_version(OPENSSL_VERSION_STRING),
           GEOSversion());
}

/* Loads the file and checks what it refers to; appends diagnostics to the report. names: to look up the names in the
 * rules, or NULL. */
static struct conf *load_and_check(const char *file, const struct conf_names *names, struct buf *report)
{
    struct conf *conf = conf_load_whole(file, names, report);
    if (conf && check_external(conf, report) != 0)
        conf_free(&conf);
    return conf;
}

/* Logs a report line by line. */
static void log_report(enum log_level level, const char *subject, struct buf *report)
{
    buf_append(report, "", 1);
    for (char *rest = report->data, *line; (line = strsep(&rest, "\n"));)
        if (*line)
            log_line(level, subject, "%s", line);
}

/* Loads the file; diagnostics go to stderr as they are, or to journald with their priority. */
static struct conf *load_and_report(const char *file, const struct conf_names *names)
{
    struct buf report = {0};
    struct conf *conf = load_and_check(file, names, &report);
    if (log_is_journal())
        log_report(conf ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR, "configuration", &report);
    else if (report.len > 0)
        fwrite(report.data, 1, report.len, stderr);
    buf_free(&report);
    return conf;
}

/* Prints the error; returns the exit status. */
static int print_fatal(const struct err *err)
{
    fprintf(stderr, "mobeyed: %s\n", err->text);
    return EXIT_FATAL;
}

/* Advice for the person who checks the file, not for each start. */
static void warn_of_password(const char *file, const struct conf *conf)
{
    if (text_conninfo_has_password(conf->database.conninfo))
        fprintf(
            stderr,
            "%s:%zu:%zu: warning: database.conninfo: contains a password, which everyone who may read this file sees "
            "(expected passfile=FILE, or peer authentication)\n",
            file, conf->database.pos.line, conf->database.pos.col);
}

/* --check: returns the exit status. db: the database to look up the names in the rules, or NULL. */
static int check_file(const char *file, const char *db)
{
    struct err err;
    struct database_names *names = db ? database_names_new(db, &err) : NULL;
    if (db && !names)
        return print_fatal(&err);
    const struct conf_names asker = database_names_asker(names);
    struct conf *conf = load_and_report(file, db ? &asker : NULL);
    int status = conf ? EXIT_SUCCESS : EXIT_CONFIGURATION;
    if (db && database_names_failed(names, &err) != 0)
        status = print_fatal(&err);
    if (conf)
        warn_of_password(file, conf);
    if (status == EXIT_SUCCESS)
        printf("%s: good%s\n", file,
               db ? "" : " (groups, layers, areas and teams of the rules were not looked up; --db does)");
    conf_free(&conf);
    database_names_free(&names);
    return status;
}

/* ---- http ---- */

static int answer_metrics(void *ctx, struct buf *ret_body)
{
    struct daemon *d = ctx;
    pipeline_gauges(d->pipeline);
    struct buf why = {0};
    if (!metrics_balanced(d->metrics, &why))
        log_error("metrics", "the counters do not balance: %.*s", (int)why.len, why.data);
    buf_free(&why);
    metrics_write(d->metrics, ret_body);
    return 200;
}

static int answer_ok(void *ctx, struct buf *ret_body)
{
    (void)ctx;
    buf_append_str(ret_body, STR("ok\n"));
    return 200;
}

/* The HTTP port opens only after the journal is recovered and the sockets are bound. */
static int answer_ready(void *ctx, struct buf *ret_body)
{
    struct daemon *d = ctx;
    struct err why;
    if (pipeline_ready(d->pipeline, &why) == 0)
        return answer_ok(ctx, ret_body);
    buf_printf(ret_body, "not ready: %s\n", why.text);
    return 503;
}

static int open_http(struct daemon *d, struct err *err)
{
    const char *listen = pipeline_conf(d->pipeline)->http_listen;
    if (!listen)
        return 0;
    d->http = http_new(d->loop, listen, err);
    if (!d->http)
        return -1;
    http_serve(d->http, "/metrics", answer_metrics, d);
    http_serve(d->http, "/healthz", answer_ok, d);
    http_serve(d->http, "/readyz", answer_ready, d);
    log_info("http", "/metrics, /healthz and /readyz on port %u", http_port(d->http));
    return 0;
}

/* ---- signals and timers ---- */

static void on_stop(evutil_socket_t signal_number, short what, void *arg)
{
    (void)what;
    struct daemon *d = arg;
    d->stopping = true;
    log_info("mobeyed", "stopping on %s", signal_number == SIGTERM ? "SIGTERM" : "SIGINT");
    notify_stopping();
    pipeline_stop(d->pipeline, STOP_GIVE_UP_US);
}

static void reload_conf(struct daemon *d)
{
    struct err err;
    struct buf report = {0};
    struct conf *conf = load_and_check(d->file, NULL, &report);
    log_report(conf ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR, "reload", &report);
    report.len = 0;
    if (conf && conf_needs_restart(pipeline_conf(d->pipeline), conf, &report))
        log_report(LOG_LEVEL_WARNING, "reload", &report);
    buf_free(&report);
    bool applied = conf && pipeline_reload(d->pipeline, &conf, &err) == 0;
    if (applied)
        log_info("reload", "%s is in force", d->file);
    else if (conf)
        log_error("reload", "%s; keeping the previous configuration", err.text);
    else
        log_error("reload", "%s has errors; keeping the previous configuration", d->file);
    conf_free(&conf);
    d->metrics->config_last_reload_successful = applied;
    if (applied)
        d->metrics->config_last_reload_timestamp_seconds = (double)loop_wall_us(d->loop) / 1e6;
}

static void on_reload(evutil_socket_t signal_number, short what, void *arg)
{
    (void)signal_number;
    (void)what;
    struct daemon *d = arg;
    if (d->stopping)
        return;
    notify_reloading();
    reload_conf(d);
    notify_ready();
}

static void on_watchdog(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct daemon *d = arg;
    if (pipeline_progresses(d->pipeline))
        notify_watchdog();
    loop_arm(&d->watchdog, notify_watchdog_interval_us());
}

static void on_status(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct daemon *d = arg;
    pipeline_gauges(d->pipeline);
    notify_status("%.0f alerts wait; database %s", d->metrics->journal_pending, pipeline_database_state(d->pipeline));
    loop_arm(&d->status, STATUS_EVERY_US);
}

/* Called before the journal is recovered, which may take long: a signal then waits for the loop. */
static void arm_signals(struct daemon *d)
{
    struct event_base *base = loop_base(d->loop);
    evsignal_assign(&d->on_term, base, SIGTERM, on_stop, d);
    evsignal_assign(&d->on_int, base, SIGINT, on_stop, d);
    evsignal_assign(&d->on_hup, base, SIGHUP, on_reload, d);
    evsignal_add(&d->on_term, NULL);
    evsignal_add(&d->on_int, NULL);
    evsignal_add(&d->on_hup, NULL);
}

static void arm_timers(struct daemon *d)
{
    struct event_base *base = loop_base(d->loop);
    evtimer_assign(&d->watchdog, base, on_watchdog, d);
    evtimer_assign(&d->status, base, on_status, d);
    if (notify_watchdog_interval_us() > 0)
        loop_arm(&d->watchdog, notify_watchdog_interval_us());
    loop_arm(&d->status, 0);
}

static void disarm_events(struct daemon *d)
{
    if (!d->loop)
        return;
    event_del(&d->on_term);
    event_del(&d->on_int);
    event_del(&d->on_hup);
    if (event_initialized(&d->status)) {
        event_del(&d->watchdog);
        event_del(&d->status);
    }
}

/* Each connection takes a descriptor. Failure is harmless: at the limit new connections wait. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* Takes ownership of conf. Returns the exit status. */
static int run_daemon(struct daemon *d, struct conf *conf)
{
    struct err err = {""};
    int status = EXIT_FATAL;
    d->loop = loop_new(&err);
    if (!d->loop) {
        conf_free(&conf);
        goto report;
    }
    arm_signals(d);
    d->metrics = pipeline_metrics_new();
    d->pipeline = pipeline_new(d->loop, d->metrics, &conf, &err);
    if (!d->pipeline || open_http(d, &err) != 0)
        goto report;
    double now_s = (double)loop_wall_us(d->loop) / 1e6;
    d->metrics->start_timestamp_seconds = d->metrics->config_last_reload_timestamp_seconds = now_s;
    d->metrics->config_last_reload_successful = 1;
    arm_timers(d);
    notify_ready();
    log_info("mobeyed", "%s is ready, version " MOBEYE_VERSION, pipeline_conf(d->pipeline)->instance);
    loop_run(d->loop);
    if (pipeline_failed(d->pipeline))
        goto undo;
    if (pipeline_close(d->pipeline, &err) != 0)
        goto report;
    log_info("mobeyed", "stopped");
    status = EXIT_SUCCESS;
    goto undo;

report:
    log_error("mobeyed", "%s", err.text);
undo:
    disarm_events(d);
    http_free(&d->http);
    pipeline_free(&d->pipeline);
    metrics_free(&d->metrics);
    loop_free(&d->loop);
    return status;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"check", no_argument, NULL, 'k'},
        {"db", required_argument, NULL, 'D'},
        {"debug", no_argument, NULL, 'd'},
        {"version", no_argument, NULL, 'V'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct daemon d = {.file = DEFAULT_FILE};
    const char *db = NULL;
    bool check = false;
    enum log_level level = LOG_LEVEL_INFO;
    for (int option; (option = getopt_long(argc, argv, "c:Vh", options, NULL)) != -1;) {
        switch (option) {
        case 'c':
            d.file = optarg;
            break;
        case 'k':
            check = true;
            break;
        case 'D':
            db = optarg;
            break;
        case 'd':
            level = LOG_LEVEL_DEBUG;
            break;
        case 'V':
            print_version();
            return EXIT_SUCCESS;
        case 'h':
            fputs(usage, stdout);
            return EXIT_SUCCESS;
        default:
            fputs("mobeyed: 'mobeyed --help' lists the options\n", stderr);
            return EXIT_CONFIGURATION;
        }
    }
    if (db && !check) {
        fputs("mobeyed: --db requires --check; the daemon uses database.conninfo\n", stderr);
        return EXIT_CONFIGURATION;
    }
    if (optind < argc) {
        fprintf(stderr, "mobeyed: unexpected argument \"%s\"; 'mobeyed --help' lists the options\n", argv[optind]);
        return EXIT_CONFIGURATION;
    }
    log_open(level);
    if (check)
        return check_file(d.file, db);
    struct conf *conf = load_and_report(d.file, NULL);
    if (!conf)
        return EXIT_CONFIGURATION;
    signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit();
    return run_daemon(&d, conf);
}
