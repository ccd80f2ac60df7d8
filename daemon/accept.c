#include "accept.h"

#include <stdio.h>
#include <stdlib.h>

#include <event2/event_struct.h>
#include <xxhash.h>

#include "admit.h"
#include "answers.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "ingest/decode_cloudevents.h"
#include "ingest/endpoint_set.h"
#include "ingest/memory_watch.h"
#include "ingest/validate.h"
#include "intake.h"
#include "panel.h"
#include "turn.h"

/* Messages of one endpoint before the next one is looked at. */
#define SHARE 16
/* What a message costs beside its bytes; and how many are taken without a look at the clock. */
#define MESSAGE_BYTES 64
#define CLOCK_BYTES   (16 * 1024)
/* In a journal over half full, a group waits this long to fill its frame: frames are padded to 512 bytes. */
#define FILL_WAIT_US  (10 * CLOCK_MS)
#define FILL_ENOUGH   (64 * 1024)
#define RETRY_FULL_MS "1000"
#define RETRY_STOP_MS "2000"
#define RETRY_NAK_MS  "1000"
/* What peers may pile up in libzmq, beyond what the process has after its start and its own buffers. */
#define RESIDENT_ROOM_BYTES (128u * 1024 * 1024)

enum accept_state {
    ACCEPT_RUNNING,
    ACCEPT_STOPPING, /* RETRY to everybody */
    ACCEPT_FAILED,   /* the journal cannot be written: no reply, no record, nothing is read */
};

struct accept {
    enum accept_state state;
    struct loop *loop;
    struct metrics *metrics;
    struct journal *journal;
    struct accept_calls calls;
    void *ctx;
    struct endpoint_set *endpoints;
    struct memory_watch *memory_watch;
    struct decoder *decoder;
    struct panel *panel;
    struct intake *intakes;
    struct event turn_due; /* drains, commits, replies */
    struct turn turn;
    struct event commit_due; /* the end of FILL_WAIT_US */
    struct records records;  /* of the message at hand */
    struct answers answers;  /* of this group */
    uint64_t acks;           /* among them */
    struct admit admit;
    unsigned rotation; /* which endpoint is drained first */
    uint64_t progress_seen;
};

static void fail(struct accept *a, const struct err *err)
{
    a->state = ACCEPT_FAILED;
    a->calls.failed(a->ctx, err);
}

static struct intake *intake_of_name(struct accept *a, const char *name)
{
    return intake_find(&a->intakes, metrics_endpoint(a->metrics, name), loop_mono_us(a->loop));
}

static struct intake *intake_of(struct accept *a, struct endpoint *endpoint)
{
    if (!endpoint_user(endpoint))
        endpoint_set_user(endpoint, intake_of_name(a, endpoint_conf(endpoint)->name));
    return endpoint_user(endpoint);
}

static void send_replies(struct accept *a)
{
    answers_send(&a->answers);
    for (size_t i = 0; i < endpoint_set_count(a->endpoints); i++)
        endpoint_settle(endpoint_set_at(a->endpoints, i));
}

/* false: none is in it, since the journal is full or cannot be written. */
static bool admit_all(struct accept *a, struct records *records, uint64_t *ret_seq)
{
    struct err err;
    enum admit_result result = admit_records(&a->admit, records, ret_seq, &err);
    if (result == ADMIT_FAILED)
        fail(a, &err);
    return result == ADMIT_TAKEN;
}

/* The message is alerts, in a->records: accept them, or have the sender or the endpoint wait. */
static bool take(struct accept *a, struct endpoint *endpoint, const struct endpoint_peer *peer, struct str id,
                 struct str tcp_reply)
{
    struct intake *intake = intake_of(a, endpoint);
    enum conf_socket socket = endpoint_conf(endpoint)->socket;
    uint64_t seq = 0;
    intake_heard(intake, loop_mono_us(a->loop), loop_wall_us(a->loop));
    if (admit_all(a, &a->records, &seq)) {
        answers_accept(&a->answers, endpoint, peer, id, seq, tcp_reply);
        a->acks++;
        return true;
    }
    if (a->state == ACCEPT_FAILED)
        return false;
    if (socket == CONF_ROUTER || socket == CONF_TCP) {
        answers_retry(&a->answers, endpoint, peer, a->records.n, id, STR(RETRY_FULL_MS), STR(""));
        return true;
    }
    struct records empty = intake->held;
    intake->held = a->records;
    a->records = empty;
    return false;
}

