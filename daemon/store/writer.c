#include "store/writer.h"

#include <assert.h>
#include <event2/event_struct.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/transition.h"
#include "store/journal_session.h"
#include "store/post_commit.h"
#include "store/stored_batch.h"
#include "store/transaction.h"

#define SUBJECT "database"

#define RETRY_LEAST_US (100 * CLOCK_MS)
#define STOP_LEAST_US  CLOCK_SECOND
#define PAUSE_MOST_US  (30 * CLOCK_SECOND)

/* Rows encoded per iteration of the loop, in less than half a millisecond: meanwhile rows of the previous batch have to
 * be sent, and senders wait for their replies. */
#define ENCODE_ROWS 256

enum writer_state {
    WRITER_STOPPED, /* not started, or being freed. -> OFFLINE */
    WRITER_OFFLINE, /* no usable session (store/journal_session.h). -> IDLE */
    WRITER_IDLE,    /* between transactions; the session may be doing its checks. -> STORING; lost -> OFFLINE */
    WRITER_STORING, /* a transaction (store/transaction.h). -> IDLE, PAUSED; lost -> OFFLINE */
    WRITER_PAUSED,  /* it failed, and is retried after a jittered pause. -> IDLE; lost -> OFFLINE */
};

#define TO(state) STATE_BIT(WRITER_##state)

static const struct machine_state states[] = {
    [WRITER_STOPPED] = {"stopped", TO(STOPPED) | TO(OFFLINE)},
    [WRITER_OFFLINE] = {"offline", TO(OFFLINE) | TO(IDLE) | TO(STOPPED)},
    [WRITER_IDLE] = {"idle", TO(IDLE) | TO(STORING) | TO(OFFLINE) | TO(STOPPED)},
    [WRITER_STORING] = {"storing", TO(IDLE) | TO(PAUSED) | TO(OFFLINE) | TO(STOPPED)},
    [WRITER_PAUSED] = {"paused", TO(IDLE) | TO(OFFLINE) | TO(STOPPED)},
};

struct writer {
    struct loop *loop;
    struct writer_calls calls;
    void *ctx;
    struct journal_session *session;
    struct transaction transaction;
    struct post_commit *post_commit;
    struct writer_rules {
        bool known;
        uint8_t hash[16];
    } rules;
    enum writer_state state;
    char text[640];                  /* PAUSED: writer_state() */
    struct encoded_batch batches[2]; /* the one in the transaction, and the next */
    size_t first, n;                 /* index of the first, how many */
    uint64_t submitted_seq;          /* the next batch follows on it */
    /* A COMMIT whose reply was lost with the connection: the position that is read next says whether it happened. */
    struct writer_uncertain {
        struct writer_stored stored; /* last_seq 0: none */
        uint64_t checksum;
    } uncertain;
    unsigned retries; /* pauses in a row */
    struct writer_counts counts;
    struct event pause, wakeup, encode;
    struct writer_limiters {
        struct rate_limiter failure, refused, conflict;
    } limiters;
};

/* The one place where the state changes. */
static void set_state(struct writer *w, enum writer_state state, const char *reason)
{
    transition_check(states, w->state, state, SUBJECT, "writer", reason);
    w->state = state;
    snprintf(w->text, sizeof(w->text), "waiting: %s", reason);
}

static bool is_up(const struct writer *w)
{
    return w->state == WRITER_IDLE || w->state == WRITER_STORING || w->state == WRITER_PAUSED;
}

static struct encoded_batch *first_batch(struct writer *w)
{
    return &w->batches[w->first];
}

static void remove_first(struct writer *w)
{
    encoded_batch_clear(first_batch(w));
    w->first = 1 - w->first;
    w->n--;
}

/* store: of the first batch, as on_done() has it. */
static void forget_batches(struct writer *w, const uint8_t *store)
{
    for (; w->n > 0; store = NULL) {
        struct batch *batch = first_batch(w)->batch;
        remove_first(w);
        w->calls.on_done(w->ctx, batch, store);
    }
}

static void report_up(struct writer *w, bool up)
{
    post_commit_allow(w->post_commit, up);
    w->calls.on_up(w->ctx, up);
}

