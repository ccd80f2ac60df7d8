#include "store/registry_loader.h"

#include <event2/event_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/transition.h"
#include "store/pgtype.h"
#include "store/registry_rows.h"
#include "store/session.h"

#define SUBJECT "registry"

#define WAIT_LEAST_US CLOCK_SECOND
#define WAIT_MOST_US  (30 * CLOCK_SECOND)

struct registry_loader {
    struct loop *loop;
    struct registry_loader_calls calls;
    void *ctx;
    struct registry *registry;
    struct session *session;
    enum registry_loader_state state;
    bool asked; /* something changed, or may have */
    bool fresh; /* nothing has been read on this connection yet: everything will be */
    struct registry_reader *reader;
    struct area_rows *areas;
    bool areas_known; /* they were handed over on this connection; they have the next version */
    uint64_t areas_version;
    uint64_t areas_wanted; /* in the database */
    int64_t since_us, took_us;
    unsigned retries;
    bool log_suppressed;
    struct event timer; /* armed only to end WAITING, or to make IDLE read what was requested */
    struct rate_limiter limiter;
};

#define TO(state) STATE_BIT(REGISTRY_##state)

/* The exits of enum registry_loader_state. */
static const struct machine_state states[] = {
    [REGISTRY_STOPPED] = {"stopped", TO(STOPPED) | TO(CONNECTING)},
    [REGISTRY_CONNECTING] = {"connecting", TO(CONNECTING) | TO(DEVICES)},
    [REGISTRY_DEVICES] = {"devices", TO(VERSION) | TO(WAITING) | TO(CONNECTING)},
    [REGISTRY_VERSION] = {"version", TO(AREAS) | TO(IDLE) | TO(WAITING) | TO(CONNECTING)},
    [REGISTRY_AREAS] = {"areas", TO(IDLE) | TO(WAITING) | TO(CONNECTING)},
    [REGISTRY_IDLE] = {"idle", TO(DEVICES) | TO(CONNECTING)},
    [REGISTRY_WAITING] = {"waiting", TO(DEVICES) | TO(CONNECTING)},
};

/* The one place where the state changes. */
static void set_state(struct registry_loader *l, enum registry_loader_state state, const char *reason)
{
    transition_check(states, l->state, state, SUBJECT, "", reason);
    l->state = state;
}

/* Discards what arrived only in part. */
static void forget(struct registry_loader *l)
{
    registry_reader_free(&l->reader);
    area_rows_free(&l->areas);
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
    session_reset_backoff(l->session);
    log_recover(&l->limiter, SUBJECT, "loaded again");
    set_state(l, REGISTRY_IDLE, "all is read");
    l->calls.on_current(l->ctx);
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
    session_send_by_row(l->session, AREA_ROWS_SQL, 0, NULL, NULL);
}

static void on_areas_result(struct registry_loader *l, PGresult *result)
{
    area_rows_take(l->areas, result);
}

static void on_areas_end(struct registry_loader *l)
{
    struct area_rows *rows = l->areas;
    l->areas = NULL;
    l->areas_known = true;
    l->areas_version = rows->version;
    l->calls.on_areas(l->ctx, rows);
    idle(l);
}

static void read_version(struct registry_loader *l)
{
    set_state(l, REGISTRY_VERSION, "whether the areas are newer");
    session_send(l->session, "select value from mobeye.counter where name = 'areas'");
}

static void on_version_result(struct registry_loader *l, PGresult *result)
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
    session_send_by_row(l->session, REGISTRY_ROWS_SQL, 1, types, &known);
    buf_free(&known);
}

static void on_devices_result(struct registry_loader *l, PGresult *result)
{
    registry_reader_take(l->reader, result);
}

static void on_devices_end(struct registry_loader *l)
{
    registry_reader_end(l->reader);
    registry_reader_free(&l->reader);
    l->fresh = false;
    l->took_us = loop_mono_us(l->loop) - l->since_us;
    read_version(l);
}

/* Everything is read again. */
static void read_everything(struct registry_loader *l)
{
    l->fresh = true;
    l->areas_known = false;
    read_devices(l);
}

