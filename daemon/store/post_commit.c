#include "store/post_commit.h"

#include <event2/event_struct.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/transition.h"
#include "store/column.h"
#include "store/device_status.h"
#include "store/param.h"
#include "store/pgtype.h"
#include "store/post_commit_queue.h"
#include "store/session.h"

#define SUBJECT "post-commit"

/* Delay before a failed task is retried. */
#define RETRY_US (5 * CLOCK_SECOND)
/* How often sessions that hold up the writer are looked for; people's changes are numbered after that. */
#define BLOCKERS_EVERY_US CLOCK_SECOND
/* A task waits this long for a lock: while it waits, sessions of people that hold up the writer are not ended. */
#define LOCK_TIMEOUT "1s"
/* Delay before it is tried again: a batch or a person holds the lock. Logged after this many times in a row. */
#define LOCKED_RETRY_US    CLOCK_SECOND
#define LOCKED_LOG         10
#define LOCK_NOT_AVAILABLE "55P03"

/* The work, in this order. */
enum task {
    TASK_BLOCKERS, /* sessions of people whose locks the writer waits for are ended, once a second */
    TASK_RULES,    /* the text of the rules is stored: when the writer has connected, and when they change */
    TASK_RECHECK,  /* verification of what was stored before a crash, or a lost reply: when the writer has connected */
    TASK_NUMBER, /* people's changes get their numbers, once a second: their own transactions do not hold the counter */
    TASK_ANNOUNCE, /* NOTIFY */
    TASK_VERIFY,   /* incidents with new raises; those that are thereby verified are announced too */
    TASK_DEVICES,  /* device status */
    TASK_NONE,
};

/* From every state a lost connection leads to DOWN. */
enum post_commit_state {
    POST_COMMIT_DOWN, /* no connection. -> IDLE */
    POST_COMMIT_IDLE, /* nothing is due, or it is throttled. -> BUSY */
    POST_COMMIT_BUSY, /* with `task`. Also after an error -> BUSY, IDLE */
};

static const struct machine_state states[] = {
    [POST_COMMIT_DOWN] = {"down", STATE_BIT(POST_COMMIT_DOWN) | STATE_BIT(POST_COMMIT_IDLE)},
    [POST_COMMIT_IDLE] = {"idle",
                          STATE_BIT(POST_COMMIT_IDLE) | STATE_BIT(POST_COMMIT_BUSY) | STATE_BIT(POST_COMMIT_DOWN)},
    [POST_COMMIT_BUSY] = {"busy",
                          STATE_BIT(POST_COMMIT_IDLE) | STATE_BIT(POST_COMMIT_BUSY) | STATE_BIT(POST_COMMIT_DOWN)},
};

struct post_commit {
    struct loop *loop;
    struct session *session;
    bool has_rules;
    uint8_t rules[16];
    char *rules_text;

    enum post_commit_state state;
    enum task task;
    bool allowed, flush; /* the writer is connected; nothing may wait longer */
    bool rules_due, recheck_due, number_due;
    int64_t recheck_us;      /* wall time: what was stored from about then on is to be verified; INT64_MAX: nothing */
    int64_t recheck_sent_us; /* of the recheck in progress: meanwhile another may become due */
    struct post_commit_queue queue;
    struct device_status *devices;
    uint64_t verified;
    bool busy;        /* batches come without a break: they have priority on the server */
    int64_t begun_us; /* monotonic: when the task in progress began */
    int64_t after_us; /* monotonic: nothing begins before then, unless flushed now */
    struct {
        int64_t after_us;  /* monotonic: the task is not due before then */
        unsigned failures; /* in a row */
    } tasks[TASK_NONE];
    struct event timer; /* something may be due */
    struct rate_limiter limiter;
};

/* The one place where the state changes. */
static void set_state(struct post_commit *p, enum post_commit_state state, const char *reason)
{
    transition_check(states, p->state, state, SUBJECT, "", reason);
    p->state = state;
}

/* Until when the updates of device status are due (monotonic). */
static int64_t status_due_us(const struct post_commit *p)
{
    return p->flush ? DEVICE_STATUS_ALL : loop_mono_us(p->loop);
}

static bool work_waits(const struct post_commit *p)
{
    return p->rules_due || p->recheck_due || p->queue.n_hints > 0 || p->queue.n_raises > 0;
}

static bool has_work(struct post_commit *p, enum task task)
{
    switch (task) {
    case TASK_BLOCKERS:
        return true;
    case TASK_RULES:
        return p->rules_due;
    case TASK_RECHECK:
        return p->recheck_due;
    case TASK_NUMBER:
        return p->number_due;
    case TASK_ANNOUNCE:
        return p->queue.n_hints > 0;
    case TASK_VERIFY:
        return p->queue.n_raises > 0;
    case TASK_DEVICES:
        return device_status_due(p->devices, status_due_us(p));
    case TASK_NONE:
        break;
    }
    return false;
}

