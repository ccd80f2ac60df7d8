#include "ctl/lib/sender.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include <zmq.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ctl/lib/sender_socket.h"
#include "ingest/decode_cloudevents.h"
#include "model/alert.h"

#define RETRY_MAX_MS     60000
#define REPLY_FRAMES     3
#define REPLY_FRAMES_MAX 4
#define RESEND_US        (10 * CLOCK_SECOND) /* if the sender never gives up */

/* An alert without a final reply: in `due` until it is sent, then in `sent`. */
struct sender_item {
    TAILQ_ENTRY(sender_item) entry;
    uint64_t number;
    int64_t at_us;   /* in due: when to send it; in sent: when it was sent */
    bool sent_once;  /* the next send is a resend */
    bool unreadable; /* this program cannot decode it */
    bool has_image;
    size_t id_len, payload_len, image_len;
    char bytes[]; /* the id, the payload, the image */
};

TAILQ_HEAD(item_list, sender_item);

/* REJECTs without an id. Each belongs to an alert in `sent`; which one no longer matters once there are as many of them
 * as alerts. */
struct unnamed_rejects {
    unsigned n;
    size_t why_len; /* of the last */
    char why[256];
};

struct sender {
    const struct sender_options *options;
    struct sender_counts counts;
    struct cloudevents_decoder *decoder;
    struct sender_socket socket;
    bool turned_away; /* this endpoint has replied RETRY */
    struct item_list due, sent;
    struct unnamed_rejects unnamed;
    unsigned held;          /* number of alerts in both */
    size_t held_bytes;      /* of payloads and images in both */
    bool blocked;           /* the socket accepts nothing at present */
    int64_t now_us;         /* monotonic, of this turn */
    int64_t quiet_since_us; /* the last reply, or when an alert first waited for one */
};

struct sender_reply {
    zmq_msg_t frame[REPLY_FRAMES_MAX];
    int n;
};

static int64_t resend_after_us(const struct sender *s)
{
    return s->options->timeout_us > 0 ? s->options->timeout_us / 6 : RESEND_US;
}

static bool has_another(const struct sender *s)
{
    return s->options->n_endpoints > 1;
}

/* The socket */

static int open_socket(struct sender *s, struct err *err)
{
    s->blocked = s->turned_away = false;
    s->unnamed.n = 0;
    return sender_socket_open(&s->socket, s->now_us, err);
}

/* Queues everything in flight to be resent to the next address or endpoint, in order, ahead of what was not sent
 * yet. */
static int resend_on_new_socket(struct sender *s, struct err *err)
{
    struct sender_item *item;
    while ((item = TAILQ_LAST(&s->sent, item_list))) {
        TAILQ_REMOVE(&s->sent, item, entry);
        item->at_us = s->now_us;
        TAILQ_INSERT_HEAD(&s->due, item, entry);
    }
    sender_socket_leave(&s->socket);
    return open_socket(s, err);
}

/* Alerts in */

static void report_reject(struct sender *s, uint64_t number, struct str why)
{
    s->counts.rejected++;
    s->options->rejected(s->options->ctx, number, why);
}

static size_t item_bytes(const struct sender_item *item)
{
    return item->payload_len + item->image_len;
}

static void append(struct sender_item *item, size_t *at, struct str bytes)
{
    if (bytes.len > 0)
        memcpy(item->bytes + *at, bytes.p, bytes.len);
    *at += bytes.len;
}

static struct sender_item *item_new(struct sender *s, const struct sender_message *message)
{
    struct alert alert;
    struct reject why;
    size_t at = 0;
    bool good = decode_cloudevents(s->decoder, message->payload, &alert, &why);
    struct str id = good ? alert.event_id : why.id;
    struct sender_item *item = mem_zalloc(sizeof(*item) + id.len + message->payload.len + message->image.len);
    item->number = message->number;
    item->unreadable = !good;
    item->has_image = message->has_image;
    item->id_len = id.len;
    item->payload_len = message->payload.len;
    item->image_len = message->image.len;
    append(item, &at, id);
    append(item, &at, message->payload);
    append(item, &at, message->image);
    return item;
}

bool sender_has_room(const struct sender *s)
{
    return s->held < SENDER_WINDOW && s->held_bytes < SENDER_WINDOW_BYTES;
}

