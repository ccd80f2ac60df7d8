#include "store/post_commit.h"

#include <event2/event_struct.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/column.h"
#include "store/device_status.h"
#include "store/pgconn.h"
#include "store/pgtype.h"
#include "store/post_commit_queue.h"
#include "store/sqlstate.h"

#define SUBJECT "post-commit"

/* What failed is tried again after so long. */
#define RETRY_US (5 * CLOCK_SECOND)
/* People's changes get their numbers once in this time. */
#define NUMBER_EVERY_US CLOCK_SECOND

/* What follows, in this order. */
enum task {
    TASK_RULES,   /* the text of the rules is kept: when the writer has connected, and when they change */
    TASK_RECHECK, /* verification of what was stored before a crash, or a lost answer: when the writer has connected */
    TASK_NUMBER, /* people's changes get their numbers, once a second: their own transactions do not hold the counter */
    TASK_ANNOUNCE, /* NOTIFY */
    TASK_VERIFY,   /* incidents of which something was raised; what is verified by it is announced, too */
    TASK_DEVICES,  /* what devices were last heard to say */
    TASK_NONE,
};

enum post_commit_state {
    POST_COMMIT_DOWN,      /* no connection. -> PREPARING */
    POST_COMMIT_PREPARING, /* settings of the session. -> IDLE */
    POST_COMMIT_IDLE,      /* nothing is due, or it has to rest. -> BUSY */
    POST_COMMIT_BUSY,      /* with `task`. Also after an error -> BUSY, IDLE */
};

struct post_commit {
    struct loop *loop;
    struct pgconn *conn;
    char *conninfo, *instance; /* that the connection was made with */
    uint8_t journal[IDENTITY_BYTES];
    bool has_rules;
    uint8_t rules[16];
    char *rules_text;

    enum post_commit_state state;
    enum task task;
    bool allowed, hurry;
    bool rules_due, recheck_due;
    struct post_commit_queue queue;
    struct device_status *devices;
    uint64_t verified;
    bool busy;         /* batches come without end: the server's time is theirs first */
    int64_t begun_us;  /* monotonic: the task on its way */
    int64_t after_us;  /* monotonic: nothing begins before then, unless in a hurry */
    int64_t number_us; /* monotonic: people's changes are numbered then */
    bool faulty;       /* the statement on its way failed */
    struct fault fault;
    struct event timer; /* something may be due */
    struct rate_limiter limiter;
};

/* For the notes of devices. */
static int64_t now_us(const struct post_commit *f)
{
    return f->hurry ? DEVICE_STATUS_ALL : loop_mono_us(f->loop);
}

static bool waits(const struct post_commit *f)
{
    return f->rules_due || f->recheck_due || f->queue.n_hints > 0 || f->queue.n_raises > 0;
}

static enum task what_is_due(struct post_commit *f)
{
    if (f->rules_due)
        return TASK_RULES;
    if (f->recheck_due)
        return TASK_RECHECK;
    if (loop_mono_us(f->loop) >= f->number_us)
        return TASK_NUMBER;
    if (f->queue.n_hints > 0)
        return TASK_ANNOUNCE;
    if (f->queue.n_raises > 0)
        return TASK_VERIFY;
    return device_status_due(f->devices, now_us(f)) ? TASK_DEVICES : TASK_NONE;
}

static void put_rules(struct post_commit *f, struct buf *values)
{
    buf_append(&values[0], f->rules, sizeof(f->rules));
    buf_append_str(&values[1], str_from(f->rules_text));
    buf_append_str(&values[2], str_from(f->instance));
}

static void put_journal(struct post_commit *f, struct buf *values)
{
    buf_append(&values[0], f->journal, sizeof(f->journal));
}

static void put_nothing(struct post_commit *f, struct buf *values)
{
    (void)f, (void)values;
}

static void put_raises(struct post_commit *f, struct buf *values)
{
    post_commit_queue_encode_raises(&f->queue, values);
}

static void put_hints(struct post_commit *f, struct buf *values)
{
    post_commit_queue_encode_hints(&f->queue, values);
}

static void put_devices(struct post_commit *f, struct buf *values)
{
    device_status_encode(f->devices, now_us(f), values);
}

static const Oid rules_types[] = {TYPE_UUID, TYPE_TEXT, TYPE_TEXT};

static const struct {
    const char *sql, *name; /* the name as a complaint says it */
    size_t n;
    const Oid *types;
    void (*put)(struct post_commit *f, struct buf *values);
} tasks[] = {
    [TASK_RULES] = {"select mobeye.keep_rules($1, $2, $3)", "keeping the rules", 3, rules_types, put_rules},
    [TASK_RECHECK] = {"select mobeye.verify_recent($1)", "verification of what came last before", 1, rules_types,
                      put_journal},
    [TASK_NUMBER] = {"select mobeye.number_changes()", "numbering people's changes", 0, NULL, put_nothing},
    [TASK_VERIFY] = {post_commit_verify_sql, "verification", POST_COMMIT_VERIFY_PARAMS, post_commit_verify_types,
                     put_raises},
    [TASK_ANNOUNCE] = {post_commit_announce_sql, "announcing", POST_COMMIT_ANNOUNCE_PARAMS, post_commit_announce_types,
                       put_hints},
    [TASK_DEVICES] = {device_status_sql, "noting what devices say", DEVICE_STATUS_PARAMS, device_status_types,
                      put_devices},
};