static void begin_transaction(struct writer *w)
{
    struct buf move = {0};
    struct encoded_batch *encoded = first_batch(w);
    journal_session_append_move(w->session, encoded->batch, &move);
    set_state(w, WRITER_STORING, "a batch");
    transaction_begin(&w->transaction, encoded, move.data, journal_session_journal(w->session));
    buf_free(&move);
}

/* The last one, the only one that may be incomplete; NULL: there is none. */
static struct encoded_batch *last_batch(struct writer *w)
{
    return w->n > 0 ? &w->batches[(w->first + w->n - 1) % 2] : NULL;
}

/* Whatever the session has due comes before the next batch, and may be done while that is paused. */
static void run_next(struct writer *w)
{
    if (w->state == WRITER_STORING || journal_session_run_due(w->session))
        return;
    if (w->state == WRITER_IDLE && w->n > 0 && first_batch(w)->complete && journal_session_ready(w->session))
        begin_transaction(w);
}

static void on_wakeup(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct writer *w = arg;
    run_next(w);
    if (w->state == WRITER_STORING && writer_wants(w))
        w->calls.on_ready(w->ctx);
}

static void on_encode(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct writer *w = arg;
    struct encoded_batch *encoded = last_batch(w);
    if (!encoded)
        return;
    if (!encoded_batch_step(encoded, ENCODE_ROWS))
        loop_arm(&w->encode, 0);
    else
        on_wakeup(-1, 0, w);
}

static void on_pause_over(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct writer *w = arg;
    set_state(w, WRITER_IDLE, "trying again");
    run_next(w);
}

/* The next transaction begins before the owner is called: PostgreSQL works while the owner prepares the next batch. */
static void on_committed(struct writer *w)
{
    struct batch *batch = first_batch(w)->batch;
    struct writer_stored stored = stored_batch_count(first_batch(w), w->transaction.quarantined);
    const uint8_t *store = encoded_batch_rows_to_store(first_batch(w));
    stored_batch_log_refusals(first_batch(w), stored.quarantined, &w->limiters.refused, loop_mono_us(w->loop));
    stored_batch_log_conflicts(first_batch(w), &w->limiters.conflict, loop_mono_us(w->loop));
    post_commit_batch(w->post_commit, first_batch(w), &w->transaction.incidents, w->n > 1);
    w->counts.incidents += w->transaction.incidents.n_fresh;
    log_recover(&w->limiters.failure, SUBJECT, "alerts are stored again");
    session_reset_backoff(journal_session_session(w->session));
    journal_session_moved(w->session, batch);
    remove_first(w);
    w->retries = 0;
    set_state(w, WRITER_IDLE, "the batch is stored");
    if (w->n > 0 && first_batch(w)->complete && !journal_session_due(w->session))
        begin_transaction(w);
    else
        event_active(&w->wakeup, 0, 0);
    w->calls.on_stored(w->ctx, &stored);
    w->calls.on_done(w->ctx, batch, store);
    if (writer_wants(w))
        w->calls.on_ready(w->ctx);
}

/* The batch is retried until it succeeds. */
static void on_retry_later(struct writer *w)
{
    const struct fault *fault = &w->transaction.fault;
    bool passes = fault->class == SQLSTATE_RETRY;
    int64_t pause_us = pgconn_backoff_us(passes ? RETRY_LEAST_US : STOP_LEAST_US, PAUSE_MOST_US, w->retries++);
    log_limited(&w->limiters.failure, loop_mono_us(w->loop), passes ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR, SUBJECT,
                "%s: %s (SQLSTATE %s); alerts stay in the journal", passes ? "trying again" : "alerts cannot be stored",
                fault->text, fault->sqlstate);
    set_state(w, WRITER_PAUSED, fault->text);
    loop_arm(&w->pause, pause_us);
    event_active(&w->wakeup, 0, 0);
}

static void on_transaction_over(void *ctx, enum transaction_state outcome)
{
    struct writer *w = ctx;
    if (outcome == TRANSACTION_COMMITTED) {
        on_committed(w);
    } else if (outcome == TRANSACTION_RETRY_LATER) {
        on_retry_later(w);
    } else if (outcome == TRANSACTION_POSITION_MOVED) {
        set_state(w, WRITER_IDLE, "the position, the registry or the areas moved");
        journal_session_read_position(w->session);
    }
}