void sender_add(struct sender *s, const struct sender_message *message)
{
    struct sender_item *item = item_new(s, message);
    item->at_us = s->now_us;
    s->counts.alerts++;
    s->held_bytes += item_bytes(item);
    if (s->held++ == 0)
        s->quiet_since_us = s->now_us;
    TAILQ_INSERT_TAIL(&s->due, item, entry);
}

void sender_refuse(struct sender *s, uint64_t number, struct str why)
{
    s->counts.alerts++;
    report_reject(s, number, why);
}

/* Alerts out */

/* Sends only while connected: the socket would keep earlier messages for the next connection. All frames or none:
 * libzmq takes back the first one if it cannot take the second. */
static int send_item(struct sender *s, const struct sender_item *item)
{
    if (!s->socket.connected) {
        errno = EAGAIN;
        return -1;
    }
    const char *payload = item->bytes + item->id_len, *image = payload + item->payload_len;
    int more = item->has_image ? ZMQ_SNDMORE : 0;
    if (TEMP_FAILURE_RETRY(zmq_send(s->socket.dealer, payload, item->payload_len, ZMQ_DONTWAIT | more)) < 0)
        return -1;
    if (item->has_image && TEMP_FAILURE_RETRY(zmq_send(s->socket.dealer, image, item->image_len, ZMQ_DONTWAIT)) < 0)
        return -1;
    return 0;
}

static int send_due(struct sender *s, struct err *err)
{
    struct sender_item *item = TAILQ_FIRST(&s->due);
    s->blocked = false;
    while (item) {
        struct sender_item *next = TAILQ_NEXT(item, entry);
        if (item->at_us <= s->now_us) {
            if (send_item(s, item) != 0) {
                s->blocked = errno == EAGAIN;
                return s->blocked ? 0 : err_set(err, "zmq_send: %s", zmq_strerror(errno));
            }
            s->counts.resent += item->sent_once;
            item->sent_once = true;
            item->at_us = s->now_us;
            TAILQ_REMOVE(&s->due, item, entry);
            TAILQ_INSERT_TAIL(&s->sent, item, entry);
        }
        item = next;
    }
    return 0;
}

/* Replies */

static struct str reply_frame(struct sender_reply *reply, int i)
{
    return (struct str){zmq_msg_data(&reply->frame[i]), zmq_msg_size(&reply->frame[i])};
}

/* Receives the next message of three frames or more (an ACK may have the flags of the alert). false: there is none. */
static bool receive_reply(struct sender *s, struct sender_reply *reply)
{
    zmq_msg_t extra;
    zmq_msg_init(&extra);
    int n = 0;
    do {
        n = 0;
        bool more = true;
        while (more) {
            zmq_msg_t *msg = n < REPLY_FRAMES_MAX ? &reply->frame[n] : &extra;
            if (TEMP_FAILURE_RETRY(zmq_msg_recv(msg, s->socket.dealer, n == 0 ? ZMQ_DONTWAIT : 0)) < 0)
                return false;
            more = zmq_msg_more(msg);
            n++;
        }
    } while (n < REPLY_FRAMES);
    reply->n = n;
    zmq_msg_close(&extra);
    return true;
}

/* If no item has the id, the reply belongs to the oldest item that this program cannot decode: daemon and program may
 * disagree about the id of such an item. */
static struct sender_item *find_item(struct sender *s, struct str id)
{
    struct sender_item *item;
    TAILQ_FOREACH(item, &s->sent, entry)
    if (str_eq(id, (struct str){item->bytes, item->id_len}))
        return item;
    TAILQ_FOREACH(item, &s->sent, entry)
    if (item->unreadable)
        return item;
    return NULL;
}

static int64_t retry_us(struct str text)
{
    char digits[8] = "";
    memcpy(digits, text.p, text.len < sizeof(digits) ? text.len : sizeof(digits) - 1);
    long ms = strtol(digits, NULL, 10);
    return (ms < 1 ? 1 : ms > RETRY_MAX_MS ? RETRY_MAX_MS : ms) * CLOCK_MS;
}

static void report_ack(struct sender *s, const struct sender_item *item, struct sender_reply *reply)
{
    struct str payload = {item->bytes + item->id_len, item->payload_len};
    struct str flags = reply->n > REPLY_FRAMES ? reply_frame(reply, REPLY_FRAMES) : (struct str){0};
    if (s->options->accepted)
        s->options->accepted(s->options->ctx, item->number, payload, reply->n > REPLY_FRAMES ? &flags : NULL);
}

