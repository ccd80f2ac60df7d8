#include "accept.h"

#include <stdio.h>
#include <stdlib.h>

#include <event2/event_struct.h>

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

/* Messages taken a turn from all endpoints together: one group commit. More makes ACKs late, fewer makes syncs many. */
#define TURN_MESSAGES 4096
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
    struct event turn;       /* drains, commits, replies */
    struct event commit_due; /* the end of FILL_WAIT_US */
    struct records records;  /* of the message at hand */
    struct answers answers;  /* of this group */
    uint64_t acks;           /* among them */
    uint64_t counted_seq;    /* the last record that is counted as journaled */
    int64_t group_since_us;  /* monotonic: receipt of the first record that is not */
    unsigned rotation;       /* which endpoint is drained first */
    struct complaint full;
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
    struct intake *intake = endpoint_user(endpoint);
    if (intake)
        return intake;
    intake = intake_of_name(a, endpoint_conf(endpoint)->name);
    endpoint_set_user(endpoint, intake);
    return intake;
}

static void send_replies(struct accept *a)
{
    answers_send(&a->answers);
    for (size_t i = 0; i < endpoint_set_count(a->endpoints); i++)
        endpoint_settle(endpoint_set_at(a->endpoints, i));
}

/* Into the journal's next group. false: it is full, nothing was taken. */
static bool admit(struct accept *a, struct str record, uint64_t *ret_seq)
{
    struct err err;
    bool first = journal_next_seq(a->journal) - 1 == a->counted_seq;
    int rc = journal_append(a->journal, record, loop_wall_us(a->loop), ret_seq, &err);
    if (rc == JOURNAL_APPENDED) {
        if (first)
            a->group_since_us = loop_mono_us(a->loop);
        log_recover(&a->full, "journal", "there is room again");
        return true;
    }
    if (rc == JOURNAL_FULL)
        log_complain(&a->full, loop_mono_us(a->loop), LOG_LEVEL_ERROR, "journal",
                     "full: %s; senders get RETRY, or on tcp no answer; pull and sub endpoints are not read", err.text);
    else
        fail(a, &err);
    return false;
}

/* Admits the records in order, and drops those that are. false: some are left. */
static bool admit_all(struct accept *a, struct records *records, uint64_t *ret_seq)
{
    while (records->n > 0 && admit(a, records_first(records), ret_seq))
        records_drop_first(records);
    return records->n == 0;
}

/* The message is alerts, in a->records: accept them, or have the sender or the endpoint wait. Where only some fit into
 * the journal, they come again with the others, and identity settles it. */
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

/* Whoever may not send is told so whatever the message says, and for which: the sender looks for its id. */
static void forbid(struct accept *a, struct endpoint *endpoint, const struct endpoint_message *message,
                   struct reject *reject)
{
    struct alert alert;
    struct reject unread;
    struct dc09_frame frame = {0};
    if (endpoint_conf(endpoint)->format == ALERT_SIA_DC09) {
        dc09_whole(message->payload, &frame);
        reject->id = frame.seq;
    } else {
        reject->id = decode_cloudevents(a->decoder, message->payload, &alert, &unread) ? alert.event_id : unread.id;
    }
    answers_refuse(&a->answers, endpoint, &message->peer, reject, STR(""));
}

static bool on_cloudevent(struct accept *a, struct endpoint *endpoint, const struct endpoint_message *message,
                          const struct conf_client *client)
{
    struct alert alert;
    struct reject reject;
    int64_t now_us = loop_wall_us(a->loop);
    if (!decode_cloudevents(a->decoder, message->payload, &alert, &reject)) {
        answers_refuse(&a->answers, endpoint, &message->peer, &reject, STR(""));
        return true;
    }
    if (!security_allows(client, alert.device, &reject)) {
        reject.id = alert.event_id;
        answers_refuse(&a->answers, endpoint, &message->peer, &reject, STR(""));
        return true;
    }
    if (a->state == ACCEPT_STOPPING) {
        answers_retry(&a->answers, endpoint, &message->peer, 1, alert.event_id, STR(RETRY_STOP_MS), STR(""));
        return true;
    }
    validate_time(&alert, now_us);
    alert.endpoint = str_from(intake_of(a, endpoint)->counters->name);
    records_clear(&a->records);
    records_add(&a->records, &alert);
    return take(a, endpoint, &message->peer, alert.event_id, STR(""));
}

