#include "store/pgconn.h"

#include <assert.h>
#include <event2/event_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/resolve.h"
#include "base/transition.h"
#include "store/param.h"
#include "store/pgtarget.h"
#include "store/sqlstate.h"

/* A server that restarts is back within seconds. After a long outage patrols wait for what came in meanwhile, and an
 * attempt that is refused costs next to nothing: so never more than 5 s. */
#define BACKOFF_LEAST_US (100 * CLOCK_MS)
#define BACKOFF_MOST_US  (5 * CLOCK_SECOND)
#define STABLE_US        (60 * CLOCK_SECOND) /* a connection that lasted this long has proved usable */

enum pgconn_stage {
    STAGE_STOPPED,   /* not started. -> PAUSE */
    STAGE_PAUSE,     /* until the timer ends. -> RESOLVING; no name to look up -> POLLING */
    STAGE_RESOLVING, /* the server's name is looked up, which ends in time. -> POLLING; failed -> PAUSE */
    STAGE_POLLING,   /* libpq connects; the timer limits the attempt. -> OPEN; failed -> PAUSE */
    STAGE_OPEN,      /* connected. -> PAUSE */
};

/* pgconn_configure() leads from each to PAUSE and STOPPED. */
static const struct machine_state states[] = {
    [STAGE_STOPPED] = {"stopped", STATE_BIT(STAGE_STOPPED) | STATE_BIT(STAGE_PAUSE)},
    [STAGE_PAUSE] = {"pause", STATE_BIT(STAGE_PAUSE) | STATE_BIT(STAGE_RESOLVING) | STATE_BIT(STAGE_POLLING) |
                                  STATE_BIT(STAGE_STOPPED)},
    [STAGE_RESOLVING] = {"resolving", STATE_BIT(STAGE_POLLING) | STATE_BIT(STAGE_PAUSE)},
    [STAGE_POLLING] = {"polling", STATE_BIT(STAGE_OPEN) | STATE_BIT(STAGE_PAUSE)},
    [STAGE_OPEN] = {"open", STATE_BIT(STAGE_PAUSE)},
};

struct pgconn {
    struct loop *loop;
    struct pgconn_calls calls;
    void *ctx;
    const char *subject, *meanwhile; /* of what is logged */
    bool log_suppressed;
    bool log_up; /* the connection is logged, since what preceded it was, or it is the first */
    char *conninfo, *application_name;
    struct pgtargets targets; /* of this round */
    struct pgtarget_turn turn;
    struct rate_limiter limiters[PGTARGET_MAX]; /* for messages about one of them; the conninfo: the first */
    struct rate_limiter limiter;                /* for losses */
    enum pgconn_stage stage;
    unsigned rounds; /* rounds of all targets that failed in a row */
    int64_t open_us; /* monotonic: since when it is open */
    PGconn *pq;
    struct resolve *resolve;
    struct event timer, read, write; /* read and write belong to the socket of pq */
    bool querying;                   /* results are to come */
    bool copying;                    /* within COPY IN: the server waits for data */
    bool broken;                     /* sending failed: what has arrived is read, then the connection is lost */
    char why[512];                   /* the last fatal message of the server */
};

int64_t pgconn_backoff_us(int64_t least_us, int64_t most_us, unsigned round)
{
    uint64_t random;
    arc4random_buf(&random, sizeof(random));
    int64_t bound = round < 20 && (least_us << round) < most_us ? least_us << round : most_us;
    return (int64_t)(random % (uint64_t)(bound + 1));
}

/* The one place where the stage changes. */
static void set_stage(struct pgconn *c, enum pgconn_stage stage, const char *reason)
{
    transition_check(states, c->stage, stage, c->subject, "connection", reason);
    c->stage = stage;
}

static void close_all(struct pgconn *c)
{
    event_del(&c->timer);
    event_del(&c->read);
    event_del(&c->write);
    resolve_free(&c->resolve);
    PQfinish(c->pq);
    c->pq = NULL;
    c->querying = c->copying = c->broken = false;
    set_stage(c, STAGE_PAUSE, "closed");
}

static void pause_for(struct pgconn *c, int64_t us, const char *why)
{
    char text[640];
    set_stage(c, STAGE_PAUSE, why);
    loop_arm(&c->timer, us);
    if (us < CLOCK_SECOND)
        snprintf(text, sizeof(text), "%s; retrying now", why);
    else
        snprintf(text, sizeof(text), "%s; next try in %lld s", why, (long long)(us / CLOCK_SECOND));
    c->calls.on_waiting(c->ctx, text);
}

