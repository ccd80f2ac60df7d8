#include "flow/pipeline.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include <event2/event_struct.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "flow/applier.h"
#include "flow/receiver.h"
#include "ingest/decode_cloudevents.h"
#include "ingest/endpoint_state.h"
#include "journal/journal.h"
#include "store/conninfo.h"
#include "store/maintenance.h"
#include "store/pgtarget.h"

/* Held records are tried again, a stop is looked after. */
#define TICK_US (250 * CLOCK_MS)
/* Old segments are looked for. */
#define PURGE_EVERY_US (10 * CLOCK_SECOND)

struct pipeline {
    struct loop *loop;
    struct metrics *metrics;
    struct conf *conf;
    struct journal *journal;
    struct receiver *receiver; /* messages -> journal -> replies */
    struct applier *applier;   /* journal -> database */
    struct maintenance *maintenance;
    struct maintenance_endpoint *endpoints; /* of the last report to maintenance */
    int64_t accepting_since_us;             /* wall */
    struct event tick;
    int64_t purged_us;  /* monotonic, as the next */
    int64_t stop_at_us; /* when a stop waits no longer; 0: not stopping */
    bool failed;
};

static void on_failed(void *ctx, const struct err *err)
{
    struct pipeline *p = ctx;
    if (!p->failed)
        log_error("journal", "%s; nothing more is accepted, stopping", err->text);
    p->failed = true;
    loop_stop(p->loop);
}

static void on_synced(void *ctx)
{
    struct pipeline *p = ctx;
    applier_feed(p->applier);
}

static void on_stored(void *ctx)
{
    struct pipeline *p = ctx;
    receiver_retry_held(p->receiver);
}

static void on_salvaged(void *ctx, const struct journal_recovery *found)
{
    struct pipeline *p = ctx;
    log_error("journal",
              "a segment cannot be read and is given up: %" PRIu64 " of its records do not check and go to quarantine, "
              "the others are delivered",
              found->damaged);
    if (*found->salvaged)
        log_error("journal", "copies of what is damaged are in %s/%s", p->conf->journal.directory, found->salvaged);
    if (found->unsaved_bytes > 0)
        log_error("journal", "%" PRIu64 " damaged bytes could not be copied there (no room on the disk)",
                  found->unsaved_bytes);
}

static void on_report(void *ctx, struct maintenance_report *ret)
{
    struct pipeline *p = ctx;
    size_t n = p->conf->n_endpoints;
    p->endpoints = mem_realloc(p->endpoints, n, sizeof(*p->endpoints));
    for (size_t i = 0; i < n; i++) {
        const struct conf_endpoint *endpoint = &p->conf->endpoints[i];
        p->endpoints[i] = (struct maintenance_endpoint){endpoint->name, endpoint->expect_every_us,
                                                        receiver_received_us(p->receiver, endpoint->name)};
    }
    *ret = (struct maintenance_report){
        .journal_uuid = journal_uuid(p->journal),
        .accepting_since_us = p->accepting_since_us,
        .applied_until_us = applier_applied_until_us(p->applier),
        .endpoints = p->endpoints,
        .n_endpoints = n,
    };
}

static void on_silent(void *ctx, struct str device)
{
    struct pipeline *p = ctx;
    applier_mark_silent(p->applier, device);
}

static void look_after_stop(struct pipeline *p, int64_t now_us)
{
    if (applier_done(p->applier) || !applier_database_up(p->applier) || now_us >= p->stop_at_us)
        loop_stop(p->loop);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct pipeline *p = arg;
    int64_t now_us = loop_mono_us(p->loop);
    receiver_retry_held(p->receiver);
    if (receiver_check_silence(p->receiver))
        maintenance_run_soon(p->maintenance);
    receiver_set_own_memory(p->receiver, applier_bytes(p->applier));
    maintenance_suppress_log(p->maintenance, !applier_database_up(p->applier));
    if (p->stop_at_us > 0)
        look_after_stop(p, now_us);
    if (now_us - p->purged_us >= PURGE_EVERY_US) {
        p->purged_us = now_us;
        applier_purge_segments(p->applier);
    }
    loop_arm(&p->tick, TICK_US);
}

static struct journal_options journal_options(const struct conf *conf)
{
    return (struct journal_options){
        .directory = conf->journal.directory,
        .max_size_bytes = conf->journal.max_size_bytes,
        .keep_us = conf->journal.keep_us,
    };
}