static void refuse_panel_frame(struct accept *a, struct endpoint *endpoint, const struct endpoint_peer *peer,
                               const struct panel_frame *frame)
{
    struct reject reject = {.code = REJECT_MALFORMED, .field = "frame", .id = frame->frame.seq};
    snprintf(reject.reason, sizeof(reject.reason), "%s", panel_reason(frame));
    answers_refuse(&a->answers, endpoint, peer, &reject,
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
        answers_refuse(&a->answers, endpoint, peer, &reject, STR(""));
        return true;
    }
    if (frame.verdict == DC09_SAY_NAK) {
        intake_heard(intake, loop_mono_us(a->loop), loop_wall_us(a->loop));
        answers_retry(&a->answers, endpoint, peer, 1, frame.frame.seq, STR(RETRY_NAK_MS),
                      panel_reply(a->panel, &frame, DC09_SAY_NAK, now_us));
        return true;
    }
    if (frame.verdict != DC09_STORE && frame.verdict != DC09_STORE_STALE) {
        refuse_panel_frame(a, endpoint, peer, &frame);
        return true;
    }
    if (a->state == ACCEPT_STOPPING) {
        answers_retry(&a->answers, endpoint, peer, 1, frame.frame.seq, STR(RETRY_STOP_MS), STR(""));
        return true;
    }
    records_clear(&a->records);
    panel_records(a->panel, &frame, str_from(intake->counters->name), now_us, &a->records);
    intake->counters->received_total += a->records.n - 1;
    return take(a, endpoint, peer, frame.frame.seq, panel_reply(a->panel, &frame, DC09_SAY_ACK, now_us));
}

static bool on_message(void *ctx, struct endpoint *endpoint, const struct endpoint_message *message)
{
    struct accept *a = ctx;
    struct metrics_endpoint *counters = intake_of(a, endpoint)->counters;
    const struct conf_endpoint *conf = endpoint_conf(endpoint);
    const struct conf_client *client = NULL;
    struct reject reject;
    counters->received_total++;
    counters->last_received_timestamp_seconds = (double)loop_wall_us(a->loop) / 1e6;
    if (message->malformed || message->too_large) {
        answers_refuse_frames(&a->answers, endpoint, message);
        return true;
    }
    if (conf->socket != CONF_TCP &&
        !security_admits(endpoint_set_security(a->endpoints), conf, message, &client, &reject)) {
        forbid(a, endpoint, message, &reject);
        return true;
    }
    return conf->format == ALERT_SIA_DC09 ? on_panel_frame(a, endpoint, message, client)
                                          : on_cloudevent(a, endpoint, message, client);
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
    loop_arm(&a->turn, 0);
}

/* An endpoint is read unless it holds a record that found the journal full, or the sender cannot be told to wait. */
static bool may_read(struct accept *a, struct endpoint *endpoint)
{
    if (!endpoint_is_ready(endpoint) || a->state == ACCEPT_FAILED || intake_of(a, endpoint)->held.n > 0)
        return false;
    return a->state == ACCEPT_RUNNING || endpoint_conf(endpoint)->socket == CONF_ROUTER;
}

/* Records of the group that gathers. The journal may have synced some of them already, where they filled a frame. */
static uint64_t uncounted(const struct accept *a)
{
    return journal_next_seq(a->journal) - 1 - a->counted_seq;
}

static void commit_now(struct accept *a)
{
    event_del(&a->commit_due);
    uint64_t records = uncounted(a);
    if (records > 0) {
        struct err err;
        if (journal_sync(a->journal, &err) != 0) {
            fail(a, &err);
            return;
        }
        a->metrics->journaled_total += records;
        a->counted_seq += records;
        loop_refresh(a->loop);
        metrics_ack(a->metrics, loop_mono_us(a->loop) - a->group_since_us, a->acks);
        a->acks = 0;
    }
    send_replies(a);
    if (records > 0)
        a->calls.synced(a->ctx);
}