static enum task what_is_due(struct post_commit *p)
{
    enum task task = 0;
    while (task < TASK_NONE && (!has_work(p, task) || loop_mono_us(p->loop) < p->tasks[task].after_us))
        task++;
    return task;
}

static void encode_rules(struct post_commit *p, struct buf *values)
{
    p->rules_due = false;
    buf_append(&values[0], p->rules, sizeof(p->rules));
    buf_append_str(&values[1], str_from(p->rules_text));
    buf_append_str(&values[2], str_from(session_instance(p->session)));
}

static void encode_recheck(struct post_commit *p, struct buf *values)
{
    p->recheck_sent_us = p->recheck_us;
    p->recheck_due = false, p->recheck_us = INT64_MAX;
    buf_be64(&values[0],
             (uint64_t)(p->recheck_sent_us == INT64_MAX ? INT64_MAX : pgtype_timestamp(p->recheck_sent_us)));
}

static void encode_nothing(struct post_commit *p, struct buf *values)
{
    (void)p, (void)values;
}

static void encode_raises(struct post_commit *p, struct buf *values)
{
    post_commit_queue_encode_raises(&p->queue, values);
}

static void encode_hints(struct post_commit *p, struct buf *values)
{
    post_commit_queue_encode_hints(&p->queue, values);
}

static void encode_devices(struct post_commit *p, struct buf *values)
{
    device_status_encode(p->devices, status_due_us(p), values);
}

static const Oid rules_types[] = {TYPE_UUID, TYPE_TEXT, TYPE_TEXT}, recheck_types[] = {TYPE_TIMESTAMPTZ};

static const struct {
    const char *sql, *name; /* the name, for the log */
    size_t n;
    const Oid *types;
    void (*encode)(struct post_commit *p, struct buf *values);
} tasks[] = {
    [TASK_RULES] = {"select mobeye.store_ruleset($1, $2, $3)", "storing the rules", 3, rules_types, encode_rules},
    [TASK_RECHECK] = {"select mobeye.verify_recent($1)", "verification of what came last before", 1, recheck_types,
                      encode_recheck},
    [TASK_BLOCKERS] = {"select mobeye.end_blockers()", "ending sessions that hold up storing", 0, NULL, encode_nothing},
    [TASK_NUMBER] = {"select mobeye.number_changes()", "numbering people's changes", 0, NULL, encode_nothing},
    [TASK_VERIFY] = {post_commit_verify_sql, "verification", POST_COMMIT_VERIFY_PARAMS, post_commit_verify_types,
                     encode_raises},
    [TASK_ANNOUNCE] = {post_commit_announce_sql, "sending notifications", POST_COMMIT_ANNOUNCE_PARAMS,
                       post_commit_announce_types, encode_hints},
    [TASK_DEVICES] = {device_status_sql, "storing the status of devices", DEVICE_STATUS_PARAMS, device_status_types,
                      encode_devices},
};

static void rest_for(struct post_commit *p, int64_t us)
{
    set_state(p, POST_COMMIT_IDLE, "nothing is due");
    for (enum task task = 0; p->allowed && task < TASK_NONE; task++) {
        int64_t left_us = p->tasks[task].after_us - loop_mono_us(p->loop);
        if (left_us < us && has_work(p, task))
            us = left_us > 0 ? left_us : 0;
    }
    loop_arm(&p->timer, us);
}

/* Begins the next task that is due. */
static void begin_next(struct post_commit *p)
{
    _Static_assert((int)DEVICE_STATUS_PARAMS >= (int)POST_COMMIT_VERIFY_PARAMS &&
                       (int)DEVICE_STATUS_PARAMS >= (int)POST_COMMIT_ANNOUNCE_PARAMS,
                   "device status has the most parameters");
    struct buf values[DEVICE_STATUS_PARAMS] = {0};
    int64_t early_us = p->flush ? 0 : p->after_us - loop_mono_us(p->loop);
    if (!p->allowed || early_us > 0) {
        set_state(p, POST_COMMIT_IDLE, "throttled");
        loop_arm(&p->timer, early_us > 0 ? early_us : CLOCK_MINUTE);
        return;
    }
    p->task = what_is_due(p);
    if (p->task == TASK_BLOCKERS)
        p->tasks[TASK_BLOCKERS].after_us = loop_mono_us(p->loop) + BLOCKERS_EVERY_US;
    if (p->task == TASK_NONE) {
        rest_for(p, CLOCK_MINUTE);
        return;
    }
    set_state(p, POST_COMMIT_BUSY, tasks[p->task].name);
    p->begun_us = loop_mono_us(p->loop);
    tasks[p->task].encode(p, values);
    session_send_params(p->session, tasks[p->task].sql, tasks[p->task].n, tasks[p->task].types, values);
    params_free(values, tasks[p->task].n);
}

