#include "store/writer.h"

#include <assert.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/writer_parts.h"

#define HUNG_US (30 * CLOCK_SECOND)

/* The word for people, and who takes a result and the end of the query in each state. */
static const struct {
    const char *name, *word;
    void (*result)(struct writer *w, PGresult *result);
    void (*over)(struct writer *w);
} states[] = {
    [WRITER_STOPPED] = {"stopped", "stopped", NULL, NULL},
    [WRITER_CONNECTING] = {"connecting", "waiting", NULL, NULL},
    [WRITER_PREPARING] = {"preparing", "checking", writer_prepare_result, writer_prepared},
    [WRITER_CHECKING] = {"checking", "checking", writer_check_result, writer_checked},
    [WRITER_WAITING] = {"waiting", "waiting", NULL, NULL},
    [WRITER_UPKEEP] = {"maintenance", "checking", writer_upkeep_result, writer_upkeep_over},
    [WRITER_POSITION] = {"position", "checking", writer_position_result, writer_position_over},
    [WRITER_IDLE] = {"idle", "connected", NULL, NULL},
    [WRITER_OPENING] = {"opening", "connected", writer_batch_result, writer_opened},
    [WRITER_IDENTITIES] = {"identities", "connected", writer_batch_result, writer_read_incidents},
    [WRITER_CLAIMING] = {"claiming", "connected", writer_batch_result, writer_claimed},
    [WRITER_COMPARING] = {"comparing", "connected", writer_batch_result, writer_compared},
    [WRITER_READING] = {"reading", "connected", writer_read_result, writer_read_over},
    [WRITER_STORING] = {"storing", "connected", writer_store_result, writer_store_over},
    [WRITER_ALERTS] = {"alerts", "connected", writer_batch_result, writer_end},
    [WRITER_ISOLATING] = {"isolating", "connected", writer_batch_result, writer_piece_stored},
    [WRITER_ENDING] = {"ending", "connected", writer_batch_result, writer_ended},
    [WRITER_ROLLBACK] = {"rollback", "connected", NULL, writer_rolled_back},
    [WRITER_PARTITIONS] = {"partitions", "connected", NULL, writer_partitions_over},
    [WRITER_PAUSED] = {"paused", "waiting", NULL, NULL},
};

void writer_set_state(struct writer *w, enum writer_state state, const char *reason)
{
    log_debug(WRITER_SUBJECT, "%s -> %s: %s", states[w->state].name, states[state].name, reason);
    w->state = state;
    bool connected = strcmp(states[state].word, "connected") == 0;
    if (connected || (w->up && state != WRITER_PAUSED))
        snprintf(w->text, sizeof(w->text), "connected");
    else
        snprintf(w->text, sizeof(w->text), "%s: %s", states[state].word, reason);
}

void writer_tell_up(struct writer *w, bool up)
{
    if (w->up == up)
        return;
    w->up = up;
    post_commit_allow(w->post_commit, up);
    w->calls.up(w->ctx, up);
}

void writer_forget(struct writer *w)
{
    writer_forget_refused(w);
    while (w->n > 0) {
        struct batch *batch = writer_batch(w)->batch;
        encoded_batch_clear(writer_batch(w));
        w->first = 1 - w->first;
        w->n--;
        w->calls.done(w->ctx, batch);
    }
}

static void disconnected(struct writer *w, const char *reason)
{
    evtimer_del(&w->timer);
    evtimer_del(&w->watch);
    w->faulty = false;
    writer_tell_up(w, false);
    writer_set_state(w, WRITER_CONNECTING, reason);
    writer_lost(w);
    writer_forget(w);
}

static void configure(struct writer *w)
{
    struct buf name = {0};
    buf_printf(&name, "mobeyed %s", w->instance);
    pgconn_configure(w->conn, w->conninfo, name.data);
    buf_free(&name);
}

static void connect_anew(struct writer *w)
{
    w->asked_connect = false;
    disconnected(w, "the configuration changed");
    configure(w);
}

static void heard(struct writer *w)
{
    w->last_received_us = loop_mono_us(w->loop);
    if (!evtimer_pending(&w->watch, NULL))
        loop_arm(&w->watch, HUNG_US);
}

void writer_query(struct writer *w, const char *sql)
{
    heard(w);
    pgconn_query(w->conn, sql);
}

void writer_query_params(struct writer *w, const char *sql, size_t n, const Oid *types, const struct buf *values)
{
    heard(w);
    pgconn_query_params(w->conn, sql, n, types, values);
}

