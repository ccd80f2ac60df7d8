#include "flow/receiver_parts.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/transition.h"
#include "flow/dc09_restore.h"
#include "ingest/endpoint_state.h"

/* Messages read from one endpoint before the next one: enough to make the round cheap, few enough to delay nobody. */
#define DRAIN_MESSAGES 16
/* The cost of a message in addition to its bytes, and the cost after which the clock is read again. */
#define MESSAGE_BYTES 64
#define CLOCK_BYTES   (16 * 1024)
/* What peers may queue in libzmq: far below the unit's MemoryMax, so that a peer that sends without end is cut off
 * before that. */
#define PEER_BACKLOG_MAX_BYTES (128u * 1024 * 1024)

#define TO(state) STATE_BIT(RECEIVER_##state)

static const struct machine_state states[] = {
    [RECEIVER_RUNNING] = {"running", TO(STOPPING) | TO(FAILED)},
    [RECEIVER_STOPPING] = {"stopping", TO(FAILED)},
    [RECEIVER_FAILED] = {"failed", 0},
};

static void set_state(struct receiver *r, enum receiver_state state, const char *reason)
{
    transition_check(states, r->state, state, "receiver", "", reason);
    r->state = state;
}

static void enter_failed(struct receiver *r, const struct err *err)
{
    set_state(r, RECEIVER_FAILED, err->text);
    r->calls.on_failed(r->ctx, err);
}

static void send_replies(struct receiver *r)
{
    replies_send(&r->replies);
    for (size_t i = 0; i < endpoint_set_count(r->endpoints); i++)
        endpoint_replied(endpoint_set_at(r->endpoints, i));
}

bool receiver_admit(struct receiver *r, struct record_queue *records, uint64_t *ret_seq)
{
    struct err err;
    enum admission_result result = admission_add(&r->admission, records, ret_seq, &err);
    if (result == ADMISSION_FAILED)
        enter_failed(r, &err);
    return result == ADMISSION_ADMITTED;
}

/* Returns false at the end of the slice, which ends the drain. */
static bool on_message(void *ctx, struct endpoint *endpoint, const struct endpoint_message *message)
{
    struct receiver *r = ctx;
    struct metrics_endpoint *counters = endpoint_state_of(endpoint)->counters;
    size_t bytes_before = r->admission.bytes, slice_before = r->turn.slice_bytes;
    uint64_t seq_before = journal_next_seq(r->journal);
    counters->received_total++;
    counters->last_received_timestamp_seconds = (double)loop_wall_us(r->loop) / 1e6;
    bool go_on = receiver_handle_message(r, endpoint, message);
    uint64_t records = journal_next_seq(r->journal) - seq_before;
    turn_count(&r->turn, endpoint_peer_hash(endpoint, &message->peer),
               MESSAGE_BYTES + message->payload.len + message->image.len + r->admission.bytes - bytes_before,
               records > 0 ? records : 1);
    if (r->turn.slice_bytes / CLOCK_BYTES > slice_before / CLOCK_BYTES)
        loop_refresh(r->loop);
    return go_on && !turn_slice_is_over(&r->turn, loop_mono_us(r->loop));
}

static void on_denied(void *ctx, const struct security_refused *refused)
{
    struct receiver *r = ctx;
    replies_denied(&r->replies, endpoint_state_find(&r->states, r->metrics, refused->endpoint, loop_mono_us(r->loop)),
                   refused);
}

static void on_cut(void *ctx, struct endpoint *endpoint)
{
    (void)ctx;
    endpoint_state_of(endpoint)->counters->connections_cut_total++;
}

static void on_ready(void *ctx, struct endpoint *endpoint)
{
    (void)endpoint;
    loop_arm(&((struct receiver *)ctx)->turn_due, 0);
}

/* An endpoint is read unless its records wait for space in the journal, or, during a stop, it cannot reply RETRY. */
static bool may_read(struct receiver *r, struct endpoint *endpoint)
{
    if (!endpoint_is_ready(endpoint) || r->state == RECEIVER_FAILED || endpoint_state_of(endpoint)->held.n > 0)
        return false;
    return r->state == RECEIVER_RUNNING || endpoint_conf(endpoint)->socket == CONF_ROUTER;
}