/* Arms the timer: what waits is done after this time at the latest. */
static void run_within(struct post_commit *p, int64_t us)
{
    if (p->state == POST_COMMIT_IDLE)
        loop_arm(&p->timer, us);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct post_commit *p = arg;
    if (p->state == POST_COMMIT_IDLE)
        begin_next(p);
}

/* The ids of those that were verified, as one int8[]. */
static void on_verified(struct post_commit *p, const PGresult *result)
{
    size_t n = PQntuples(result) == 1 ? column_array_length(result, 0, 0, sizeof(uint64_t)) : SIZE_MAX;
    for (size_t i = 0; n != SIZE_MAX && i < n; i++) {
        post_commit_queue_hint(&p->queue, column_int8_array_at(result, 0, 0, i), INCIDENT_VERIFIED);
        p->verified++;
    }
}

static void on_blockers_ended(const PGresult *result)
{
    for (int row = 0; row < PQntuples(result); row++)
        log_warning("database", "ended %s: it held a lock that storing waited for", PQgetvalue(result, row, 0));
}

static bool has_failed(const struct post_commit *p)
{
    for (enum task task = 0; task < TASK_NONE; task++)
        if (p->tasks[task].failures > 0)
            return true;
    return false;
}

static void on_task_done(struct post_commit *p)
{
    p->tasks[p->task].failures = 0;
    if (!has_failed(p))
        log_recover(&p->limiter, SUBJECT, "verification, notifications and device status work again");
    session_reset_backoff(p->session);
    if (p->task == TASK_BLOCKERS)
        p->number_due = true;
    else if (p->task == TASK_NUMBER)
        p->number_due = false;
    else if (p->task == TASK_VERIFY)
        post_commit_queue_verified(&p->queue);
    else if (p->task == TASK_ANNOUNCE)
        post_commit_queue_announced(&p->queue);
    else if (p->task == TASK_DEVICES)
        device_status_confirm(p->devices, loop_mono_us(p->loop));
}

/* What was in progress is not done: it is due again. */
static void undo_task(struct post_commit *p)
{
    if (p->task == TASK_VERIFY)
        post_commit_queue_unverified(&p->queue);
    else if (p->task == TASK_DEVICES)
        device_status_revert(p->devices);
    else if (p->task == TASK_RULES)
        p->rules_due = p->has_rules;
    else if (p->task == TASK_RECHECK) {
        p->recheck_due = true;
        if (p->recheck_sent_us < p->recheck_us)
            p->recheck_us = p->recheck_sent_us;
    }
}

/* The other tasks continue. */
static void on_task_failed(struct post_commit *p, const struct fault *fault)
{
    bool locked = strcmp(fault->sqlstate, LOCK_NOT_AVAILABLE) == 0;
    undo_task(p);
    if (p->task == TASK_BLOCKERS)
        p->number_due = true;
    p->tasks[p->task].after_us = loop_mono_us(p->loop) + (locked ? LOCKED_RETRY_US : RETRY_US);
    p->tasks[p->task].failures++;
    if (p->allowed && (!locked || p->tasks[p->task].failures % LOCKED_LOG == 0))
        log_limited(&p->limiter, loop_mono_us(p->loop), LOG_LEVEL_WARNING, SUBJECT,
                    "%s: failed: %s (SQLSTATE %s); trying again", tasks[p->task].name, fault->text, fault->sqlstate);
    if (fault->class == SQLSTATE_RECONNECT) { /* it follows another server, which is looked for */
        rest_for(p, RETRY_US);
        session_drop(p->session, fault->text);
    } else {
        begin_next(p);
    }
}

static void on_end(void *ctx, const struct fault *fault)
{
    struct post_commit *p = ctx;
    if (fault) {
        on_task_failed(p, fault);
        return;
    }
    on_task_done(p);
    if (p->busy) /* as long as that took, so at most half the time */
        p->after_us = 2 * loop_mono_us(p->loop) - p->begun_us;
    begin_next(p);
}

static void on_result(void *ctx, PGresult *result)
{
    struct post_commit *p = ctx;
    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        return;
    if (p->task == TASK_VERIFY || p->task == TASK_RECHECK)
        on_verified(p, result);
    else if (p->task == TASK_BLOCKERS)
        on_blockers_ended(result);
}

static void on_ready(void *ctx)
{
    struct post_commit *p = ctx;
    for (enum task task = 0; task < TASK_NONE; task++)
        p->tasks[task].after_us = 0;
    set_state(p, POST_COMMIT_IDLE, "connected");
    begin_next(p);
}