static bool on_cloudevent(struct accept *a, struct endpoint *endpoint, const struct endpoint_message *message,
                          const struct conf_client *client)
{
    struct alert alert;
    struct reject reject;
    int64_t now_us = loop_wall_us(a->loop);
    if (!decode_cloudevents(a->decoder, message->payload, &alert, &reject)) {
        answers_refuse(&a->answers, endpoint, message, &reject, STR(""));
        return true;
    }
    if (!security_allows(client, &alert, &reject)) {
        reject.id = alert.event_id;
        answers_refuse(&a->answers, endpoint, message, &reject, STR(""));
        return true;
    }
    if (a->state == ACCEPT_STOPPING) {
        answers_retry(&a->answers, endpoint, &message->peer, 1, alert.event_id, STR(RETRY_STOP_MS), STR(""));
        return true;
    }
    validate_time(&alert, now_us, a->admit.keep_us);
    alert.endpoint = str_from(intake_of(a, endpoint)->counters->name);
    records_clear(&a->records);
    records_add(&a->records, &alert);
    a->records.share = admit_share(&a->admit, client);
    return take(a, endpoint, &message->peer, alert.event_id, STR(""));
}

static void refuse_panel_frame(struct accept *a, struct endpoint *endpoint, const struct endpoint_message *message,
                               const struct panel_frame *frame)
{
    struct reject reject = {.code = REJECT_MALFORMED, .field = "frame", .id = frame->frame.seq};
    snprintf(reject.reason, sizeof(reject.reason), "%s", panel_reason(frame));
    answers_refuse(&a->answers, endpoint, message, &reject,
                   panel_reply(a->panel, frame, frame->verdict, loop_wall_us(a->loop)));
}

static bool on_panel_frame(struct accept *a, struct endpoint *endpoint, const struct endpoint_message *message,
                           const struct conf_client *client)
{
    struct intake *intake = intake_of(a, endpoint);
    const struct endpoint_peer *peer = &message->peer;
    int64_t now_us = loop_wall_us(a->loop);
    struct panel_frame frame;
    struct reject reject;
    panel_read(a->panel, message, endpoint_conf(endpoint), intake->keys, now_us, &frame);
    if (!panel_allows(&frame, client, &reject)) {
        answers_refuse(&a->answers, endpoint, message, &reject, STR(""));
        return true;
    }
    if (frame.verdict == DC09_SAY_NAK) {
        intake_heard(intake, loop_mono_us(a->loop), loop_wall_us(a->loop));
        answers_retry(&a->answers, endpoint, peer, 1, frame.frame.seq, STR(RETRY_NAK_MS),
                      panel_reply(a->panel, &frame, DC09_SAY_NAK, now_us));
        return true;
    }
    if (frame.verdict != DC09_STORE && frame.verdict != DC09_STORE_STALE) {
        refuse_panel_frame(a, endpoint, message, &frame);
        return true;
    }
    if (a->state == ACCEPT_STOPPING) {
        answers_retry(&a->answers, endpoint, peer, 1, frame.frame.seq, STR(RETRY_STOP_MS), STR(""));
        return true;
    }
    records_clear(&a->records);
    panel_records(a->panel, &frame, str_from(intake->counters->name), now_us, a->admit.keep_us, &a->records);
    a->records.share = admit_share(&a->admit, client);
    intake->counters->received_total += a->records.n - 1;
    return take(a, endpoint, peer, frame.frame.seq, panel_reply(a->panel, &frame, DC09_SAY_ACK, now_us));
}