/* The pause before the next round. */
static int64_t backoff_us(struct pgconn *c)
{
    return pgconn_backoff_us(BACKOFF_LEAST_US, BACKOFF_MOST_US, c->rounds++);
}

static void on_attempt_failed(struct pgconn *c, const char *why)
{
    char name[300];
    fault_join_lines(why, c->why, sizeof(c->why));
    pgtarget_describe(&c->targets.target[c->turn.at], name, sizeof(name));
    if (!c->log_suppressed) {
        log_limited(&c->limiters[c->turn.at], loop_mono_us(c->loop), LOG_LEVEL_ERROR, c->subject,
                    "%s cannot be used: %s; %s", name, c->why, c->meanwhile);
        c->log_up = c->log_up || c->limiters[c->turn.at].suppressed == 0;
    }
    pgtarget_pass_over(&c->turn, &c->targets, c->pq);
    close_all(c);
    pause_for(c, c->turn.at > 0 ? 0 : backoff_us(c), c->why);
}

static void on_connection_lost(struct pgconn *c, const char *why, bool dropped)
{
    bool stable = loop_mono_us(c->loop) - c->open_us >= STABLE_US;
    fault_join_lines(why, c->why, sizeof(c->why));
    if (dropped || !stable)
        pgtarget_pass_over(&c->turn, &c->targets, c->pq);
    if (stable) {
        c->rounds = 0;
        memset(c->limiters, 0, sizeof(c->limiters));
    }
    close_all(c);
    if (!c->log_suppressed)
        log_limited(&c->limiter, loop_mono_us(c->loop), LOG_LEVEL_WARNING, c->subject, "connection lost: %s", c->why);
    c->log_up = !c->log_suppressed && c->limiter.suppressed == 0;
    c->calls.on_down(c->ctx, c->why);
    pause_for(c, backoff_us(c), c->why);
}

/* Sending failed: reported from the loop, so that no callback runs within another. */
static void report_broken(struct pgconn *c)
{
    c->broken = true;
    event_active(&c->read, EV_READ, 0);
}

static void flush_output(struct pgconn *c)
{
    int rc = PQflush(c->pq);
    if (rc < 0)
        report_broken(c);
    else if (rc > 0)
        event_add(&c->write, NULL);
}

/* The next chunk is requested when libpq has handed the last one to the kernel: otherwise its buffer would grow without
 * bound. One per turn of the loop: a batch has some MiB, and senders wait for their replies. */
static void send_chunks(struct pgconn *c)
{
    for (bool fed = false; c->copying; fed = true) {
        struct str chunk;
        int rc = PQflush(c->pq);
        if (rc > 0 || (rc == 0 && fed)) {
            event_add(&c->write, NULL);
            return;
        }
        if (rc == 0 && c->calls.on_chunk(c->ctx, &chunk)) {
            rc = PQputCopyData(c->pq, chunk.p, (int)chunk.len) == 1 ? 0 : -1;
        } else if (rc == 0) {
            c->copying = false;
            rc = PQputCopyEnd(c->pq, NULL) == 1 ? 0 : -1;
        }
        if (rc < 0) {
            c->copying = false;
            report_broken(c);
            return;
        }
    }
    flush_output(c);
}

/* A call by the owner may drop the connection at any time. */
static void dispatch_notices(struct pgconn *c)
{
    PGnotify *notify;
    while (c->pq && (notify = PQnotifies(c->pq)) != NULL) {
        c->calls.on_notify(c->ctx, notify->extra);
        PQfreemem(notify);
    }
}

static void dispatch_results(struct pgconn *c)
{
    while (c->pq && c->querying && !c->copying && !PQisBusy(c->pq)) {
        PGresult *result = PQgetResult(c->pq);
        if (!result && PQstatus(c->pq) == CONNECTION_BAD)
            return;
        c->querying = result != NULL;
        c->copying = result && PQresultStatus(result) == PGRES_COPY_IN;
        bool copying = c->copying;
        if (result && PQresultStatus(result) == PGRES_FATAL_ERROR)
            fault_join_lines(PQresultErrorMessage(result), c->why, sizeof(c->why));
        c->calls.on_result(c->ctx, result);
        PQclear(result);
        if (copying && c->pq)
            send_chunks(c);
    }
}

/* Hands out what has arrived. libpq sees a notification that arrived after a result only when the result has been read,
 * and by then the socket no longer signals it. */