static void go_down(struct post_commit *p, const char *reason)
{
    if (p->state == POST_COMMIT_BUSY)
        undo_task(p);
    set_state(p, POST_COMMIT_DOWN, reason);
    evtimer_del(&p->timer);
}

static void on_lost(void *ctx, const char *reason)
{
    go_down(ctx, reason);
}

static void set_rules(struct post_commit *p, const struct writer_options *options)
{
    free(p->rules_text);
    p->rules_text = mem_strdup(options->rules_text);
    p->has_rules = options->rules != NULL;
    if (p->has_rules)
        memcpy(p->rules, options->rules, sizeof(p->rules));
    p->rules_due = p->has_rules;
}

static const struct session_kind kind = {
    .name = "post-commit",
    .subject = SUBJECT,
    .meanwhile = "incidents are not verified or announced",
    .settings = "; set lock_timeout = '" LOCK_TIMEOUT "'",
};

struct post_commit *post_commit_new(struct loop *loop, const struct writer_options *options)
{
    static const struct session_calls session_calls = {
        .on_ready = on_ready, .on_lost = on_lost, .on_result = on_result, .on_end = on_end};
    struct post_commit *p = mem_zalloc(sizeof(*p));
    p->loop = loop;
    p->devices = device_status_new();
    p->recheck_due = true;
    p->recheck_us = INT64_MAX;
    evtimer_assign(&p->timer, loop_base(loop), on_timer, p);
    p->session = session_new(loop, &kind, options->conninfo, options->instance, &session_calls, p);
    session_suppress_log(p->session, true);
    set_rules(p, options);
    post_commit_queue_widen(&p->queue, options->verifies, options->verify_radius_m);
    return p;
}

void post_commit_start(struct post_commit *p)
{
    session_start(p->session);
}

void post_commit_free(struct post_commit **post_commit)
{
    struct post_commit *p = *post_commit;
    if (!p)
        return;
    session_free(&p->session);
    event_del(&p->timer);
    post_commit_queue_free(&p->queue);
    device_status_free(&p->devices);
    free(p->rules_text);
    free(p);
    *post_commit = NULL;
}

void post_commit_reconfigure(struct post_commit *p, const struct writer_options *options)
{
    if (!options->rules || !p->has_rules || memcmp(options->rules, p->rules, sizeof(p->rules)) != 0)
        set_rules(p, options);
    post_commit_queue_widen(&p->queue, options->verifies, options->verify_radius_m);
    if (session_differs(p->session, options->conninfo, options->instance)) {
        go_down(p, "the configuration changed");
        session_configure(p->session, options->conninfo, options->instance);
    }
    run_within(p, 0);
}

/* Not if the position is read while the writer is connected: then nothing was lost. */
void post_commit_verified_until(struct post_commit *p, int64_t until_us)
{
    if (p->recheck_due && until_us < p->recheck_us)
        p->recheck_us = until_us;
}

void post_commit_allow(struct post_commit *p, bool allowed)
{
    p->allowed = allowed;
    p->rules_due = p->has_rules;
    p->recheck_due = true;
    session_suppress_log(p->session, !allowed);
    run_within(p, 0);
}

void post_commit_batch(struct post_commit *p, struct encoded_batch *encoded, const struct incident_rows *incidents,
                       bool busy)
{
    const struct batch *batch = encoded->batch;
    for (size_t i = 0; i < batch->n; i++)
        if (!batch->rows[i].unreadable)
            device_status_update(p->devices, &batch->rows[i].alert, encoded->status[i] == ROW_STORE);
    post_commit_queue_batch(&p->queue, batch, encoded_batch_rows_to_store(encoded), incidents, loop_mono_us(p->loop));
    p->busy = busy;
    run_within(p, 0);
}

void post_commit_mark_silent(struct post_commit *p, struct str device)
{
    device_status_write_now(p->devices, device);
    run_within(p, 0);
}

int64_t post_commit_status_written_until_us(const struct post_commit *p)
{
    return device_status_written_until_us(p->devices);
}

int64_t post_commit_unverified_us(const struct post_commit *p)
{
    bool rechecks = p->recheck_due || (p->state == POST_COMMIT_BUSY && p->task == TASK_RECHECK);
    return rechecks ? INT64_MAX : post_commit_queue_waited_us(&p->queue, loop_mono_us(p->loop));
}

void post_commit_flush_now(struct post_commit *p)
{
    p->flush = true;
    run_within(p, 0);
}

bool post_commit_drained(const struct post_commit *p)
{
    bool noted = !p->flush || post_commit_status_written_until_us(p) == INT64_MAX;
    return !p->allowed || (p->state != POST_COMMIT_BUSY && !work_waits(p) && noted);
}

uint64_t post_commit_verified(const struct post_commit *p)
{
    return p->verified;
}