static void commit_group(struct accept *a)
{
    int64_t waited_us = loop_mono_us(a->loop) - a->group_since_us;
    bool part_synced = journal_synced_seq(a->journal) > a->counted_seq; /* a full frame: it is to be answered */
    if (uncounted(a) > 0 && !part_synced && journal_fill(a->journal) > 0.5 && waited_us < FILL_WAIT_US &&
        journal_unsynced_bytes(a->journal) < FILL_ENOUGH)
        loop_arm(&a->commit_due, FILL_WAIT_US - waited_us);
    else
        commit_now(a);
}

/* Drains the endpoints in turns, each its share, then commits what came. */
static void on_turn(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct accept *a = arg;
    size_t n = endpoint_set_count(a->endpoints), readable = 0;
    for (size_t i = 0; i < n; i++)
        readable += may_read(a, endpoint_set_at(a->endpoints, i));
    bool more = false;
    a->rotation++;
    for (size_t i = 0; i < n && a->state != ACCEPT_FAILED; i++) {
        struct endpoint *endpoint = endpoint_set_at(a->endpoints, (i + a->rotation) % n);
        if (may_read(a, endpoint))
            more |= endpoint_drain(endpoint, (unsigned)(TURN_MESSAGES / (readable > 0 ? readable : 1))) &&
                    may_read(a, endpoint);
    }
    if (a->state != ACCEPT_FAILED)
        commit_group(a);
    if (more && a->state != ACCEPT_FAILED)
        loop_arm(&a->turn, 0);
}

static void on_commit_due(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct accept *a = arg;
    if (a->state != ACCEPT_FAILED)
        commit_now(a);
}

static void on_rebound(void *ctx, struct endpoint *endpoint)
{
    intake_of(ctx, endpoint)->counters->rebinds_total++;
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
    return 0;
}

struct accept *accept_new(struct loop *loop, struct metrics *metrics, struct journal *journal, const struct conf *conf,
                          const struct accept_calls *calls, void *ctx, struct err *err)
{
    static const struct endpoint_calls endpoint_calls = {.ready = on_ready, .message = on_message, .cut = on_cut};
    struct accept *a = mem_zalloc(sizeof(*a));
    a->loop = a->answers.loop = loop;
    a->metrics = metrics;
    a->journal = journal;
    a->calls = *calls;
    a->ctx = ctx;
    a->counted_seq = journal_next_seq(journal) - 1;
    a->decoder = decoder_new();
    a->panel = panel_new();
    evtimer_assign(&a->turn, loop_base(loop), on_turn, a);
    evtimer_assign(&a->commit_due, loop_base(loop), on_commit_due, a);
    a->endpoints = endpoint_set_new(loop, &endpoint_calls, on_not_let_in, a, err);
    if (!a->endpoints || apply_conf(a, conf, err) != 0) {
        accept_free(&a);
        return NULL;
    }
    a->memory_watch = memory_watch_new(loop, a->endpoints, RESIDENT_ROOM_BYTES, on_rebound, a);
    return a;
}

void accept_free(struct accept **accept)
{
    struct accept *a = *accept;
    if (!a)
        return;
    event_del(&a->turn);
    event_del(&a->commit_due);
    memory_watch_free(&a->memory_watch);
    endpoint_set_free(&a->endpoints);
    decoder_free(&a->decoder);
    panel_free(&a->panel);
    intake_free_all(&a->intakes);
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
    loop_arm(&a->turn, 0);
    return 0;
}

void accept_stop(struct accept *a)
{
    if (a->state == ACCEPT_RUNNING)
        a->state = ACCEPT_STOPPING;
    loop_arm(&a->turn, 0);
}

void accept_room(struct accept *a)
{
    for (struct intake *intake = a->intakes; intake && a->state == ACCEPT_RUNNING; intake = intake->next) {
        uint64_t seq = 0;
        bool holding = intake->held.n > 0;
        if (holding && admit_all(a, &intake->held, &seq))
            loop_arm(&a->turn, 0);
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

uint64_t accept_in_flight(const struct accept *a)
{
    uint64_t in_flight = uncounted(a);
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