static void on_lost(void *ctx, const char *reason)
{
    struct writer *w = ctx;
    bool was_up = is_up(w);
    const uint8_t *store = NULL;
    if (w->state == WRITER_STORING && transaction_may_be_committed(&w->transaction)) {
        w->uncertain.stored = stored_batch_count(first_batch(w), w->transaction.quarantined);
        w->uncertain.checksum = first_batch(w)->batch->last_checksum;
        store = encoded_batch_rows_to_store(first_batch(w));
        stored_batch_log_conflicts(first_batch(w), &w->limiters.conflict, loop_mono_us(w->loop));
    }
    transaction_on_lost(&w->transaction);
    evtimer_del(&w->pause);
    set_state(w, WRITER_OFFLINE, reason);
    if (was_up)
        report_up(w, false);
    forget_batches(w, store);
}

/* The next batch was enriched with an older registry, or older areas. */
static void report_stale(struct writer *w)
{
    const struct journal_position *now = journal_session_position(w->session);
    const struct batch *batch = w->n > 0 ? first_batch(w)->batch : NULL;
    bool stale = batch && !batch->versions_waived &&
                 (batch->registry_version != now->registry_version || batch->areas_version != now->areas_version);
    forget_batches(w, NULL);
    if (!stale)
        return;
    w->counts.stale++;
    w->calls.on_stale(w->ctx, now->registry_version, now->areas_version);
}

static void resolve_uncertain(struct writer *w, const struct writer_position *position)
{
    const struct writer_stored *stored = &w->uncertain.stored;
    if (position->known && stored->last_seq > 0 && stored->last_seq == position->position &&
        w->uncertain.checksum == position->checksum)
        w->calls.on_stored(w->ctx, stored);
    w->uncertain.stored.last_seq = 0;
}

static void on_position(void *ctx)
{
    struct writer *w = ctx;
    struct writer_position position = journal_session_position(w->session)->stored;
    w->retries = 0;
    w->transaction.expect_duplicates = false;
    if (w->state == WRITER_PAUSED) {
        evtimer_del(&w->pause);
        set_state(w, WRITER_IDLE, "the batch is forgotten");
    }
    if (position.known)
        post_commit_verified_until(w->post_commit, journal_session_position(w->session)->verified_until_us);
    report_stale(w);
    resolve_uncertain(w, &position);
    w->submitted_seq = w->calls.on_position(w->ctx, position);
    log_debug(SUBJECT, "the journal is stored up to %" PRIu64 ", the next batch begins after %" PRIu64,
              position.position, w->submitted_seq);
}

static void on_ready(void *ctx)
{
    struct writer *w = ctx;
    if (w->state == WRITER_OFFLINE) {
        set_state(w, WRITER_IDLE, "the session is ready");
        report_up(w, true);
    }
    event_active(&w->wakeup, 0, 0);
    if (writer_wants(w))
        w->calls.on_ready(w->ctx);
}

static void wake_up(void *ctx)
{
    struct writer *w = ctx;
    event_active(&w->wakeup, 0, 0);
}

static void on_result(void *ctx, PGresult *result)
{
    struct writer *w = ctx;
    transaction_on_result(&w->transaction, result);
}

static void on_end(void *ctx, const struct fault *fault)
{
    struct writer *w = ctx;
    transaction_on_end(&w->transaction, fault);
}

static bool on_chunk(void *ctx, struct str *ret)
{
    struct writer *w = ctx;
    return transaction_on_chunk(&w->transaction, ret);
}

static void send_sql(void *ctx, const char *sql)
{
    struct writer *w = ctx;
    session_send(journal_session_session(w->session), sql);
}

static void send_params(void *ctx, const char *sql, size_t n, const Oid *types, const struct buf *values)
{
    struct writer *w = ctx;
    session_send_params(journal_session_session(w->session), sql, n, types, values);
}

static void drop_session(void *ctx, const char *reason)
{
    struct writer *w = ctx;
    session_drop(journal_session_session(w->session), reason);
}