static void rest(struct post_commit *f, int64_t us)
{
    int64_t number_us = f->number_us - loop_mono_us(f->loop);
    f->state = POST_COMMIT_IDLE;
    if (f->allowed && number_us < us)
        us = number_us > 0 ? number_us : 0;
    loop_arm(&f->timer, us);
}

/* Begins what is due. */
static void next(struct post_commit *f)
{
    struct buf values[DEVICE_STATUS_PARAMS] = {0};
    int64_t early_us = f->hurry ? 0 : f->after_us - loop_mono_us(f->loop);
    if (!f->allowed || early_us > 0) {
        f->state = POST_COMMIT_IDLE;
        loop_arm(&f->timer, early_us > 0 ? early_us : CLOCK_MINUTE);
        return;
    }
    f->task = what_is_due(f);
    if (f->task == TASK_NUMBER)
        f->number_us = loop_mono_us(f->loop) + NUMBER_EVERY_US;
    if (f->task == TASK_NONE) {
        rest(f, CLOCK_MINUTE);
        return;
    }
    f->state = POST_COMMIT_BUSY;
    f->begun_us = loop_mono_us(f->loop);
    tasks[f->task].put(f, values);
    pgconn_query_params(f->conn, tasks[f->task].sql, tasks[f->task].n, tasks[f->task].types, values);
    for (size_t i = 0; i < DEVICE_STATUS_PARAMS; i++)
        buf_free(&values[i]);
}

/* What waits has its turn after so long, or sooner. */
static void look_in(struct post_commit *f, int64_t us)
{
    if (f->state == POST_COMMIT_IDLE)
        loop_arm(&f->timer, us);
}

static void timer_cb(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct post_commit *f = arg;
    if (f->state == POST_COMMIT_IDLE)
        next(f);
}

/* The ids of those that were verified, as one int8[]. */
static void on_verified(struct post_commit *f, const PGresult *result)
{
    size_t n = PQntuples(result) == 1 ? column_int8_array_length(result, 0, 0) : SIZE_MAX;
    for (size_t i = 0; n != SIZE_MAX && i < n; i++) {
        post_commit_queue_hint(&f->queue, column_int8_array_at(result, 0, 0, i), INCIDENT_VERIFIED);
        f->verified++;
    }
}

static void task_done(struct post_commit *f)
{
    log_recover(&f->limiter, SUBJECT, "verification, hints and device status work again");
    pgconn_reset_backoff(f->conn);
    if (f->task == TASK_RULES)
        f->rules_due = false;
    else if (f->task == TASK_RECHECK)
        f->recheck_due = false;
    else if (f->task == TASK_VERIFY)
        post_commit_queue_verified(&f->queue);
    else if (f->task == TASK_ANNOUNCE)
        post_commit_queue_announced(&f->queue);
    else if (f->task == TASK_DEVICES)
        device_status_confirm(f->devices, loop_mono_us(f->loop));
}

/* What was on its way is not done: it is due again. */
static void task_undone(struct post_commit *f)
{
    if (f->task == TASK_VERIFY)
        post_commit_queue_unverified(&f->queue);
    else if (f->task == TASK_DEVICES)
        device_status_revert(f->devices);
}

static void task_failed(struct post_commit *f)
{
    task_undone(f);
    if (f->allowed)
        log_limited(&f->limiter, loop_mono_us(f->loop), LOG_LEVEL_WARNING, SUBJECT,
                    "%s failed: %s (SQLSTATE %s); trying again", tasks[f->task].name, f->fault.text, f->fault.sqlstate);
    if (f->fault.class == SQLSTATE_RECONNECT) { /* it follows another server, which is looked for */
        f->state = POST_COMMIT_DOWN;
        pgconn_drop(f->conn, f->fault.text);
    } else {
        f->after_us = loop_mono_us(f->loop) + RETRY_US;
        rest(f, RETRY_US);
    }
}

static void over(struct post_commit *f)
{
    bool faulty = f->faulty;
    f->faulty = false;
    if (f->state == POST_COMMIT_BUSY && faulty) {
        task_failed(f);
        return;
    }
    if (f->state == POST_COMMIT_BUSY)
        task_done(f);
    if (f->state == POST_COMMIT_BUSY && f->busy) /* as long as that took, so at most half the time */
        f->after_us = 2 * loop_mono_us(f->loop) - f->begun_us;
    next(f);
}

static void result_cb(void *ctx, PGresult *result)
{
    struct post_commit *f = ctx;
    bool verifies = f->state == POST_COMMIT_BUSY && (f->task == TASK_VERIFY || f->task == TASK_RECHECK);
    if (!result) {
        over(f);
    } else if (PQresultStatus(result) == PGRES_FATAL_ERROR) {
        f->faulty = true;
        fault_read(&f->fault, result);
    } else if (PQresultStatus(result) == PGRES_TUPLES_OK && verifies) {
        on_verified(f, result);
    }
}