static bool take_message(struct accept *a, struct endpoint *endpoint, const struct endpoint_message *message)
{
    const struct conf_endpoint *conf = endpoint_conf(endpoint);
    const struct conf_client *client = NULL;
    struct reject reject;
    if (message->malformed || message->too_large) {
        answers_refuse_frames(&a->answers, endpoint, message);
        return true;
    }
    if (conf->socket != CONF_TCP &&
        !security_admits(endpoint_set_security(a->endpoints), conf, message, &client, &reject)) {
        answers_forbid(&a->answers, endpoint, message, a->decoder, &reject);
        return true;
    }
    answers_note_client(&a->answers, endpoint, message, client);
    return conf->format == ALERT_SIA_DC09 ? on_panel_frame(a, endpoint, message, client)
                                          : on_cloudevent(a, endpoint, message, client);
}

static uint64_t peer_hash(const struct endpoint *endpoint, const struct endpoint_peer *peer)
{
    return XXH3_64bits_withSeed(peer->id, peer->id_len, (uintptr_t)endpoint);
}

/* Ends the drain with the slice. */
static bool on_message(void *ctx, struct endpoint *endpoint, const struct endpoint_message *message)
{
    struct accept *a = ctx;
    struct metrics_endpoint *counters = intake_of(a, endpoint)->counters;
    size_t bytes_before = a->admit.bytes, slice_before = a->turn.slice_bytes;
    uint64_t seq_before = journal_next_seq(a->journal);
    counters->received_total++;
    counters->last_received_timestamp_seconds = (double)loop_wall_us(a->loop) / 1e6;
    bool go_on = take_message(a, endpoint, message);
    uint64_t records = journal_next_seq(a->journal) - seq_before;
    turn_took(&a->turn, peer_hash(endpoint, &message->peer),
              MESSAGE_BYTES + message->payload.len + a->admit.bytes - bytes_before, records > 0 ? records : 1);
    if (a->turn.slice_bytes / CLOCK_BYTES > slice_before / CLOCK_BYTES)
        loop_refresh(a->loop);
    return go_on && !turn_slice_is_over(&a->turn, loop_mono_us(a->loop));
}

static void on_not_let_in(void *ctx, const struct security_refused *refused)
{
    struct accept *a = ctx;
    answers_not_let_in(&a->answers, intake_of_name(a, refused->endpoint), refused);
}

static void on_cut(void *ctx, struct endpoint *endpoint)
{
    intake_of(ctx, endpoint)->counters->connections_cut_total++;
}

static void on_ready(void *ctx, struct endpoint *endpoint)
{
    struct accept *a = ctx;
    (void)endpoint;
    loop_arm(&a->turn_due, 0);
}

/* An endpoint is read unless it holds a record that found the journal full, or the sender cannot be told to wait. */
static bool may_read(struct accept *a, struct endpoint *endpoint)
{
    if (!endpoint_is_ready(endpoint) || a->state == ACCEPT_FAILED || intake_of(a, endpoint)->held.n > 0)
        return false;
    return a->state == ACCEPT_RUNNING || endpoint_conf(endpoint)->socket == CONF_ROUTER;
}

static void commit_now(struct accept *a)
{
    event_del(&a->commit_due);
    uint64_t records = admit_uncounted(&a->admit);
    if (records > 0) {
        struct err err;
        if (journal_sync(a->journal, &err) != 0) {
            fail(a, &err);
            return;
        }
        a->metrics->journaled_total += records;
        a->admit.counted_seq += records;
        loop_refresh(a->loop);
        metrics_ack(a->metrics, loop_mono_us(a->loop) - a->admit.group_since_us, a->acks);
        a->acks = 0;
    }
    send_replies(a);
    turn_end(&a->turn);
    if (records > 0)
        a->calls.synced(a->ctx);
}

/* A frame was full: its records are to be answered, and counted. */
static bool is_part_synced(const struct accept *a)
{
    return journal_synced_seq(a->journal) > a->admit.counted_seq;
}