static void correlate(void *ctx, struct incident_set *set, struct batch *batch, const uint8_t *store)
{
    struct writer *w = ctx;
    w->calls.correlate(w->ctx, set, batch, store);
}

static void set_rules(struct writer *w, const struct writer_options *options)
{
    w->rules.known = options->rules != NULL;
    if (w->rules.known)
        memcpy(w->rules.hash, options->rules, sizeof(w->rules.hash));
}

struct writer *writer_new(struct loop *loop, const struct writer_options *options, const struct writer_calls *calls,
                          void *ctx)
{
    static const struct journal_session_calls session_calls = {on_position, on_ready, on_lost, wake_up,
                                                               on_result,   on_end,   on_chunk};
    static const struct transaction_calls transaction_calls = {send_sql, send_params, drop_session, correlate,
                                                               on_transaction_over};
    struct writer *w = mem_zalloc(sizeof(*w));
    if (sodium_init() < 0)
        abort(); /* no source of randomness */
    w->loop = loop;
    w->calls = *calls;
    w->ctx = ctx;
    set_rules(w, options);
    evtimer_assign(&w->pause, loop_base(loop), on_pause_over, w);
    evtimer_assign(&w->wakeup, loop_base(loop), on_wakeup, w);
    evtimer_assign(&w->encode, loop_base(loop), on_encode, w);
    w->post_commit = post_commit_new(loop, options);
    transaction_init(&w->transaction, &transaction_calls, w);
    w->session = journal_session_new(loop, options, &session_calls, w);
    return w;
}

void writer_free(struct writer **writer)
{
    struct writer *w = *writer;
    if (!w)
        return;
    set_state(w, WRITER_STOPPED, "freed");
    forget_batches(w, NULL);
    journal_session_free(&w->session);
    event_del(&w->pause);
    event_del(&w->wakeup);
    event_del(&w->encode);
    transaction_free(&w->transaction);
    encoded_batch_free(&w->batches[0]);
    encoded_batch_free(&w->batches[1]);
    post_commit_free(&w->post_commit);
    free(w);
    *writer = NULL;
}

void writer_start(struct writer *w)
{
    set_state(w, WRITER_OFFLINE, "connecting");
    journal_session_start(w->session);
    post_commit_start(w->post_commit);
}

bool writer_wants(const struct writer *w)
{
    bool room = w->n == 0 || (w->n == 1 && w->batches[w->first].complete);
    return room && is_up(w) && journal_session_position_holds(w->session);
}

void writer_submit(struct writer *w, struct batch *batch)
{
    assert(writer_wants(w) && batch->first_seq <= batch->last_seq);
    if (batch->first_seq != w->submitted_seq + 1) {
        log_error(SUBJECT, "a batch begins with %" PRIu64 ", not after %" PRIu64 "; this is a bug", batch->first_seq,
                  w->submitted_seq);
        abort(); /* the position would pass over accepted alerts; after a restart they are read again */
    }
    w->submitted_seq = batch->last_seq;
    encoded_batch_begin(&w->batches[(w->first + w->n) % 2], batch,
                        session_instance(journal_session_session(w->session)), w->rules.known ? w->rules.hash : NULL);
    w->n++;
    loop_arm(&w->encode, 0);
}

void writer_set_journal(struct writer *w, const uint8_t *journal_uuid)
{
    journal_session_set_journal(w->session, journal_uuid);
}

void writer_reconfigure(struct writer *w, const struct writer_options *options)
{
    set_rules(w, options);
    post_commit_reconfigure(w->post_commit, options);
    journal_session_reconfigure(w->session, options);
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
    counts.restarts = w->transaction.restarts_total;
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

int64_t writer_unverified_us(const struct writer *w)
{
    return post_commit_unverified_us(w->post_commit);
}

void writer_flush_now(struct writer *w)
{
    post_commit_flush_now(w->post_commit);
}

const char *writer_state(const struct writer *w)
{
    return w->state == WRITER_PAUSED ? w->text : journal_session_text(w->session);
}

int64_t writer_partitions_until_us(const struct writer *w)
{
    return journal_session_partitions_until_us(w->session);
}