static void on_failed(struct registry_loader *l, const struct fault *fault)
{
    char reason[600];
    forget(l);
    snprintf(reason, sizeof(reason), "%.500s (SQLSTATE %s)", fault->text, fault->sqlstate);
    if (!l->log_suppressed)
        log_limited(&l->limiter, loop_mono_us(l->loop), LOG_LEVEL_ERROR, SUBJECT,
                    "devices and areas cannot be read: %s; trying again", reason);
    if (fault->class == SQLSTATE_RECONNECT) {
        session_drop(l->session, reason);
        return;
    }
    set_state(l, REGISTRY_WAITING, reason);
    loop_arm(&l->timer, WAIT_LEAST_US + pgconn_backoff_us(WAIT_LEAST_US, WAIT_MOST_US, l->retries++));
}

/* By state: the handlers of a result and of the end of what was sent. */
static const struct {
    void (*on_result)(struct registry_loader *l, PGresult *result);
    void (*on_end)(struct registry_loader *l);
} handlers[] = {
    [REGISTRY_DEVICES] = {on_devices_result, on_devices_end},
    [REGISTRY_VERSION] = {on_version_result, read_areas},
    [REGISTRY_AREAS] = {on_areas_result, on_areas_end},
};

static void on_ready(void *ctx)
{
    read_everything(ctx);
}

static void on_lost(void *ctx, const char *reason)
{
    disconnected(ctx, reason);
}

static void on_result(void *ctx, PGresult *result)
{
    struct registry_loader *l = ctx;
    handlers[l->state].on_result(l, result);
}

static void on_end(void *ctx, const struct fault *fault)
{
    struct registry_loader *l = ctx;
    if (fault)
        on_failed(l, fault);
    else
        handlers[l->state].on_end(l);
}

/* The payload is only a hint: the changes are queried. */
static void on_notify(void *ctx, const char *payload)
{
    (void)payload;
    registry_loader_refresh(ctx);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct registry_loader *l = arg;
    if (l->state == REGISTRY_WAITING)
        read_everything(l);
    else
        read_devices(l);
}

void registry_loader_refresh(struct registry_loader *l)
{
    l->asked = true;
    if (l->state == REGISTRY_IDLE)
        loop_arm(&l->timer, 0);
}

void registry_loader_suppress_log(struct registry_loader *l, bool suppress)
{
    l->log_suppressed = suppress;
    session_suppress_log(l->session, suppress);
}

int64_t registry_loader_took_us(const struct registry_loader *l)
{
    return l->took_us;
}

size_t registry_loader_bytes(const struct registry_loader *l)
{
    return l->areas ? area_rows_bytes(l->areas) : 0;
}

/* A statement that the server never ends must not block the registry indefinitely: reading all of the largest
 * takes seconds. */
static const struct session_kind kind = {
    .name = "registry",
    .subject = SUBJECT,
    .meanwhile = "devices and areas stay as they are known",
    .settings = "; set statement_timeout = '10min'; set lock_timeout = '30s'; listen mobeye_registry; "
                "listen mobeye_areas",
};

struct registry_loader *registry_loader_new(struct loop *loop, const char *conninfo, const char *instance,
                                            struct registry *registry, const struct registry_loader_calls *calls,
                                            void *ctx)
{
    static const struct session_calls session_calls = {on_ready, on_lost, NULL, on_result, on_end, NULL, on_notify};
    struct registry_loader *l = mem_zalloc(sizeof(*l));
    l->loop = loop;
    l->calls = *calls;
    l->ctx = ctx;
    l->registry = registry;
    evtimer_assign(&l->timer, loop_base(loop), on_timer, l);
    l->session = session_new(loop, &kind, conninfo, instance, &session_calls, l);
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
    session_free(&l->session);
    free(l);
}

void registry_loader_start(struct registry_loader *l)
{
    set_state(l, REGISTRY_CONNECTING, "connecting");
    session_start(l->session);
}

void registry_loader_reconfigure(struct registry_loader *l, const char *conninfo, const char *instance)
{
    if (l->state != REGISTRY_STOPPED && session_differs(l->session, conninfo, instance))
        disconnected(l, "the configuration changed");
    session_configure(l->session, conninfo, instance);
}
