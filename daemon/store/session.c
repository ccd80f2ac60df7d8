#include "store/session.h"

#include <event2/event_struct.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/transition.h"

/* These override the settings of the server, the database and the role, also after a reload. Notices are only logged
 * for debugging. UTC: times as text, and the days of partitions. What is committed must survive a crash of the server:
 * a journal keeps its alerts only for a time. A large batch, or an erasure, takes as long as it takes: no limit on
 * statements, unless a session sets one of its own. */
#define SETTINGS                                                                                                       \
    "set client_min_messages = warning; set timezone = 'UTC'; set datestyle = 'ISO'; "                                 \
    "set standard_conforming_strings = on; set default_transaction_isolation = 'read committed'; "                     \
    "set idle_session_timeout = 0; set statement_timeout = 0; " SESSION_LIMITS "; "                                    \
    "select set_config('synchronous_commit', case set_now when 'off' then 'on' else set_now end, false)"               \
    "  from current_setting('synchronous_commit') as set_now"

enum session_state {
    SESSION_DOWN,     /* not started, connecting, or the pause before that (store/pgconn.h). -> SETTINGS */
    SESSION_SETTINGS, /* connected, the settings are on their way. -> READY; refused or lost -> DOWN */
    SESSION_READY,    /* results are the owner's. -> DOWN */
};

static const struct machine_state states[] = {
    [SESSION_DOWN] = {"down", STATE_BIT(SESSION_SETTINGS) | STATE_BIT(SESSION_DOWN)},
    [SESSION_SETTINGS] = {"settings", STATE_BIT(SESSION_READY) | STATE_BIT(SESSION_DOWN)},
    [SESSION_READY] = {"ready", STATE_BIT(SESSION_DOWN)},
};

struct session {
    struct loop *loop;
    const struct session_kind *kind;
    struct session_calls calls;
    void *ctx;
    struct pgconn *conn;
    char *conninfo, *instance;
    enum session_state state;
    bool failed; /* fault has the first failure of what was sent last */
    struct fault fault;
    struct event watch;  /* looks for a reply */
    int64_t answered_us; /* monotonic: when the server last replied, or was sent something */
    struct rate_limiter hung_limiter;
};

static void set_state(struct session *s, enum session_state state, const char *reason)
{
    transition_check(states, s->state, state, s->kind->subject, "session", reason);
    s->state = state;
}

static void note_answer(struct session *s)
{
    s->answered_us = loop_mono_us(s->loop);
    if (s->kind->hung_us > 0 && !evtimer_pending(&s->watch, NULL))
        loop_arm(&s->watch, s->kind->hung_us);
}

/* Nothing is cancelled: the server may be within a COMMIT, or waiting for its standby. */
static void on_watch(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct session *s = arg;
    int64_t silent_us = loop_mono_us(s->loop) - s->answered_us;
    if (!pgconn_querying(s->conn))
        return;
    if (silent_us < s->kind->hung_us) {
        loop_arm(&s->watch, s->kind->hung_us - silent_us);
        return;
    }
    loop_arm(&s->watch, s->kind->hung_us);
    log_limited(&s->hung_limiter, loop_mono_us(s->loop), LOG_LEVEL_WARNING, s->kind->subject,
                "the server has not answered for more than %d s; %s", (int)(s->kind->hung_us / CLOCK_SECOND),
                s->kind->meanwhile);
}

static void on_up(void *ctx)
{
    struct session *s = ctx;
    struct buf sql = {0};
    set_state(s, SESSION_SETTINGS, "connected");
    buf_printf(&sql, SETTINGS "%s", s->kind->settings);
    session_send(s, sql.data);
    buf_free(&sql);
}

static void on_down(void *ctx, const char *reason)
{
    struct session *s = ctx;
    set_state(s, SESSION_DOWN, reason);
    s->failed = false;
    evtimer_del(&s->watch);
    s->calls.on_lost(s->ctx, reason);
}

static void on_waiting(void *ctx, const char *text)
{
    struct session *s = ctx;
    if (s->calls.on_waiting)
        s->calls.on_waiting(s->ctx, text);
}

/* A standby refuses LISTEN. */
static void on_settings_end(struct session *s)
{
    if (s->failed) {
        s->failed = false;
        session_drop(s, s->fault.text);
        return;
    }
    set_state(s, SESSION_READY, "the settings are applied");
    s->calls.on_ready(s->ctx);
}

static void on_end(struct session *s)
{
    bool failed = s->failed;
    s->failed = false;
    s->calls.on_end(s->ctx, failed ? &s->fault : NULL);
}

