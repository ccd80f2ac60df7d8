#include "store/registry_loader.h"

#include <event2/event_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/pgconn.h"
#include "store/pgtype.h"
#include "store/registry_rows.h"
#include "store/sqlstate.h"

#define SUBJECT "registry"

#define WAIT_LEAST_US CLOCK_SECOND
#define WAIT_MOST_US  (30 * CLOCK_SECOND)

struct registry_loader {
    struct loop *loop;
    struct registry_loader_calls calls;
    void *ctx;
    struct registry *registry;
    char *conninfo, *instance;
    struct pgconn *conn;
    enum registry_loader_state state;
    char text[640];
    bool asked; /* something changed, or may have */
    bool fresh; /* nothing was read on this connection yet: everything is */
    struct registry_reader *reader;
    struct area_rows *areas;
    bool areas_known; /* they were handed over on this connection; they have the next version */
    uint64_t areas_version;
    uint64_t areas_wanted; /* in the database */
    int64_t since_us, took_us;
    unsigned retries;
    bool quiet;
    bool faulty;
    struct fault fault;
    struct event timer; /* ends WAITING, or makes IDLE look at what was asked */
    struct rate_limiter limiter;
};

/* The one place where the state changes. */
static void set_state(struct registry_loader *l, enum registry_loader_state state, const char *reason)
{
    static const char *const names[] = {
        [REGISTRY_STOPPED] = "stopped", [REGISTRY_CONNECTING] = "connecting", [REGISTRY_LISTENING] = "listening",
        [REGISTRY_DEVICES] = "devices", [REGISTRY_VERSION] = "version",       [REGISTRY_AREAS] = "areas",
        [REGISTRY_IDLE] = "idle",       [REGISTRY_WAITING] = "waiting",
    };
    log_debug(SUBJECT, "%s -> %s: %s", names[l->state], names[state], reason);
    l->state = state;
    snprintf(l->text, sizeof(l->text), "%s", state == REGISTRY_IDLE ? "loaded" : reason);
}

/* What came in part counts as nothing. */
static void forget(struct registry_loader *l)
{
    registry_reader_free(&l->reader);
    area_rows_free(&l->areas);
    l->faulty = false;
    evtimer_del(&l->timer);
}

static void disconnected(struct registry_loader *l, const char *why)
{
    forget(l);
    set_state(l, REGISTRY_CONNECTING, why);
}

static void idle(struct registry_loader *l)
{
    l->retries = 0;
    pgconn_reset_backoff(l->conn);
    log_recover(&l->limiter, SUBJECT, "loaded again");
    set_state(l, REGISTRY_IDLE, "all is read");
    l->calls.current(l->ctx);
    if (l->asked)
        loop_arm(&l->timer, 0);
}

static void read_areas(struct registry_loader *l)
{
    if (l->areas_known && l->areas_version == l->areas_wanted) {
        idle(l);
        return;
    }
    set_state(l, REGISTRY_AREAS, "the areas are read");
    l->areas = area_rows_new();
    pgconn_query_rows(l->conn, AREA_ROWS_SQL, 0, NULL, NULL);
}

static void areas_result(struct registry_loader *l, PGresult *result)
{
    area_rows_take(l->areas, result);
}

static void areas_over(struct registry_loader *l)
{
    struct area_rows *rows = l->areas;
    l->areas = NULL;
    l->areas_known = true;
    l->areas_version = rows->version;
    l->calls.areas(l->ctx, rows);
    idle(l);
}

static void read_version(struct registry_loader *l)
{
    set_state(l, REGISTRY_VERSION, "whether the areas are newer");
    pgconn_query(l->conn, "select value from mobeye.counter where name = 'areas'");
}

static void version_result(struct registry_loader *l, PGresult *result)
{
    if (PQntuples(result) == 1)
        l->areas_wanted = strtoull(PQgetvalue(result, 0, 0), NULL, 10);
}

static void read_devices(struct registry_loader *l)
{
    struct buf known = {0};
    const Oid types[] = {TYPE_INT8};
    l->asked = false;
    l->since_us = loop_mono_us(l->loop);
    l->reader = registry_reader_new(l->registry);
    set_state(l, REGISTRY_DEVICES, l->fresh ? "the registry is read" : "changes of the registry are read");
    buf_be64(&known, l->fresh ? 0 : l->registry->version);
    pgconn_query_rows(l->conn, REGISTRY_ROWS_SQL, 1, types, &known);
    buf_free(&known);
}

static void devices_result(struct registry_loader *l, PGresult *result)
{
    registry_reader_take(l->reader, result);
}

static void devices_over(struct registry_loader *l)
{
    registry_reader_end(l->reader);
    registry_reader_free(&l->reader);
    l->fresh = false;
    l->took_us = loop_mono_us(l->loop) - l->since_us;
    read_version(l);
}

/* A server that only follows another refuses LISTEN: the next one is tried. */
static void listen_to(struct registry_loader *l)
{
    l->fresh = true;
    l->areas_known = false;
    set_state(l, REGISTRY_LISTENING, "connected");
    pgconn_query(l->conn, "set client_min_messages = warning; set timezone = 'UTC'; set statement_timeout = '10min'; "
                          "set lock_timeout = '30s'; listen mobeye_registry; listen mobeye_areas");
}