/* Frees an alert of `sent`, which has its final reply. */
static void settle(struct sender *s, struct sender_item *item)
{
    TAILQ_REMOVE(&s->sent, item, entry);
    s->held--;
    s->held_bytes -= item_bytes(item);
    free(item);
}

static void note_unnamed(struct sender *s, struct str why)
{
    s->quiet_since_us = s->now_us;
    s->unnamed.n++;
    s->unnamed.why_len = why.len < sizeof(s->unnamed.why) ? why.len : sizeof(s->unnamed.why);
    memcpy(s->unnamed.why, why.p, s->unnamed.why_len);
}

/* Each alert in `sent` has one reply to come. Those that have come without an id are theirs once there are as many. */
static void settle_unnamed(struct sender *s)
{
    unsigned waiting = 0;
    struct sender_item *item;
    TAILQ_FOREACH(item, &s->sent, entry)
    waiting++;
    if (waiting == 0)
        s->unnamed.n = 0; /* not of an alert that is known here */
    if (s->unnamed.n < waiting)
        return;
    while ((item = TAILQ_FIRST(&s->sent))) {
        report_reject(s, item->number, (struct str){s->unnamed.why, s->unnamed.why_len});
        settle(s, item);
    }
    s->unnamed.n = 0;
}

static void handle_reply(struct sender *s, struct sender_reply *reply)
{
    struct str word = reply_frame(reply, 0), id = reply_frame(reply, 1), detail = reply_frame(reply, 2);
    bool ack = str_is(word, "ACK"), retry = str_is(word, "RETRY"), reject = str_is(word, "REJECT");
    struct sender_item *item = ack || retry || reject ? find_item(s, id) : NULL;
    if (!item && reject && id.len == 0)
        note_unnamed(s, detail);
    if (!item)
        return;
    s->quiet_since_us = s->now_us;
    if (retry) {
        s->turned_away = true;
        item->at_us = s->now_us + retry_us(detail);
        TAILQ_REMOVE(&s->sent, item, entry);
        TAILQ_INSERT_TAIL(&s->due, item, entry);
        if (s->options->full)
            s->options->full(s->options->ctx);
        return;
    }
    if (reject)
        report_reject(s, item->number, detail);
    s->counts.accepted += ack;
    if (ack)
        report_ack(s, item, reply);
    settle(s, item);
}

static void receive_all(struct sender *s)
{
    struct sender_reply reply;
    for (int i = 0; i < REPLY_FRAMES_MAX; i++)
        zmq_msg_init(&reply.frame[i]);
    while (receive_reply(s, &reply)) {
        handle_reply(s, &reply);
        if (s->unnamed.n > 0)
            settle_unnamed(s);
    }
    for (int i = 0; i < REPLY_FRAMES_MAX; i++)
        zmq_msg_close(&reply.frame[i]);
}

/* Time */

static int64_t next_timer_us(const struct sender *s)
{
    int64_t next = s->options->timeout_us > 0 ? s->quiet_since_us + s->options->timeout_us : INT64_MAX;
    if (sender_socket_retry_us(&s->socket) < next)
        next = sender_socket_retry_us(&s->socket);
    const struct sender_item *item = TAILQ_FIRST(&s->sent);
    if (item && item->at_us + resend_after_us(s) < next)
        next = item->at_us + resend_after_us(s);
    TAILQ_FOREACH(item, &s->due, entry)
    if ((item->at_us > s->now_us || !s->blocked) && item->at_us < next)
        next = item->at_us;
    return next;
}

static int give_up(struct sender *s, struct err *err)
{
    bool refused = s->socket.handshake_failed || s->socket.reached;
    const char *name = sender_unresolved(s);
    const char *why = s->socket.connected ? "connected, but it does not answer"
                      : name              ? name /* the handshake may have failed at another endpoint */
                      : !refused          ? "cannot connect"
                      : sender_socket_endpoint(&s->socket)->server_key
                          ? "the peer does not admit this client: its key is not on the client list or has expired, or "
                            "--server-key is not that of the daemon"
                          : "the peer does not speak ZeroMQ, or requires CURVE: --server-key and --client-key";
    return err_set(err, "no reply from %s%s for %lld s (%s): %u alert%s not answered",
                   sender_socket_endpoint(&s->socket)->to, has_another(s) ? " or another endpoint" : "",
                   (long long)(s->options->timeout_us / CLOCK_SECOND), why, s->held, s->held == 1 ? " was" : "s were");
}