static void on_result(void *ctx, PGresult *result)
{
    struct session *s = ctx;
    note_answer(s);
    log_recover(&s->hung_limiter, s->kind->subject, "the server answers again");
    if (result && PQresultStatus(result) == PGRES_FATAL_ERROR) {
        if (!s->failed)
            fault_read(&s->fault, result);
        s->failed = true;
    } else if (result) {
        if (s->state == SESSION_READY)
            s->calls.on_result(s->ctx, result);
    } else if (s->state == SESSION_READY) {
        on_end(s);
    } else {
        on_settings_end(s);
    }
}

static bool on_chunk(void *ctx, struct str *ret)
{
    struct session *s = ctx;
    note_answer(s);
    return s->calls.on_chunk(s->ctx, ret);
}

static void on_notify(void *ctx, const char *payload)
{
    struct session *s = ctx;
    if (s->calls.on_notify) /* a pooler may pass on a connection on which another client has executed LISTEN */
        s->calls.on_notify(s->ctx, payload);
}

static void set_servers(struct session *s, const char *conninfo, const char *instance)
{
    struct buf name = {0};
    char *new_conninfo = mem_strdup(conninfo), *new_instance = mem_strdup(instance);
    free(s->conninfo);
    free(s->instance);
    s->conninfo = new_conninfo;
    s->instance = new_instance;
    set_state(s, SESSION_DOWN, "the configuration");
    s->failed = false;
    evtimer_del(&s->watch);
    buf_printf(&name, "%s%s%s%s%s", s->kind->program ? s->kind->program : "mobeyed", *s->instance ? " " : "",
               s->instance, *s->kind->name ? " " : "", s->kind->name);
    pgconn_configure(s->conn, s->conninfo, name.data);
    buf_free(&name);
}

struct session *session_new(struct loop *loop, const struct session_kind *kind, const char *conninfo,
                            const char *instance, const struct session_calls *calls, void *ctx)
{
    static const struct pgconn_calls conn_calls = {on_up, on_down, on_waiting, on_result, on_chunk, on_notify};
    struct session *s = mem_zalloc(sizeof(*s));
    s->loop = loop;
    s->kind = kind;
    s->calls = *calls;
    s->ctx = ctx;
    evtimer_assign(&s->watch, loop_base(loop), on_watch, s);
    s->conn = pgconn_new(loop, kind->subject, kind->meanwhile, &conn_calls, s);
    set_servers(s, conninfo, instance);
    return s;
}

void session_free(struct session **session)
{
    struct session *s = *session;
    *session = NULL;
    if (!s)
        return;
    pgconn_free(&s->conn);
    event_del(&s->watch);
    free(s->conninfo);
    free(s->instance);
    free(s);
}

void session_start(struct session *s)
{
    pgconn_start(s->conn);
}

bool session_differs(const struct session *s, const char *conninfo, const char *instance)
{
    return strcmp(conninfo, s->conninfo) != 0 || strcmp(instance, s->instance) != 0;
}

bool session_configure(struct session *s, const char *conninfo, const char *instance)
{
    if (!session_differs(s, conninfo, instance))
        return false;
    set_servers(s, conninfo, instance);
    return true;
}

void session_suppress_log(struct session *s, bool suppress)
{
    pgconn_suppress_log(s->conn, suppress);
}

void session_drop(struct session *s, const char *reason)
{
    pgconn_drop(s->conn, reason);
}

void session_reset_backoff(struct session *s)
{
    pgconn_reset_backoff(s->conn);
}

void session_send(struct session *s, const char *sql)
{
    note_answer(s);
    pgconn_query(s->conn, sql);
}

void session_send_params(struct session *s, const char *sql, size_t n, const Oid *types, const struct buf *values)
{
    note_answer(s);
    pgconn_query_params(s->conn, sql, n, types, values);
}

void session_send_by_row(struct session *s, const char *sql, size_t n, const Oid *types, const struct buf *values)
{
    note_answer(s);
    pgconn_query_rows(s->conn, sql, n, types, values);
}

void session_append_literal(struct session *s, const char *text, struct buf *sql)
{
    char *literal = PQescapeLiteral(pgconn_pq(s->conn), text, strlen(text));
    if (!literal) {
        log_error(s->kind->subject, "cannot quote a text: %s", PQerrorMessage(pgconn_pq(s->conn)));
        abort();
    }
    buf_printf(sql, "%s", literal);
    PQfreemem(literal);
}

void session_append_interval(int64_t us, struct buf *sql)
{
    if (us == INT64_MAX)
        buf_printf(sql, "null");
    else
        buf_printf(sql, "interval '%" PRId64 " microseconds'", us);
}

const char *session_instance(const struct session *s)
{
    return s->instance;
}