static void log_recovery(const struct pipeline *p, const struct journal_recovery *found)
{
    if (found->damaged > 0 || found->missing > 0 || found->foreign > 0)
        log_error("journal",
                  "damage: %" PRIu64 " records no longer check, %" PRIu64 " numbers are in no segment, %" PRIu64
                  " files are no segments of this journal; what is left of them is in %s",
                  found->damaged, found->missing, found->foreign, found->salvaged);
    if (found->repaired > 0)
        log_warning("journal", "damage: %" PRIu64 " places by which no record was lost; they were mended, see %s",
                    found->repaired, found->salvaged);
    if (found->torn_bytes > 0)
        log_warning("journal", "the last write was cut off: %" PRIu64 " bytes, nothing proves them synced, are in %s",
                    found->torn_bytes, found->salvaged);
    if (found->unsaved_bytes > 0)
        log_error("journal", "%" PRIu64 " damaged bytes stay in their segments: the disk has no room to set them aside",
                  found->unsaved_bytes);
    if (found->fresh)
        log_info("journal", "%s: a new journal", p->conf->journal.directory);
    else
        log_info("journal",
                 "%s: %" PRIu64 " alerts kept, %" PRIu64 " of them not known to be stored; the last stop was %s",
                 p->conf->journal.directory, found->records,
                 journal_synced_seq(p->journal) - journal_stored_seq(p->journal), found->clean ? "clean" : "not clean");
}

static int open_journal(struct pipeline *p, struct err *err)
{
    struct journal_options options = journal_options(p->conf);
    struct journal_recovery found;
    if (journal_open(&p->journal, &options, loop_wall_us(p->loop), &found, err) != 0)
        return -1;
    p->metrics->journal_damaged_total = found.damaged;
    log_recovery(p, &found);
    return 0;
}

static void apply_timezone(const struct conf *conf)
{
    setenv("TZ", conf->timezone, 1);
    tzset();
}

struct metrics *pipeline_metrics_new(void)
{
    const char *codes[REJECT_COUNT], *reasons[SECURITY_REFUSALS], *jobs[MAINTENANCE_JOBS];
    for (size_t i = 0; i < REJECT_COUNT; i++)
        codes[i] = reject_word((enum reject_code)i);
    for (size_t i = 0; i < SECURITY_REFUSALS; i++)
        reasons[i] = security_word((enum security_refusal)i);
    for (size_t i = 0; i < MAINTENANCE_JOBS; i++)
        jobs[i] = maintenance_job(i);
    return metrics_new((struct metrics_words){codes, REJECT_COUNT}, (struct metrics_words){reasons, SECURITY_REFUSALS},
                       (struct metrics_words){jobs, MAINTENANCE_JOBS});
}

/* What only libpq can tell of database.conninfo. */
static int check_conninfo(const struct conf *conf, struct buf *out)
{
    struct err err;
    struct pgtargets targets = {0};
    int rc = conninfo_check(conf->database.conninfo, &err);
    if (rc == 0)
        rc = pgtargets_parse(&targets, conf->database.conninfo, &err);
    if (rc != 0)
        buf_printf(out, "%s:%zu:%zu: database.conninfo: %s (what libpq takes)\n", conf->file, conf->database.pos.line,
                   conf->database.pos.col, err.text);
    pgtargets_free(&targets);
    return rc;
}

/* A credential that is out of reach is missed when the endpoints are opened, as the key of security is. */
static int check_keys_of(const struct conf *conf, const struct conf_endpoint *endpoint, struct buf *out)
{
    struct err err;
    bool unseen = secret_out_of_reach(endpoint->dc09_keys);
    struct dc09_keys *keys = unseen ? NULL : dc09_keys_load(endpoint->dc09_keys, &err);
    if (unseen)
        err_set(&err, "%s cannot be seen here (systemd shows it to the service itself)", endpoint->dc09_keys);
    if (!keys)
        buf_printf(out, "%s:%zu:%zu: %sendpoints.%s.dc09_keys: %s\n", conf->file, endpoint->dc09_keys_pos.line,
                   endpoint->dc09_keys_pos.col, unseen ? "warning: " : "", endpoint->name, err.text);
    bool good = keys || unseen;
    dc09_keys_free(&keys);
    return good ? 0 : -1;
}