/* An item that waits because of RETRY does not mean that the daemon is silent. */
static int check_times(struct sender *s, struct err *err)
{
    const struct sender_item *oldest = TAILQ_FIRST(&s->sent);
    if (!oldest && !s->blocked)
        s->quiet_since_us = s->now_us;
    if (s->options->timeout_us > 0 && s->now_us - s->quiet_since_us >= s->options->timeout_us)
        return give_up(s, err);
    bool late = s->now_us >= sender_socket_retry_us(&s->socket), away = !oldest && s->turned_away && has_another(s);
    if ((oldest && s->now_us - oldest->at_us >= resend_after_us(s)) || away || late)
        return resend_on_new_socket(s, err);
    return 0;
}

int sender_step(struct sender *s, struct err *err)
{
    s->now_us = clock_mono_us();
    if (sender_socket_resolve(&s->socket, s->now_us, err) != 0)
        return -1;
    receive_all(s);
    if (sender_socket_read_monitor(&s->socket) && resend_on_new_socket(s, err) != 0)
        return -1;
    if (check_times(s, err) != 0)
        return -1;
    do {
        if (send_due(s, err) != 0)
            return -1;
        receive_all(s); /* may find that the socket accepts messages again, and consumes the edge of its descriptor */
    } while (s->blocked && sender_socket_may_send(&s->socket));
    return 0;
}

int64_t sender_due_us(const struct sender *s)
{
    int64_t due_us = s->held > 0 ? next_timer_us(s) : sender_socket_retry_us(&s->socket);
    int64_t answer_us = sender_socket_answer_us(&s->socket, s->now_us);
    return answer_us < due_us ? answer_us : due_us;
}

void sender_poll_items(const struct sender *s, zmq_pollitem_t ret[SENDER_POLL_ITEMS])
{
    bool full = s->blocked && s->socket.connected;
    ret[0] = (zmq_pollitem_t){.socket = s->socket.dealer, .events = full ? ZMQ_POLLIN | ZMQ_POLLOUT : ZMQ_POLLIN};
    ret[1] = (zmq_pollitem_t){.socket = s->socket.monitor, .events = ZMQ_POLLIN};
}

void sender_fds(const struct sender *s, int ret[SENDER_POLL_ITEMS])
{
    void *sockets[SENDER_POLL_ITEMS] = {s->socket.dealer, s->socket.monitor};
    for (size_t i = 0; i < SENDER_POLL_ITEMS; i++) {
        size_t size = sizeof(ret[i]);
        if (zmq_getsockopt(sockets[i], ZMQ_FD, &ret[i], &size) != 0)
            ret[i] = -1;
    }
}

unsigned sender_sockets(const struct sender *s)
{
    return s->socket.opened;
}

struct sender_counts sender_counts(const struct sender *s)
{
    struct sender_counts counts = s->counts;
    counts.unanswered = s->held;
    return counts;
}

const char *sender_unresolved(const struct sender *s)
{
    return sender_names_why(s->socket.names, s->socket.at);
}

enum sender_link sender_link(const struct sender *s)
{
    return s->socket.connected ? SENDER_CONNECTED : s->socket.handshake_failed ? SENDER_REFUSED : SENDER_UNREACHABLE;
}

const char *sender_at(const struct sender *s)
{
    return sender_socket_endpoint(&s->socket)->to;
}

int64_t sender_quiet_since_us(const struct sender *s)
{
    return TAILQ_EMPTY(&s->sent) ? 0 : s->quiet_since_us;
}

struct sender *sender_new(const struct sender_options *options, struct err *err)
{
    struct sender *s = mem_zalloc(sizeof(*s));
    s->options = options;
    TAILQ_INIT(&s->due);
    TAILQ_INIT(&s->sent);
    s->decoder = cloudevents_decoder_new();
    s->now_us = s->quiet_since_us = clock_mono_us();
    if (sender_socket_init(&s->socket, options, err) != 0 || open_socket(s, err) != 0)
        sender_free(&s);
    return s;
}

void sender_free(struct sender **sender)
{
    struct sender *s = *sender;
    struct sender_item *item;
    *sender = NULL;
    if (!s)
        return;
    TAILQ_CONCAT(&s->due, &s->sent, entry);
    while ((item = TAILQ_FIRST(&s->due))) {
        TAILQ_REMOVE(&s->due, item, entry);
        free(item);
    }
    sender_socket_end(&s->socket);
    cloudevents_decoder_free(&s->decoder);
    free(s);
}