static void dispatch(struct pgconn *c)
{
    dispatch_notices(c);
    dispatch_results(c);
    dispatch_notices(c);
}

/* Hands out what has arrived, and reports a lost connection. libpq reads ahead while it sends, so this follows sending
 * too. */
static void dispatch_and_check(struct pgconn *c, bool alive)
{
    dispatch(c);
    if (!c->pq)
        return;
    if (!alive || PQstatus(c->pq) == CONNECTION_BAD) {
        char why[sizeof(c->why)];
        snprintf(why, sizeof(why), "%s", c->why[0] ? c->why : PQerrorMessage(c->pq));
        on_connection_lost(c, why, false);
    } else if (!c->copying) {
        flush_output(c);
    }
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct pgconn *c = arg;
    c->why[0] = '\0';
    bool alive = PQconsumeInput(c->pq) == 1 && !c->broken;
    dispatch_and_check(c, alive);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct pgconn *c = arg;
    if (c->copying)
        send_chunks(c);
    else
        flush_output(c);
    dispatch_and_check(c, true);
}

static void on_opened(struct pgconn *c)
{
    char name[300];
    int fd = PQsocket(c->pq);
    event_del(&c->timer);
    set_stage(c, STAGE_OPEN, "connected");
    c->open_us = loop_mono_us(c->loop);
    PQsetnonblocking(c->pq, 1);
    event_assign(&c->read, loop_base(c->loop), fd, EV_READ | EV_PERSIST, on_readable, c);
    event_assign(&c->write, loop_base(c->loop), fd, EV_WRITE, on_writable, c);
    event_add(&c->read, NULL);
    pgtarget_describe(&c->targets.target[c->turn.at], name, sizeof(name));
    if (c->log_up)
        log_info(c->subject, "connected to %s", name);
    c->calls.on_up(c->ctx);
}

static void on_poll(evutil_socket_t fd, short what, void *arg);

/* libpq may have closed its socket for another, under the same number too: the event is assigned again each time. */
static void poll_when(struct pgconn *c, short what)
{
    event_assign(&c->read, loop_base(c->loop), PQsocket(c->pq), what, on_poll, c);
    event_add(&c->read, NULL);
}

static void on_poll(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct pgconn *c = arg;
    event_del(&c->read);
    switch (PQconnectPoll(c->pq)) {
    case PGRES_POLLING_READING:
        poll_when(c, EV_READ);
        break;
    case PGRES_POLLING_WRITING:
        poll_when(c, EV_WRITE);
        break;
    case PGRES_POLLING_OK:
        on_opened(c);
        break;
    default:
        on_attempt_failed(c, PQerrorMessage(c->pq));
    }
}

static void ignore_notice(void *arg, const char *message)
{
    const struct pgconn *c = arg;
    log_debug(c->subject, "%s", message);
}

static void connect_to(struct pgconn *c, const char *const *addresses, size_t n)
{
    set_stage(c, STAGE_POLLING, "the server is known");
    loop_arm(&c->timer, c->targets.timeout_us);
    c->pq = pgtarget_connect(&c->targets, &c->turn, addresses, n);
    if (PQstatus(c->pq) == CONNECTION_BAD) {
        on_attempt_failed(c, PQerrorMessage(c->pq));
        return;
    }
    PQsetNoticeProcessor(c->pq, ignore_notice, c);
    poll_when(c, EV_WRITE);
}

static void on_resolved(void *ctx, const char *const *addresses, size_t n, const char *why)
{
    struct pgconn *c = ctx;
    char text[256];
    if (n == 0) {
        snprintf(text, sizeof(text), "the name cannot be resolved: %s", why);
        on_attempt_failed(c, text);
        return;
    }
    connect_to(c, addresses, n);
    resolve_free(&c->resolve);
}

/* false: they are not known; the next try is planned. */
static bool read_targets(struct pgconn *c)
{
    struct err err;
    pgtargets_free(&c->targets);
    if (pgtargets_parse(&c->targets, c->conninfo, c->application_name, &err) == 0)
        return true;
    snprintf(c->why, sizeof(c->why), "database.conninfo with the environment and its service: %.400s", err.text);
    if (!c->log_suppressed) {
        log_limited(&c->limiters[0], loop_mono_us(c->loop), LOG_LEVEL_ERROR, c->subject, "%s; %s", c->why,
                    c->meanwhile);
        c->log_up = c->log_up || c->limiters[0].suppressed == 0;
    }
    pause_for(c, backoff_us(c), c->why);
    return false;
}