static void commit_now(struct receiver *r)
{
    event_del(&r->commit_due);
    uint64_t records = admission_uncounted(&r->admission);
    if (records > 0) {
        struct err err;
        if (journal_sync(r->journal, &err) != 0) {
            enter_failed(r, &err);
            return;
        }
        r->metrics->journaled_total += records;
        admission_counted(&r->admission, records);
        loop_refresh(r->loop);
        metrics_ack(r->metrics, loop_mono_us(r->loop) - r->admission.group_since_us, r->acks);
        r->acks = 0;
    }
    send_replies(r);
    turn_end(&r->turn);
    if (records > 0)
        r->calls.on_synced(r->ctx);
}

static void commit_group(struct receiver *r)
{
    int64_t wait_us = admission_wait_us(&r->admission);
    if (wait_us > 0)
        loop_arm(&r->commit_due, wait_us);
    else
        commit_now(r);
}

/* Reads up to DRAIN_MESSAGES from each endpoint. Returns whether one of them may have more. */
static bool drain_each(struct receiver *r)
{
    bool more = false;
    size_t n = endpoint_set_count(r->endpoints), first = r->rotation++;
    for (size_t i = 0; i < n && r->state != RECEIVER_FAILED; i++) {
        struct endpoint *endpoint = endpoint_set_at(r->endpoints, (i + first) % n);
        if (may_read(r, endpoint))
            more |= turn_slice_is_over(&r->turn, loop_mono_us(r->loop)) ||
                    (endpoint_drain(endpoint, DRAIN_MESSAGES) && may_read(r, endpoint));
    }
    return more && r->state != RECEIVER_FAILED;
}

/* Receives a slice, and commits if it is the last one of the turn. */
static void on_turn(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct receiver *r = arg;
    bool more;
    loop_refresh(r->loop); /* earlier events in this iteration of the loop may have taken long */
    turn_slice(&r->turn, loop_mono_us(r->loop));
    do
        more = drain_each(r);
    while (more && !turn_slice_is_over(&r->turn, loop_mono_us(r->loop)));
    bool over = !more || admission_part_synced(&r->admission) || turn_is_over(&r->turn, loop_mono_us(r->loop));
    if (over && r->state != RECEIVER_FAILED)
        commit_group(r);
    if (more && r->state != RECEIVER_FAILED)
        loop_arm(&r->turn_due, 0);
}

static void on_commit_due(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct receiver *r = arg;
    if (r->state != RECEIVER_FAILED)
        commit_now(r);
}

static void on_memory_freed(void *ctx, struct endpoint *endpoint, bool rebound)
{
    (void)ctx;
    struct metrics_endpoint *counters = endpoint_state_of(endpoint)->counters;
    ++*(rebound ? &counters->rebinds_total : &counters->memory_cuts_total);
}

/* Every endpoint appears in the metrics from its start, not from its first message. */
static void set_states(struct receiver *r)
{
    for (size_t i = 0; i < endpoint_set_count(r->endpoints); i++) {
        struct endpoint *endpoint = endpoint_set_at(r->endpoints, i);
        endpoint_set_state(endpoint, endpoint_state_find(&r->states, r->metrics, endpoint_conf(endpoint)->name,
                                                         loop_mono_us(r->loop)));
    }
}

/* Moves the keys, which are those of r->conf. */
static void set_keys(struct receiver *r, struct dc09_key_lists *keys)
{
    bool dc09 = false;
    for (size_t i = 0; i < endpoint_set_count(r->endpoints); i++) {
        struct endpoint *endpoint = endpoint_set_at(r->endpoints, i);
        endpoint_state_take_keys(endpoint_state_of(endpoint), &keys->list[i]);
        dc09 |= endpoint_conf(endpoint)->format == ALERT_SIA_DC09;
    }
    if (dc09 && !r->dc09_restored)
        dc09_restore(r->session, r->journal, r->seq_at_start, loop_wall_us(r->loop));
    r->dc09_restored |= dc09;
}

/* Applies all of conf, or changes nothing: -1. */
static int apply_conf(struct receiver *r, const struct conf *conf, struct err *err)
{
    struct dc09_key_lists keys;
    if (dc09_key_lists_load(&keys, conf, err) != 0)
        return -1;
    int rc = endpoint_set_apply(r->endpoints, conf, err);
    set_states(r); /* a failure, too, leaves sockets that are opened again */
    if (rc == 0) {
        r->conf = conf;
        set_keys(r, &keys);
        admission_configure(&r->admission, conf);
    }
    dc09_key_lists_free(&keys);
    return rc;
}