void writer_next(struct writer *w)
{
    if (w->asked_connect)
        connect_anew(w);
    else if (w->asked_position)
        writer_read_position(w);
    else if (w->upkeep_due)
        writer_check(w);
    else if (w->n > 0)
        writer_begin(w);
}

static void up_cb(void *ctx)
{
    writer_prepare(ctx);
}

static void down_cb(void *ctx, const char *why)
{
    disconnected(ctx, why);
}

static void waiting_cb(void *ctx, const char *text)
{
    writer_set_state(ctx, WRITER_CONNECTING, text);
}

static void result_cb(void *ctx, PGresult *result)
{
    struct writer *w = ctx;
    heard(w);
    log_recover(&w->hung_complaint, WRITER_SUBJECT, "the server answers again");
    if (result && PQresultStatus(result) == PGRES_FATAL_ERROR) {
        if (!w->faulty)
            fault_read(&w->fault, result);
        w->faulty = true;
    } else if (result) {
        if (states[w->state].result)
            states[w->state].result(w, result);
    } else if (w->faulty) {
        w->faulty = false;
        writer_fault(w);
    } else {
        states[w->state].over(w);
    }
}

static bool chunk_cb(void *ctx, struct str *ret)
{
    struct writer *w = ctx;
    heard(w);
    if (writer_chunk(w, ret))
        return true;
    if (w->state == WRITER_ALERTS && !w->server_busy) {
        w->server_busy = true;
        event_active(&w->kick, 0, 0);
    }
    return false;
}

/* Somebody moved the position of a journal back on purpose. */
static void notified_cb(void *ctx, const char *payload)
{
    struct writer *w = ctx;
    char journal[IDENTITY_TEXT_SIZE];
    if (strcmp(payload, identity_text(w->journal, journal)) != 0)
        return;
    w->asked_position = true;
    event_active(&w->kick, 0, 0);
}

static void kick_cb(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct writer *w = arg;
    if (w->state == WRITER_IDLE)
        writer_next(w);
    else if (w->asked_connect &&
             (w->state == WRITER_CONNECTING || w->state == WRITER_WAITING || w->state == WRITER_PAUSED))
        connect_anew(w);
    if (w->server_busy && writer_wants(w))
        w->calls.ready(w->ctx);
}

static void timer_cb(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct writer *w = arg;
    if (w->asked_connect)
        connect_anew(w);
    else if (w->state == WRITER_WAITING)
        writer_prepare(w);
    else if (w->state == WRITER_PAUSED)
        writer_begin(w);
}

static void minute_cb(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct writer *w = arg;
    w->upkeep_due = true;
    if (w->state == WRITER_IDLE)
        writer_next(w);
}

static bool server_owes_answer(const struct writer *w)
{
    return states[w->state].over != NULL;
}

/* Nothing is cancelled: the server may be within a COMMIT, or wait for its standby. */
static void watch_cb(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct writer *w = arg;
    int64_t silent_us = loop_mono_us(w->loop) - w->last_received_us;
    if (!server_owes_answer(w))
        return;
    if (silent_us < HUNG_US) {
        loop_arm(&w->watch, HUNG_US - silent_us);
        return;
    }
    loop_arm(&w->watch, HUNG_US);
    log_limited(&w->hung_complaint, loop_mono_us(w->loop), LOG_LEVEL_WARNING, WRITER_SUBJECT,
                "the server has not answered for more than %d s (%s); alerts stay in the journal",
                (int)(HUNG_US / CLOCK_SECOND), states[w->state].name);
}

static void set_rules(struct writer *w, const struct writer_options *options)
{
    w->has_rules = options->rules != NULL;
    if (w->has_rules)
        memcpy(w->rules, options->rules, sizeof(w->rules));
}

struct writer *writer_new(struct loop *loop, const struct writer_options *options, const struct writer_calls *calls,
                          void *ctx)
{
    static const struct pgconn_calls conn_calls = {
        .up = up_cb,
        .down = down_cb,
        .waiting = waiting_cb,
        .result = result_cb,
        .chunk = chunk_cb,
        .notified = notified_cb,
    };
    struct writer *w = mem_zalloc(sizeof(*w));
    if (sodium_init() < 0)
        abort(); /* no source of randomness */
    w->loop = loop;
    w->calls = *calls;
    w->ctx = ctx;
    w->conninfo = mem_strdup(options->conninfo);
    w->instance = mem_strdup(options->instance);
    memcpy(w->journal, options->journal_uuid, sizeof(w->journal));
    memcpy(w->keep_us, options->keep_us, sizeof(w->keep_us));
    set_rules(w, options);
    w->post_commit = post_commit_new(loop, options);
    evtimer_assign(&w->timer, loop_base(loop), timer_cb, w);
    evtimer_assign(&w->kick, loop_base(loop), kick_cb, w);
    evtimer_assign(&w->minute, loop_base(loop), minute_cb, w);
    evtimer_assign(&w->watch, loop_base(loop), watch_cb, w);
    w->conn = pgconn_new(loop, &conn_calls, w);
    configure(w);
    writer_set_state(w, WRITER_STOPPED, "not started");
    return w;
}