static void up_cb(void *ctx)
{
    struct post_commit *f = ctx;
    f->state = POST_COMMIT_PREPARING;
    f->faulty = false;
    pgconn_query(f->conn, "set client_min_messages = warning; set timezone = 'UTC'; set lock_timeout = '30s'; "
                          "set idle_in_transaction_session_timeout = 0");
}

static void down(struct post_commit *f)
{
    if (f->state == POST_COMMIT_BUSY)
        task_undone(f);
    f->state = POST_COMMIT_DOWN;
    evtimer_del(&f->timer);
}

static void down_cb(void *ctx, const char *why)
{
    (void)why;
    down(ctx);
}

static void waiting_cb(void *ctx, const char *text)
{
    (void)ctx, (void)text;
}

static void set_rules(struct post_commit *f, const struct writer_options *options)
{
    free(f->rules_text);
    f->rules_text = mem_strdup(options->rules_text);
    f->has_rules = options->rules != NULL;
    if (f->has_rules)
        memcpy(f->rules, options->rules, sizeof(f->rules));
    f->rules_due = f->has_rules;
}

static void configure(struct post_commit *f, const struct writer_options *options)
{
    struct buf name = {0};
    char *conninfo = mem_strdup(options->conninfo), *instance = mem_strdup(options->instance);
    free(f->conninfo);
    free(f->instance);
    f->conninfo = conninfo;
    f->instance = instance;
    buf_printf(&name, "mobeyed %s post-commit", instance);
    pgconn_configure(f->conn, conninfo, name.data);
    buf_free(&name);
}

struct post_commit *post_commit_new(struct loop *loop, const struct writer_options *options)
{
    static const struct pgconn_calls conn_calls = {
        .up = up_cb, .down = down_cb, .waiting = waiting_cb, .result = result_cb};
    struct post_commit *f = mem_zalloc(sizeof(*f));
    f->loop = loop;
    f->devices = device_status_new();
    memcpy(f->journal, options->journal_uuid, sizeof(f->journal));
    evtimer_assign(&f->timer, loop_base(loop), timer_cb, f);
    f->conn = pgconn_new(loop, &conn_calls, f);
    pgconn_set_log_texts(f->conn, SUBJECT, "no incident is verified or announced");
    pgconn_suppress_log(f->conn, true);
    set_rules(f, options);
    configure(f, options);
    return f;
}

void post_commit_start(struct post_commit *f)
{
    pgconn_start(f->conn);
}

void post_commit_free(struct post_commit **post_commit)
{
    struct post_commit *f = *post_commit;
    if (!f)
        return;
    pgconn_free(&f->conn);
    event_del(&f->timer);
    post_commit_queue_free(&f->queue);
    device_status_free(&f->devices);
    free(f->conninfo);
    free(f->instance);
    free(f->rules_text);
    free(f);
    *post_commit = NULL;
}

void post_commit_reconfigure(struct post_commit *f, const struct writer_options *options)
{
    if (!options->rules || !f->has_rules || memcmp(options->rules, f->rules, sizeof(f->rules)) != 0)
        set_rules(f, options);
    if (strcmp(options->conninfo, f->conninfo) != 0 || strcmp(options->instance, f->instance) != 0) {
        down(f);
        configure(f, options);
    }
    look_in(f, 0);
}

void post_commit_set_journal(struct post_commit *f, const uint8_t *journal_uuid)
{
    memcpy(f->journal, journal_uuid, sizeof(f->journal));
}

void post_commit_allow(struct post_commit *f, bool allowed)
{
    f->allowed = allowed;
    f->rules_due = f->has_rules;
    f->recheck_due = true;
    pgconn_suppress_log(f->conn, !allowed);
    look_in(f, 0);
}

void post_commit_batch(struct post_commit *f, struct encoded_batch *encoded, const struct incident_rows *incidents,
                       bool busy)
{
    const struct batch *batch = encoded->batch;
    for (size_t i = 0; i < batch->n; i++)
        if (!batch->rows[i].unreadable)
            device_status_update(f->devices, &batch->rows[i].alert, encoded->status[i] == ROW_STORE);
    post_commit_queue_batch(&f->queue, batch, encoded_batch_rows_to_store(encoded), incidents);
    f->busy = busy;
    look_in(f, 0);
}

void post_commit_mark_silent(struct post_commit *f, struct str device)
{
    device_status_write_now(f->devices, device);
    look_in(f, 0);
}

int64_t post_commit_status_written_until_us(const struct post_commit *f)
{
    return device_status_written_until_us(f->devices);
}

void post_commit_flush_now(struct post_commit *f)
{
    f->hurry = true;
    look_in(f, 0);
}

bool post_commit_drained(const struct post_commit *f)
{
    bool noted = !f->hurry || post_commit_status_written_until_us(f) == INT64_MAX;
    return !f->allowed || (f->state != POST_COMMIT_BUSY && !waits(f) && noted);
}

uint64_t post_commit_verified(const struct post_commit *f)
{
    return f->verified;
}