static void commit_group(struct accept *a)
{
    int64_t waited_us = loop_mono_us(a->loop) - a->admit.group_since_us;
    if (admit_uncounted(&a->admit) > 0 && !is_part_synced(a) && journal_fill(a->journal) > 0.5 &&
        waited_us < FILL_WAIT_US && journal_unsynced_bytes(a->journal) < FILL_ENOUGH)
        loop_arm(&a->commit_due, FILL_WAIT_US - waited_us);
    else
        commit_now(a);
}

/* Drains each endpoint by its share. Returns whether more may be waiting in one of them. */
static bool drain_each(struct accept *a)
{
    bool more = false;
    size_t n = endpoint_set_count(a->endpoints);
    a->rotation++;
    for (size_t i = 0; i < n && a->state != ACCEPT_FAILED; i++) {
        struct endpoint *endpoint = endpoint_set_at(a->endpoints, (i + a->rotation) % n);
        bool over = turn_slice_is_over(&a->turn, loop_mono_us(a->loop));
        if (may_read(a, endpoint))
            more |= over || (endpoint_drain(endpoint, SHARE) && may_read(a, endpoint));
    }
    return more && a->state != ACCEPT_FAILED;
}

/* Takes a slice, and commits what came with the last one of the turn. */
static void on_turn(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct accept *a = arg;
    bool more;
    loop_refresh(a->loop); /* what came before it in this turn of the loop may have taken long */
    turn_slice(&a->turn, loop_mono_us(a->loop));
    do
        more = drain_each(a);
    while (more && !turn_slice_is_over(&a->turn, loop_mono_us(a->loop)));
    bool over = !more || is_part_synced(a) || turn_is_over(&a->turn, loop_mono_us(a->loop));
    if (over && a->state != ACCEPT_FAILED)
        commit_group(a);
    if (more && a->state != ACCEPT_FAILED)
        loop_arm(&a->turn_due, 0);
}

static void on_commit_due(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct accept *a = arg;
    if (a->state != ACCEPT_FAILED)
        commit_now(a);
}

static void on_memory_freed(void *ctx, struct endpoint *endpoint, bool rebound)
{
    struct metrics_endpoint *counters = intake_of(ctx, endpoint)->counters;
    ++*(rebound ? &counters->rebinds_total : &counters->memory_cuts_total);
}

/* Every endpoint shows in the metrics from its start, not from its first message. Takes the keys over. */
static void know_intakes(struct accept *a, struct dc09_keys ***keys)
{
    bool panels = false;
    size_t n = endpoint_set_count(a->endpoints);
    for (size_t i = 0; i < n; i++) {
        struct intake *intake = intake_of(a, endpoint_set_at(a->endpoints, i));
        dc09_keys_free(&intake->keys);
        intake->keys = (*keys)[i];
        (*keys)[i] = NULL;
        panels |= endpoint_conf(endpoint_set_at(a->endpoints, i))->format == ALERT_SIA_DC09;
    }
    intake_free_keys(keys, n);
    if (panels)
        panel_recall(a->panel, a->journal, loop_wall_us(a->loop));
}

/* All or nothing. */
static int apply_conf(struct accept *a, const struct conf *conf, struct err *err)
{
    struct dc09_keys **keys = intake_load_keys(conf, err);
    if (!keys)
        return -1;
    if (endpoint_set_apply(a->endpoints, conf, err) != 0) {
        intake_free_keys(&keys, conf->n_endpoints);
        return -1;
    }
    know_intakes(a, &keys);
    admit_configure(&a->admit, conf);
    return 0;
}