static void start_attempt(struct pgconn *c)
{
    /* The service file may have changed, or may be there only now. */
    if (c->turn.at == 0 && !read_targets(c))
        return;
    const struct pgtarget *target = &c->targets.target[c->turn.at];
    const char *name = pgtarget_name(target);
    c->why[0] = '\0';
    if (name) {
        set_stage(c, STAGE_RESOLVING, name);
        c->resolve = resolve_start(c->loop, name, on_resolved, c);
    } else {
        connect_to(c, NULL, 0);
    }
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct pgconn *c = arg;
    if (c->stage == STAGE_PAUSE) {
        start_attempt(c);
        return;
    }
    on_attempt_failed(c, "no answer in time");
}

struct pgconn *pgconn_new(struct loop *loop, const char *subject, const char *meanwhile,
                          const struct pgconn_calls *calls, void *ctx)
{
    struct pgconn *c = mem_zalloc(sizeof(*c));
    c->loop = loop;
    c->calls = *calls;
    c->ctx = ctx;
    c->subject = subject;
    c->meanwhile = meanwhile;
    evtimer_assign(&c->timer, loop_base(loop), on_timer, c);
    event_assign(&c->read, loop_base(loop), -1, 0, on_readable, c);
    event_assign(&c->write, loop_base(loop), -1, 0, on_writable, c);
    return c;
}

void pgconn_suppress_log(struct pgconn *c, bool suppress)
{
    c->log_suppressed = suppress;
}

void pgconn_free(struct pgconn **conn)
{
    struct pgconn *c = *conn;
    *conn = NULL;
    if (!c)
        return;
    close_all(c);
    pgtargets_free(&c->targets);
    free(c->conninfo);
    free(c->application_name);
    free(c);
}

void pgconn_start(struct pgconn *c)
{
    set_stage(c, STAGE_PAUSE, "started");
    loop_arm(&c->timer, 0);
}

void pgconn_configure(struct pgconn *c, const char *conninfo, const char *application_name)
{
    bool started = c->stage != STAGE_STOPPED;
    close_all(c);
    char *new_conninfo = mem_strdup(conninfo), *name = mem_strdup(application_name);
    free(c->conninfo);
    free(c->application_name);
    c->conninfo = new_conninfo;
    c->application_name = name;
    c->turn.at = c->rounds = 0;
    c->log_up = true;
    memset(c->limiters, 0, sizeof(c->limiters));
    set_stage(c, STAGE_STOPPED, "the configuration");
    if (started)
        pgconn_start(c);
}

void pgconn_drop(struct pgconn *c, const char *why)
{
    char text[sizeof(c->why)];
    snprintf(text, sizeof(text), "%s", why);
    on_connection_lost(c, text, true);
}

void pgconn_reset_backoff(struct pgconn *c)
{
    c->rounds = 0;
    log_recover_if_quiet(&c->limiter, loop_mono_us(c->loop), c->subject, "the connection is stable again");
}

void pgconn_query(struct pgconn *c, const char *sql)
{
    assert(c->stage == STAGE_OPEN && !c->querying);
    c->querying = true;
    if (!PQsendQuery(c->pq, sql))
        report_broken(c);
    else
        flush_output(c);
}

static bool send_params(struct pgconn *c, const char *sql, size_t n, const Oid *types, const struct buf *values)
{
    struct statement_params params;
    assert(c->stage == STAGE_OPEN && !c->querying);
    params_set(&params, values, n);
    c->querying = true;
    return PQsendQueryParams(c->pq, sql, (int)n, types, params.data, params.lengths, params.formats, 1) == 1;
}

void pgconn_query_params(struct pgconn *c, const char *sql, size_t n, const Oid *types, const struct buf *values)
{
    if (send_params(c, sql, n, types, values))
        flush_output(c);
    else
        report_broken(c);
}

void pgconn_query_rows(struct pgconn *c, const char *sql, size_t n, const Oid *types, const struct buf *values)
{
    if (send_params(c, sql, n, types, values) && PQsetSingleRowMode(c->pq) == 1)
        flush_output(c);
    else
        report_broken(c);
}

bool pgconn_querying(const struct pgconn *c)
{
    return c->querying;
}

PGconn *pgconn_pq(struct pgconn *c)
{
    return c->stage == STAGE_OPEN ? c->pq : NULL;
}