struct receiver *receiver_new(struct loop *loop, struct metrics *metrics, struct journal *journal,
                              const struct conf *conf, const struct receiver_calls *calls, void *ctx, struct err *err)
{
    static const struct endpoint_calls endpoint_calls = {
        .on_ready = on_ready, .on_message = on_message, .on_cut = on_cut};
    struct receiver *r = mem_zalloc(sizeof(*r));
    r->loop = r->replies.loop = r->admission.loop = loop;
    r->metrics = metrics;
    r->journal = r->admission.journal = journal;
    r->calls = *calls;
    r->ctx = ctx;
    r->admission.counted_seq = journal_next_seq(journal) - 1;
    r->seq_at_start = journal_synced_seq(journal);
    r->decoder = cloudevents_decoder_new();
    r->session = dc09_session_new();
    evtimer_assign(&r->turn_due, loop_base(loop), on_turn, r);
    evtimer_assign(&r->commit_due, loop_base(loop), on_commit_due, r);
    r->endpoints = endpoint_set_new(loop, &endpoint_calls, on_denied, r, err);
    if (!r->endpoints || apply_conf(r, conf, err) != 0) {
        receiver_free(&r);
        return NULL;
    }
    r->memory_watch = memory_watch_new(loop, r->endpoints, PEER_BACKLOG_MAX_BYTES, on_memory_freed, r);
    return r;
}

void receiver_free(struct receiver **receiver)
{
    struct receiver *r = *receiver;
    if (!r)
        return;
    event_del(&r->turn_due);
    event_del(&r->commit_due);
    memory_watch_free(&r->memory_watch);
    endpoint_set_free(&r->endpoints);
    cloudevents_decoder_free(&r->decoder);
    dc09_session_free(&r->session);
    endpoint_state_free_all(&r->states);
    admission_free(&r->admission);
    record_queue_free(&r->records);
    replies_free(&r->replies);
    free(r);
    *receiver = NULL;
}

int receiver_reload(struct receiver *r, const struct conf *conf, struct err *err)
{
    /* Replies refer to endpoints, which may be removed: they are sent first. */
    if (r->state != RECEIVER_FAILED)
        commit_now(r);
    if (r->state == RECEIVER_FAILED)
        return err_set(err, "the journal cannot be written");
    if (apply_conf(r, conf, err) != 0)
        return -1;
    loop_arm(&r->turn_due, 0);
    return 0;
}

void receiver_stop(struct receiver *r)
{
    if (r->state == RECEIVER_RUNNING)
        set_state(r, RECEIVER_STOPPING, "the daemon stops");
    loop_arm(&r->turn_due, 0);
}

void receiver_retry_held(struct receiver *r)
{
    for (struct endpoint_state *state = r->states; state && r->state == RECEIVER_RUNNING; state = state->next) {
        uint64_t seq = 0;
        if (state->held.n > 0 && receiver_admit(r, &state->held, &seq))
            loop_arm(&r->turn_due, 0);
    }
}

bool receiver_check_silence(struct receiver *r)
{
    return endpoint_state_check_silence(r->states, r->conf, loop_mono_us(r->loop));
}

int64_t receiver_received_us(const struct receiver *r, const char *endpoint)
{
    return endpoint_state_received_us(r->states, endpoint);
}

int receiver_check_open(const struct receiver *r, struct err *err)
{
    return endpoint_set_check_open(r->endpoints, err);
}

void receiver_set_own_memory(struct receiver *r, size_t bytes)
{
    memory_watch_own(r->memory_watch, bytes);
}

void receiver_commit_synced(struct receiver *r)
{
    if (r->state != RECEIVER_FAILED && admission_part_synced(&r->admission))
        commit_now(r);
}

uint64_t receiver_in_flight(const struct receiver *r)
{
    uint64_t in_flight = admission_uncounted(&r->admission);
    for (const struct endpoint_state *state = r->states; state; state = state->next)
        in_flight += state->held.n;
    return in_flight;
}

bool receiver_progresses(struct receiver *r)
{
    uint64_t received = 0, before = r->progress_seen;
    bool waiting = false;
    for (const struct endpoint_state *state = r->states; state; state = state->next)
        received += state->counters->received_total;
    for (size_t i = 0; i < endpoint_set_count(r->endpoints); i++)
        waiting |= may_read(r, endpoint_set_at(r->endpoints, i));
    r->progress_seen = received;
    return !waiting || received != before;
}