struct accept *accept_new(struct loop *loop, struct metrics *metrics, struct journal *journal, const struct conf *conf,
                          const struct accept_calls *calls, void *ctx, struct err *err)
{
    static const struct endpoint_calls endpoint_calls = {.ready = on_ready, .message = on_message, .cut = on_cut};
    struct accept *a = mem_zalloc(sizeof(*a));
    a->loop = a->answers.loop = a->admit.loop = loop;
    a->metrics = metrics;
    a->journal = a->admit.journal = journal;
    a->calls = *calls;
    a->ctx = ctx;
    a->admit.counted_seq = journal_next_seq(journal) - 1;
    a->decoder = decoder_new();
    a->panel = panel_new();
    evtimer_assign(&a->turn_due, loop_base(loop), on_turn, a);
    evtimer_assign(&a->commit_due, loop_base(loop), on_commit_due, a);
    a->endpoints = endpoint_set_new(loop, &endpoint_calls, on_not_let_in, a, err);
    if (!a->endpoints || apply_conf(a, conf, err) != 0) {
        accept_free(&a);
        return NULL;
    }
    a->memory_watch = memory_watch_new(loop, a->endpoints, RESIDENT_ROOM_BYTES, on_memory_freed, a);
    return a;
}

void accept_free(struct accept **accept)
{
    struct accept *a = *accept;
    if (!a)
        return;
    event_del(&a->turn_due);
    event_del(&a->commit_due);
    memory_watch_free(&a->memory_watch);
    endpoint_set_free(&a->endpoints);
    decoder_free(&a->decoder);
    panel_free(&a->panel);
    intake_free_all(&a->intakes);
    admit_free(&a->admit);
    buf_free(&a->records.bytes);
    buf_free(&a->answers.queue.bytes);
    free(a);
    *accept = NULL;
}

int accept_reload(struct accept *a, const struct conf *conf, struct err *err)
{
    /* Replies refer to endpoints, which may go: they are sent first. */
    commit_now(a);
    if (a->state == ACCEPT_FAILED)
        return err_set(err, "the journal cannot be written");
    if (apply_conf(a, conf, err) != 0)
        return -1;
    loop_arm(&a->turn_due, 0);
    return 0;
}

void accept_stop(struct accept *a)
{
    if (a->state == ACCEPT_RUNNING)
        a->state = ACCEPT_STOPPING;
    loop_arm(&a->turn_due, 0);
}

void accept_room(struct accept *a)
{
    for (struct intake *intake = a->intakes; intake && a->state == ACCEPT_RUNNING; intake = intake->next) {
        uint64_t seq = 0;
        if (intake->held.n > 0 && admit_all(a, &intake->held, &seq))
            loop_arm(&a->turn_due, 0);
    }
}

bool accept_look(struct accept *a)
{
    bool changed = false;
    for (size_t i = 0; i < endpoint_set_count(a->endpoints); i++) {
        struct endpoint *endpoint = endpoint_set_at(a->endpoints, i);
        if (intake_look(intake_of(a, endpoint), endpoint_conf(endpoint)->expect_every_us, loop_mono_us(a->loop)))
            changed = true;
    }
    return changed;
}

int64_t accept_heard_us(const struct accept *a, const char *endpoint)
{
    return intake_heard_us(a->intakes, endpoint);
}

void accept_own_memory(struct accept *a, size_t bytes)
{
    memory_watch_own(a->memory_watch, bytes);
}

void accept_settle(struct accept *a)
{
    if (a->state != ACCEPT_FAILED && is_part_synced(a))
        commit_now(a);
}

uint64_t accept_in_flight(const struct accept *a)
{
    uint64_t in_flight = admit_uncounted(&a->admit);
    for (const struct intake *intake = a->intakes; intake; intake = intake->next)
        in_flight += intake->held.n;
    return in_flight;
}

bool accept_progresses(struct accept *a)
{
    uint64_t received = 0;
    bool waiting = false;
    for (const struct intake *intake = a->intakes; intake; intake = intake->next)
        received += intake->counters->received_total;
    for (size_t i = 0; i < endpoint_set_count(a->endpoints); i++)
        waiting |= may_read(a, endpoint_set_at(a->endpoints, i));
    bool progress = !waiting || received != a->progress_seen;
    a->progress_seen = received;
    return progress;
}
