/* The daemon: parses arguments, builds everything, runs the loop, tears down in reverse order. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include <event2/event.h>
#include <geos_c.h>
#include <libpq-fe.h>
#include <openssl/crypto.h>
#include <sodium.h>
#include <unistring/version.h>
#include <xxhash.h>
#include <yaml.h>
#include <zmq.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/program.h"
#include "conf/load.h"
#include "conf/text.h"
#include "flow/check_external.h"
#include "flow/pipeline.h"
#include "ingest/json_read.h"
#include "store/database_names.h"

/* Blocks of at least this size get pages of their own, which are returned to the system when they are freed. Left to
 * itself, glibc raises the limit when the first large block of a batch is freed, and keeps the memory of later ones: 8
 * MiB while a backlog drains. */
#define OWN_PAGES_BYTES (256 * 1024)

/* A stop takes at most 10 s: this long for storing alerts, the rest for closing. */
#define STOP_GIVE_UP_US (6 * CLOCK_SECOND)

struct daemon {
    const char *file;
    struct program program;
    struct metrics *metrics;
    struct pipeline *pipeline;
    unsigned reloads; /* applied or refused */
};

static const char usage[] =
    "Usage: mobeyed [OPTION]...\n"
    "Receives alarm alerts over ZeroMQ and raw TCP (SIA DC-09), journals them, and writes them to PostgreSQL, each\n"
    "exactly once.\n\n"
    "  -c, --config FILE  configuration file (default: " CONF_DEFAULT_FILE ")\n"
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

/* names: to look up the names in the rules, or NULL. */
static struct conf *load_and_report(const char *file, const struct conf_names *names)
{
    struct buf report = {0};
    struct conf *conf = conf_load_whole(file, names, check_external, &report);
    program_report(&report, conf != NULL);
    return conf;
}

/* Prints the error; returns the exit status. */
static int print_fatal(const struct err *err)
{
    fprintf(stderr, "mobeyed: %s\n", err->text);
    return PROGRAM_FATAL;
}

/* Advice for someone checking the file, not for every start. */
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
    int status = conf ? EXIT_SUCCESS : PROGRAM_CONFIGURATION;
    if (db && database_names_failed(names, &err) != 0)
        status = print_fatal(&err);
    if (conf)
        warn_of_password(file, conf);
    if (status == EXIT_SUCCESS)
        status = program_valid(
            file, db ? "" : " (groups, layers, areas and teams of the rules were not looked up; --db does)");
    conf_free(&conf);
    database_names_free(&names);
    return status;
}

/* ---- what the program calls ---- */

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

/* The HTTP port opens only after the journal is recovered and the sockets are bound. */
static int answer_ready(void *ctx, struct buf *ret_body)
{
    struct daemon *d = ctx;
    struct err why;
    if (pipeline_ready(d->pipeline, &why) == 0) {
        buf_append_str(ret_body, STR("ok\n"));
        return 200;
    }
    buf_printf(ret_body, "not ready: %s\n", why.text);
    return 503;
}

static void on_stop(void *ctx)
{
    struct daemon *d = ctx;
    pipeline_stop(d->pipeline, STOP_GIVE_UP_US);
}

static void on_reload(void *ctx)
{
    struct daemon *d = ctx;
    struct err err;
    struct buf report = {0};
    struct conf *conf = conf_load_whole(d->file, NULL, check_external, &report);
    program_log_report(conf ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR, "reload", &report);
    if (conf && conf_needs_restart(pipeline_conf(d->pipeline), conf, &report))
        program_log_report(LOG_LEVEL_WARNING, "reload", &report);
    buf_free(&report);
    bool applied = conf && pipeline_reload(d->pipeline, &conf, &err) == 0;
    if (applied)
        log_info("reload", "%s applied", d->file);
    else if (conf)
        log_error("reload", "%s; keeping the previous configuration", err.text);
    else
        log_error("reload", "%s has errors; keeping the previous configuration", d->file);
    conf_free(&conf);
    d->reloads++;
    d->metrics->config_last_reload_successful = applied;
    if (applied)
        d->metrics->config_last_reload_timestamp_seconds = (double)loop_wall_us(d->program.loop) / 1e6;
}

static bool progresses(void *ctx)
{
    struct daemon *d = ctx;
    return pipeline_progresses(d->pipeline);
}

static void on_status(void *ctx, struct buf *ret_text)
{
    struct daemon *d = ctx;
    pipeline_gauges(d->pipeline);
    buf_printf(ret_text, "%.0f alerts wait; database %s", d->metrics->journal_pending,
               pipeline_database_state(d->pipeline));
    if (d->reloads > 0) /* mobeyectl apply reads this */
        buf_printf(ret_text, "; reload %u %s", d->reloads,
                   d->metrics->config_last_reload_successful != 0 ? "applied" : "refused");
}

/* Takes ownership of conf. Returns the exit status. */
static int run_daemon(struct daemon *d, struct conf *conf)
{
    static const struct program_calls calls = {on_stop, on_reload, progresses, on_status, answer_metrics, answer_ready};
    struct err err = {""};
    int status = PROGRAM_FATAL;
    if (program_begin(&d->program, "mobeyed", &calls, d, &err) != 0) {
        conf_free(&conf);
        goto report;
    }
    d->metrics = pipeline_metrics_new();
    d->pipeline = pipeline_new(d->program.loop, d->metrics, &conf, &err);
    if (!d->pipeline || program_listen(&d->program, pipeline_conf(d->pipeline)->http_listen, &err) != 0)
        goto report;
    double now_s = (double)loop_wall_us(d->program.loop) / 1e6;
    d->metrics->start_timestamp_seconds = d->metrics->config_last_reload_timestamp_seconds = now_s;
    d->metrics->config_last_reload_successful = 1;
    program_ready(&d->program);
    log_info("mobeyed", "%s is ready, version " MOBEYE_VERSION, pipeline_conf(d->pipeline)->instance);
    loop_run(d->program.loop);
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
    program_disarm(&d->program);
    pipeline_free(&d->pipeline);
    metrics_free(&d->metrics);
    program_end(&d->program);
    return status;
}

int main(int argc, char **argv)
{
    struct program_options options = {
        .name = "mobeyed", .usage = usage, .print_version = print_version, .file = CONF_DEFAULT_FILE, .has_db = true};
    mallopt(M_MMAP_THRESHOLD, OWN_PAGES_BYTES);
    int status = program_parse(&options, argc, argv);
    if (status >= 0)
        return status;
    if (options.check)
        return check_file(options.file, options.db);
    struct daemon d = {.file = options.file};
    struct conf *conf = load_and_report(d.file, NULL);
    return conf ? run_daemon(&d, conf) : PROGRAM_CONFIGURATION;
}
