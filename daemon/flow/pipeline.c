#include "flow/pipeline.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <event2/event_struct.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/load.h"
#include "flow/applier.h"
#include "flow/journal_report.h"
#include "flow/receiver.h"
#include "ingest/reject.h"
#include "ingest/security.h"
#include "journal/journal.h"
#include "store/maintenance.h"

/* How often queued records are tried again and a stop is checked for its end. */
#define TICK_US (250 * CLOCK_MS)
/* How often expired segments are removed. */
#define PURGE_EVERY_US (10 * CLOCK_SECOND)

struct pipeline {
    struct loop *loop;
    struct metrics *metrics;
    struct conf *conf;
    struct journal *journal;
    struct receiver *receiver; /* messages -> journal -> replies */
    struct applier *applier;   /* journal -> database */
    struct maintenance *maintenance;
    struct maintenance_endpoint *endpoints; /* passed to maintenance with the last report */
    int64_t accepting_since_us;             /* wall time */
    struct event tick;
    int64_t purged_us;  /* monotonic, as the next */
    int64_t stop_at_us; /* when a stop stops waiting for the database; 0: not stopping */
    bool failed;
};

static void on_failed(void *ctx, const struct err *err)
{
    struct pipeline *p = ctx;
    if (!p->failed)
        log_error("journal", "%s; stopping, no more alerts are accepted", err->text);
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
    journal_report_salvage(p->conf->journal.directory, found);
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
        .unverified_us = applier_unverified_us(p->applier),
        .endpoints = p->endpoints,
        .n_endpoints = n,
    };
}

static void on_silent(void *ctx, struct str device)
{
    struct pipeline *p = ctx;
    applier_mark_silent(p->applier, device);
}

static void end_stop_if_done(struct pipeline *p, int64_t now_us)
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
        end_stop_if_done(p, now_us);
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

static int open_journal(struct pipeline *p, struct err *err)
{
    struct journal_options options = journal_options(p->conf);
    struct journal_recovery found;
    if (journal_open(&p->journal, &options, loop_wall_us(p->loop), &found, err) != 0)
        return -1;
    p->metrics->journal_damaged_total = found.damaged + found.lost_segments;
    journal_report_recovery(p->journal, p->conf->journal.directory, &found);
    return 0;
}

/* setenv() is not safe while threads read the environment, so a reload that changes nothing leaves it. */
static void apply_timezone(const struct conf *conf)
{
    const char *now = getenv("TZ");
    if (now && strcmp(now, conf->timezone) == 0)
        return;
    setenv("TZ", conf->timezone, 1);
    tzset();
}

_Static_assert((int)REJECT_COUNT <= METRICS_CODES_MAX && (int)SECURITY_REFUSALS <= METRICS_REASONS_MAX &&
                   (int)MAINTENANCE_JOBS <= METRICS_JOBS_MAX,
               "the metrics count each");

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

struct pipeline *pipeline_new(struct loop *loop, struct metrics *metrics, struct conf **conf, struct err *err)
{
    static const struct receiver_calls receiver_calls = {.on_synced = on_synced, .on_failed = on_failed};
    static const struct applier_calls applier_calls = {
        .on_stored = on_stored, .on_failed = on_failed, .on_salvaged = on_salvaged};
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
    p->applier = applier_new(loop, metrics, p->journal, p->conf, &applier_calls, p, err);
    if (!p->applier)
        goto undo;
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
    conf_keep_running(p->conf, *conf);
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
    if (journal_failure(p->journal, err) != 0 || receiver_check_open(p->receiver, err) != 0)
        return -1;
    int rc = journal_check_space(p->journal, loop_wall_us(p->loop), err);
    return rc == 0 ? 0 : err_prefix(err, "the journal is full");
}

void pipeline_gauges(struct pipeline *p)
{
    receiver_commit_synced(p->receiver);
    applier_gauges(p->applier);
    maintenance_gauges(p->maintenance);
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