void writer_free(struct writer **writer)
{
    struct writer *w = *writer;
    if (!w)
        return;
    w->up = false;
    pgconn_free(&w->conn);
    event_del(&w->timer);
    event_del(&w->kick);
    event_del(&w->minute);
    event_del(&w->watch);
    writer_forget(w);
    encoded_batch_free(&w->batches[0]);
    encoded_batch_free(&w->batches[1]);
    buf_free(&w->copy);
    incident_rows_free(&w->incidents);
    post_commit_free(&w->post_commit);
    free(w->conninfo);
    free(w->instance);
    free(w);
    *writer = NULL;
}

void writer_start(struct writer *w)
{
    writer_set_state(w, WRITER_CONNECTING, "connecting");
    pgconn_start(w->conn);
    post_commit_start(w->post_commit);
}

bool writer_wants(const struct writer *w)
{
    /* While rows are being sent the server would wait for what encoding the next batch takes: 5 ms for 5,000 alerts. */
    bool room = w->n == 0 || (w->n == 1 && w->server_busy);
    return w->up && w->state != WRITER_POSITION && !w->asked_position && !w->asked_connect && room;
}

void writer_submit(struct writer *w, struct batch *batch)
{
    assert(writer_wants(w) && batch->first_seq <= batch->last_seq);
    if (batch->first_seq != w->submitted_seq + 1) {
        log_error(WRITER_SUBJECT, "a batch begins with %" PRIu64 ", not after %" PRIu64 "; this is a bug",
                  batch->first_seq, w->submitted_seq);
        abort(); /* the position would pass over accepted alerts; after a restart they are read again */
    }
    w->submitted_seq = batch->last_seq;
    encoded_batch_fill(&w->batches[(w->first + w->n) % 2], batch, w->instance, w->has_rules ? w->rules : NULL);
    w->n++;
    if (w->state == WRITER_IDLE)
        event_active(&w->kick, 0, 0);
}

void writer_set_journal(struct writer *w, const uint8_t *journal_uuid)
{
    memcpy(w->journal, journal_uuid, sizeof(w->journal));
    post_commit_set_journal(w->post_commit, journal_uuid);
    w->asked_position = true;
    event_active(&w->kick, 0, 0);
}

void writer_reconfigure(struct writer *w, const struct writer_options *options)
{
    memcpy(w->keep_us, options->keep_us, sizeof(w->keep_us));
    set_rules(w, options);
    post_commit_reconfigure(w->post_commit, options);
    event_active(&w->kick, 0, 0);
    if (strcmp(options->conninfo, w->conninfo) == 0 && strcmp(options->instance, w->instance) == 0)
        return;
    char *old_conninfo = w->conninfo, *old_instance = w->instance;
    w->conninfo = mem_strdup(options->conninfo);
    w->instance = mem_strdup(options->instance);
    free(old_conninfo);
    free(old_instance);
    if (w->state == WRITER_STOPPED)
        configure(w);
    w->asked_connect = w->state != WRITER_STOPPED;
}

bool writer_idle(const struct writer *w)
{
    return w->n == 0;
}

bool writer_drained(const struct writer *w)
{
    return w->n == 0 && post_commit_drained(w->post_commit);
}

struct writer_counts writer_counts(const struct writer *w)
{
    struct writer_counts counts = w->counts;
    counts.verified = post_commit_verified(w->post_commit);
    return counts;
}

void writer_mark_silent(struct writer *w, struct str device)
{
    post_commit_mark_silent(w->post_commit, device);
}

int64_t writer_status_written_until_us(const struct writer *w)
{
    return post_commit_status_written_until_us(w->post_commit);
}

void writer_flush_now(struct writer *w)
{
    post_commit_flush_now(w->post_commit);
}

const char *writer_state(const struct writer *w)
{
    return w->text;
}

int64_t writer_partitions_until_us(const struct writer *w)
{
    return w->partitions_until_us;
}