static void failed(struct registry_loader *l)
{
    char reason[600];
    forget(l);
    snprintf(reason, sizeof(reason), "%.500s (SQLSTATE %s)", l->fault.text, l->fault.sqlstate);
    if (!l->quiet)
        log_limited(&l->limiter, loop_mono_us(l->loop), LOG_LEVEL_ERROR, SUBJECT,
                    "devices and areas cannot be read: %s; trying again", reason);
    if (l->fault.class == SQLSTATE_RECONNECT) {
        pgconn_drop(l->conn, reason);
        return;
    }
    set_state(l, REGISTRY_WAITING, reason);
    loop_arm(&l->timer, WAIT_LEAST_US + pgconn_backoff_us(WAIT_LEAST_US, WAIT_MOST_US, l->retries++));
}

/* Who takes a result, and the end of the query. */
static const struct {
    void (*result)(struct registry_loader *l, PGresult *result);
    void (*over)(struct registry_loader *l);
} states[] = {
    [REGISTRY_STOPPED] = {NULL, NULL},
    [REGISTRY_LISTENING] = {NULL, read_devices},
    [REGISTRY_DEVICES] = {devices_result, devices_over},
    [REGISTRY_VERSION] = {version_result, read_areas},
    [REGISTRY_AREAS] = {areas_result, areas_over},
    [REGISTRY_WAITING] = {NULL, NULL},
};

static void up_cb(void *ctx)
{
    listen_to(ctx);
}

static void down_cb(void *ctx, const char *why)
{
    disconnected(ctx, why);
}

static void waiting_cb(void *ctx, const char *text)
{
    set_state(ctx, REGISTRY_CONNECTING, text);
}

static void result_cb(void *ctx, PGresult *result)
{
    struct registry_loader *l = ctx;
    if (result && PQresultStatus(result) == PGRES_FATAL_ERROR) {
        if (!l->faulty)
            fault_read(&l->fault, result);
        l->faulty = true;
    } else if (result) {
        if (states[l->state].result)
            states[l->state].result(l, result);
    } else if (l->faulty) {
        failed(l);
    } else {
        states[l->state].over(l);
    }
}

/* The payload is only a hint: what changed is asked for. */
static void notified_cb(void *ctx, const char *payload)
{
    (void)payload;
    registry_loader_refresh(ctx);
}

static void timer_cb(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct registry_loader *l = arg;
    if (l->state == REGISTRY_WAITING)
        listen_to(l);
    else if (l->state == REGISTRY_IDLE && l->asked)
        read_devices(l);
}

void registry_loader_refresh(struct registry_loader *l)
{
    l->asked = true;
    if (l->state == REGISTRY_IDLE)
        loop_arm(&l->timer, 0);
}

void registry_loader_suppress_log(struct registry_loader *l, bool quiet)
{
    l->quiet = quiet;
    pgconn_suppress_log(l->conn, quiet);
}

const char *registry_loader_state(const struct registry_loader *l)
{
    return l->text;
}

int64_t registry_loader_took_us(const struct registry_loader *l)
{
    return l->took_us;
}

size_t registry_loader_bytes(const struct registry_loader *l)
{
    return l->areas ? area_rows_bytes(l->areas) : 0;
}

static void configure(struct registry_loader *l)
{
    struct buf name = {0};
    buf_printf(&name, "mobeyed %s registry", l->instance);
    pgconn_configure(l->conn, l->conninfo, name.data);
    buf_free(&name);
}

struct registry_loader *registry_loader_new(struct loop *loop, const char *conninfo, const char *instance,
                                            struct registry *registry, const struct registry_loader_calls *calls,
                                            void *ctx)
{
    static const struct pgconn_calls conn_calls = {
        .up = up_cb, .down = down_cb, .waiting = waiting_cb, .result = result_cb, .notified = notified_cb};
    struct registry_loader *l = mem_zalloc(sizeof(*l));
    l->loop = loop;
    l->calls = *calls;
    l->ctx = ctx;
    l->registry = registry;
    l->conninfo = mem_strdup(conninfo);
    l->instance = mem_strdup(instance);
    evtimer_assign(&l->timer, loop_base(loop), timer_cb, l);
    l->conn = pgconn_new(loop, &conn_calls, l);
    pgconn_set_log_texts(l->conn, SUBJECT, "devices and areas stay as they are known");
    configure(l);
    set_state(l, REGISTRY_STOPPED, "not started");
    return l;
}

void registry_loader_free(struct registry_loader **loader)
{
    struct registry_loader *l = *loader;
    *loader = NULL;
    if (!l)
        return;
    forget(l);
    pgconn_free(&l->conn);
    free(l->conninfo);
    free(l->instance);
    free(l);
}

void registry_loader_start(struct registry_loader *l)
{
    set_state(l, REGISTRY_CONNECTING, "connecting");
    pgconn_start(l->conn);
}

void registry_loader_reconfigure(struct registry_loader *l, const char *conninfo, const char *instance)
{
    if (strcmp(conninfo, l->conninfo) == 0 && strcmp(instance, l->instance) == 0)
        return;
    char *old_conninfo = l->conninfo, *old_instance = l->instance;
    l->conninfo = mem_strdup(conninfo);
    l->instance = mem_strdup(instance);
    free(old_conninfo);
    free(old_instance);
    if (l->state != REGISTRY_STOPPED)
        disconnected(l, "the configuration changed");
    configure(l);
}