static int check_keys(const struct conf *conf, struct buf *out)
{
    int rc = 0;
    for (size_t i = 0; i < conf->n_endpoints; i++)
        if (conf->endpoints[i].dc09_keys && check_keys_of(conf, &conf->endpoints[i], out) != 0)
            rc = -1;
    return rc;
}

int pipeline_check(const struct conf *conf, struct buf *out)
{
    int conninfo = check_conninfo(conf, out), keys = check_keys(conf, out);
    return conninfo == 0 && keys == 0 ? 0 : -1;
}

struct pipeline *pipeline_new(struct loop *loop, struct metrics *metrics, struct conf **conf, struct err *err)
{
    static const struct receiver_calls receiver_calls = {.synced = on_synced, .failed = on_failed};
    static const struct applier_calls applier_calls = {
        .stored = on_stored, .failed = on_failed, .salvaged = on_salvaged};
    static const struct maintenance_calls maintenance_calls = {.on_report = on_report, .on_silent = on_silent};
    struct pipeline *p = mem_zalloc(sizeof(*p));
    p->loop = loop;
    p->metrics = metrics;
    p->conf = *conf;
    *conf = NULL;
    evtimer_assign(&p->tick, loop_base(loop), on_tick, p);
    apply_timezone(p->conf);
    if (open_journal(p, err) != 0)
        goto undo;
    p->receiver = receiver_new(loop, metrics, p->journal, p->conf, &receiver_calls, p, err);
    if (!p->receiver)
        goto undo;
    p->accepting_since_us = loop_wall_us(loop);
    p->applier = applier_new(loop, metrics, p->journal, p->conf, &applier_calls, p);
    p->maintenance = maintenance_new(loop, metrics, p->conf, &maintenance_calls, p);
    loop_arm(&p->tick, TICK_US);
    return p;

undo:
    pipeline_free(&p);
    return NULL;
}

void pipeline_free(struct pipeline **pipeline)
{
    struct pipeline *p = *pipeline;
    if (!p)
        return;
    event_del(&p->tick);
    maintenance_free(&p->maintenance);
    free(p->endpoints);
    applier_free(&p->applier);
    receiver_free(&p->receiver);
    journal_free(&p->journal);
    conf_free(&p->conf);
    free(p);
    *pipeline = NULL;
}

int pipeline_reload(struct pipeline *p, struct conf **conf, struct err *err)
{
    if (receiver_reload(p->receiver, *conf, err) != 0)
        return -1;
    struct journal_options options = journal_options(*conf);
    journal_configure(p->journal, &options);
    applier_reload(p->applier, *conf);
    maintenance_reload(p->maintenance, *conf);
    apply_timezone(*conf);
    conf_free(&p->conf);
    p->conf = *conf;
    *conf = NULL;
    return 0;
}

const struct conf *pipeline_conf(const struct pipeline *p)
{
    return p->conf;
}

void pipeline_stop(struct pipeline *p, int64_t give_up_us)
{
    if (p->stop_at_us > 0)
        return;
    p->stop_at_us = loop_mono_us(p->loop) + give_up_us;
    receiver_stop(p->receiver);
    applier_stop(p->applier);
    loop_arm(&p->tick, 0);
}

int pipeline_close(struct pipeline *p, struct err *err)
{
    return journal_close(p->journal, err);
}

bool pipeline_failed(const struct pipeline *p)
{
    return p->failed;
}

int pipeline_ready(const struct pipeline *p, struct err *err)
{
    if (p->failed)
        return err_set(err, "the journal has failed");
    if (p->stop_at_us > 0)
        return err_set(err, "stopping");
    int rc = journal_check_space(p->journal, loop_wall_us(p->loop), err);
    return rc == 0 ? 0 : err_prefix(err, "the journal is full");
}

void pipeline_gauges(struct pipeline *p)
{
    receiver_commit_synced(p->receiver);
    applier_gauges(p->applier);
    p->metrics->in_flight = (double)receiver_in_flight(p->receiver);
    p->metrics->resident_bytes = (double)mem_resident_bytes();
}

bool pipeline_progresses(struct pipeline *p)
{
    return receiver_progresses(p->receiver);
}

const char *pipeline_database_state(const struct pipeline *p)
{
    return applier_database_state(p->applier);
}
