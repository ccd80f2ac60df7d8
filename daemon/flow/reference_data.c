#include "flow/reference_data.h"

#include <stdlib.h>

#include <event2/event_struct.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/worker.h"
#include "store/registry_loader.h"

#define AREAS "areas"

/* Delay of a refresh, doubled for each before it in a row, up to the maximum; the first has none. */
#define STALE_LEAST_US (20 * CLOCK_MS)
#define STALE_MOST_US  (2 * CLOCK_SECOND)
/* Delay before another attempt to start a thread. */
#define WORKER_AGAIN_US CLOCK_SECOND
/* How many unusable areas are named in the log. */
#define DIAGNOSTICS_MAX 20

/* A job for the worker: build a set from rows, which it frees, or free a set, which takes as long. */
struct area_job {
    struct reference_data *reference; /* not used by the thread */
    struct area_rows *rows;
    struct area_set *set;
    uint64_t version, digest; /* of the rows */
    size_t bytes;             /* memory of the set */
};

struct reference_data {
    struct loop *loop;
    reference_data_fn on_usable;
    void *ctx;
    struct registry *registry;
    struct registry_loader *loader;
    bool loaded;    /* the loader has reported that all is up to date, and no transaction has found it stale */
    unsigned stale; /* how often in a row it was stale */
    struct event refresh_due; /* asks the loader for newer data */
    struct worker *worker;
    struct event work_due; /* starts the worker's next job */
    struct area_job job;
    bool building;
    struct area_rows *rows; /* the next to be built; NULL: none */
    struct area_set *areas; /* in use; NULL: none yet */
    struct area_set *old;   /* to be freed; NULL: none */
    uint64_t areas_version, areas_digest;
    /* Memory of the set in use, the set being freed, and the set being built with its rows. */
    size_t areas_bytes, old_bytes, building_bytes;
    int64_t areas_since_us, areas_took_us;
    struct rate_limiter limiter;
};

bool reference_data_current(const struct reference_data *a)
{
    return a->loaded && !a->registry->loading && a->areas && !a->rows && !a->building;
}

bool reference_data_usable(const struct reference_data *a)
{
    return a->loaded && !a->registry->loading && a->areas;
}

static void call_if_usable(struct reference_data *a)
{
    if (reference_data_usable(a))
        a->on_usable(a->ctx);
}

static void report_left_out(const struct area_set *set)
{
    const char *line;
    size_t n = 0;
    for (; (line = area_set_left_out(set, n)) != NULL; n++)
        if (n < DIAGNOSTICS_MAX)
            log_error(AREAS, "%s: ignored, GEOS cannot use its polygon", line);
    if (n > DIAGNOSTICS_MAX)
        log_error(AREAS, "%zu more are ignored", n - DIAGNOSTICS_MAX);
}

static void build_area_set(void *arg)
{
    struct area_job *job = arg;
    job->set = area_set_build(job->rows);
    job->version = job->rows->version;
    job->digest = area_rows_digest(job->rows);
    job->bytes = area_set_bytes(job->rows);
    area_rows_free(&job->rows);
}

static void free_area_set(void *arg)
{
    struct area_job *job = arg;
    area_set_free(&job->set);
}

/* Memory of the rows and of the set to be built from them. */
static size_t rows_bytes(const struct area_rows *rows)
{
    return rows ? area_rows_bytes(rows) + area_set_bytes(rows) : 0;
}

static void start_work(struct reference_data *a);

static void on_area_set_freed(void *arg)
{
    struct area_job *job = arg;
    job->reference->old_bytes = 0;
    start_work(job->reference);
}

static void on_area_set_built(void *arg)
{
    struct area_job *job = arg;
    struct reference_data *a = job->reference;
    a->building = false;
    a->building_bytes = 0;
    a->old = a->areas;
    a->old_bytes = a->areas_bytes;
    a->areas = job->set;
    job->set = NULL;
    a->areas_bytes = job->bytes;
    a->areas_version = job->version;
    a->areas_digest = job->digest;
    a->areas_took_us = loop_mono_us(a->loop) - a->areas_since_us;
    report_left_out(a->areas);
    size_t n = area_set_count(a->areas);
    log_info(AREAS, "%zu area%s loaded", n, n == 1 ? "" : "s");
    start_work(a);
    call_if_usable(a);
}

static void start_work(struct reference_data *a)
{
    struct err err;
    if (worker_busy(a->worker) || (!a->old && !a->rows))
        return;
    bool builds = !a->old;
    size_t bytes = builds ? rows_bytes(a->rows) : 0;
    a->job = (struct area_job){.reference = a, .set = a->old, .rows = builds ? a->rows : NULL};
    if (worker_run(a->worker, builds ? build_area_set : free_area_set, builds ? on_area_set_built : on_area_set_freed,
                   &a->job, &err) != 0) {
        a->job = (struct area_job){0};
        log_limited(&a->limiter, loop_mono_us(a->loop), LOG_LEVEL_ERROR, AREAS, "%s; trying again", err.text);
        loop_arm(&a->work_due, WORKER_AGAIN_US);
        return;
    }
    log_recover(&a->limiter, AREAS, "worker thread started");
    a->building = builds;
    a->building_bytes = bytes;
    if (builds)
        a->rows = NULL;
    a->old = NULL;
}

static void on_work_due(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    start_work(arg);
}

/* After a lost connection the areas are read again, and are usually unchanged. */
static void on_areas(void *ctx, struct area_rows *rows)
{
    struct reference_data *a = ctx;
    a->areas_since_us = loop_mono_us(a->loop);
    area_rows_free(&a->rows);
    if (a->areas && !a->building && area_rows_digest(rows) == a->areas_digest) {
        a->areas_version = rows->version;
        area_rows_free(&rows);
        return;
    }
    a->rows = rows;
    start_work(a);
}

static void on_current(void *ctx)
{
    struct reference_data *a = ctx;
    a->loaded = true;
    call_if_usable(a);
}

static void on_refresh_due(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct reference_data *a = arg;
    registry_loader_refresh(a->loader);
}

struct reference_data *reference_data_new(struct loop *loop, const struct conf *conf, reference_data_fn on_usable,
                                          void *ctx, struct err *err)
{
    static const struct registry_loader_calls calls = {.on_areas = on_areas, .on_current = on_current};
    struct reference_data *a = mem_zalloc(sizeof(*a));
    a->loop = loop;
    a->on_usable = on_usable;
    a->ctx = ctx;
    a->registry = registry_new();
    evtimer_assign(&a->refresh_due, loop_base(loop), on_refresh_due, a);
    evtimer_assign(&a->work_due, loop_base(loop), on_work_due, a);
    a->worker = worker_new(loop, err);
    if (!a->worker) {
        reference_data_free(&a);
        return NULL;
    }
    a->loader = registry_loader_new(loop, conf->database.conninfo, conf->instance, a->registry, &calls, a);
    registry_loader_suppress_log(a->loader, true);
    registry_loader_start(a->loader);
    return a;
}

void reference_data_free(struct reference_data **reference)
{
    struct reference_data *a = *reference;
    *reference = NULL;
    if (!a)
        return;
    registry_loader_free(&a->loader);
    event_del(&a->refresh_due);
    event_del(&a->work_due);
    worker_free(&a->worker);
    area_rows_free(&a->job.rows);
    area_set_free(&a->job.set);
    area_rows_free(&a->rows);
    area_set_free(&a->old);
    area_set_free(&a->areas);
    registry_free(&a->registry);
    free(a);
}

void reference_data_reload(struct reference_data *a, const struct conf *conf)
{
    registry_loader_reconfigure(a->loader, conf->database.conninfo, conf->instance);
}

void reference_data_database_up(struct reference_data *a, bool up)
{
    registry_loader_suppress_log(a->loader, !up);
}

void reference_data_stale(struct reference_data *a)
{
    int64_t wait_us = a->stale > 0 ? STALE_LEAST_US << (a->stale < 8 ? a->stale : 8) : 0;
    a->stale++;
    a->loaded = false;
    loop_arm(&a->refresh_due, wait_us < STALE_MOST_US ? wait_us : STALE_MOST_US);
}

void reference_data_confirmed(struct reference_data *a)
{
    a->stale = 0;
}

struct registry *reference_data_registry(struct reference_data *a)
{
    return a->registry;
}

const struct area_set *reference_data_areas(const struct reference_data *a)
{
    return a->areas;
}

uint64_t reference_data_areas_version(const struct reference_data *a)
{
    return a->areas_version;
}

size_t reference_data_bytes(const struct reference_data *a)
{
    return registry_bytes(a->registry) + registry_loader_bytes(a->loader) + a->areas_bytes + a->old_bytes +
           a->building_bytes + rows_bytes(a->rows);
}

void reference_data_gauges(const struct reference_data *a, struct metrics *m)
{
    m->registry_loaded = reference_data_current(a);
    m->registry_devices = (double)a->registry->n_registered;
    m->registry_version = (double)a->registry->version;
    m->registry_load_seconds = (double)registry_loader_took_us(a->loader) / 1e6;
    m->areas = a->areas ? (double)area_set_count(a->areas) : 0;
    m->areas_left_out = a->areas ? (double)area_set_n_left_out(a->areas) : 0;
    m->areas_version = (double)a->areas_version;
    m->areas_load_seconds = (double)a->areas_took_us / 1e6;
}
