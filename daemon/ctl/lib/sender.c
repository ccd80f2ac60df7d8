#include "ctl/lib/sender.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <zmq.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ctl/lib/ctl.h"
#include "model/alert.h"

#define RETRY_MAX_MS 60000
#define REPLY_FRAMES 3
#define CONNECT_US   (2 * CLOCK_SECOND) /* how long a connection may take if there is another endpoint */

/* A line without a final answer: in `due` until it is sent, then in `sent`. */
struct sender_line {
    TAILQ_ENTRY(sender_line) entry;
    uint64_t number;
    int64_t at_us;   /* in due: when to send it; in sent: when it was sent */
    bool sent_once;  /* the next send is a resend */
    bool unreadable; /* this program cannot decode it */
    size_t id_len, text_len;
    char bytes[]; /* the id, then the text */
};

TAILQ_HEAD(line_list, sender_line);

struct sender {
    const struct sender_options *options;
    struct sender_counts *counts;
    struct lines *lines;
    struct decoder *decoder;
    void *context, *socket, *monitor;
    unsigned sockets;  /* opened so far */
    size_t at;         /* index of this socket's endpoint */
    int64_t opened_us; /* monotonic: when this socket was opened */
    bool turned_away;  /* this endpoint has answered RETRY */
    struct line_list due, sent;
    unsigned held;          /* number of lines in both */
    bool blocked;           /* the socket accepts nothing at present */
    bool connected;         /* the handshake of this socket has succeeded */
    bool handshake_failed;  /* a peer answered, but the handshake failed */
    int64_t now_us;         /* monotonic, of this turn */
    int64_t quiet_since_us; /* the last reply, or when a line first waited for one */
};

struct sender_reply {
    zmq_msg_t frame[REPLY_FRAMES];
};

bool sender_blank(struct str line)
{
    for (size_t i = 0; i < line.len; i++)
        if (!strchr(" \t\r\v\f", line.p[i]) || line.p[i] == '\0')
            return false;
    return true;
}

void sender_too_large(uint64_t len, struct buf *out)
{
    buf_printf(out, "%s: message: the line has %llu bytes (expected at most %d)", reject_word(REJECT_TOO_LARGE),
               (unsigned long long)len, ALERT_PAYLOAD_MAX);
}

static uint64_t answered(const struct sender *s)
{
    return s->counts->accepted + s->counts->rejected;
}

static void show_progress(struct sender *s)
{
    if (s->options->total > 0)
        ctl_progress("send", answered(s), s->options->total);
}

static int64_t resend_after_us(const struct sender *s)
{
    return s->options->timeout_us / 6;
}

static const struct sender_endpoint *current_endpoint(const struct sender *s)
{
    return &s->options->endpoints[s->at];
}

/* The socket */

static void close_socket(struct sender *s)
{
    if (s->monitor)
        zmq_close(s->monitor);
    if (s->socket)
        zmq_close(s->socket);
    s->monitor = s->socket = NULL;
}

/* Each monitor gets a new name: that of a socket just closed is not free at once. */
static int open_monitor(struct sender *s)
{
    char address[64];
    snprintf(address, sizeof(address), "inproc://monitor-%u", ++s->sockets);
    int events = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                 ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_DISCONNECTED;
    if (zmq_socket_monitor(s->socket, address, events) != 0)
        return -1;
    s->monitor = zmq_socket(s->context, ZMQ_PAIR);
    return s->monitor ? zmq_connect(s->monitor, address) : -1;
}

static int set_curve(struct sender *s)
{
    const struct curve *curve = s->options->curve;
    if (!current_endpoint(s)->server_key)
        return 0;
    if (zmq_setsockopt(s->socket, ZMQ_CURVE_PUBLICKEY, curve->public_key, CONF_KEY_LEN) != 0 ||
        zmq_setsockopt(s->socket, ZMQ_CURVE_SECRETKEY, curve->secret_key, CONF_KEY_LEN) != 0)
        return -1;
    return zmq_setsockopt(s->socket, ZMQ_CURVE_SERVERKEY, current_endpoint(s)->server_key, CONF_KEY_LEN);
}

/* A new socket is a new peer to the daemon: no reply to an older one can reach it. ZMQ_IMMEDIATE keeps lines out of a
 * pipe that has no connection yet. */
static int open_socket(struct sender *s, struct err *err)
{
    close_socket(s);
    s->socket = zmq_socket(s->context, ZMQ_DEALER);
    if (!s->socket)
        return err_set(err, "zmq_socket: %s", zmq_strerror(errno));
    int none = 0, yes = 1, first_ms = 100, longest_ms = 2000, handshake_ms = 5000;
    zmq_setsockopt(s->socket, ZMQ_LINGER, &none, sizeof(none));
    zmq_setsockopt(s->socket, ZMQ_IMMEDIATE, &yes, sizeof(yes));
    zmq_setsockopt(s->socket, ZMQ_IPV6, &yes, sizeof(yes));
    zmq_setsockopt(s->socket, ZMQ_RECONNECT_IVL, &first_ms, sizeof(first_ms));
    zmq_setsockopt(s->socket, ZMQ_RECONNECT_IVL_MAX, &longest_ms, sizeof(longest_ms));
    zmq_setsockopt(s->socket, ZMQ_HANDSHAKE_IVL, &handshake_ms, sizeof(handshake_ms));
    if (set_curve(s) != 0)
        return err_set(err, "not a CURVE key: %s", zmq_strerror(errno));
    if (open_monitor(s) != 0)
        return err_set(err, "cannot monitor the socket: %s", zmq_strerror(errno));
    if (zmq_connect(s->socket, current_endpoint(s)->to) != 0)
        return err_set(err, "\"%s\" is not an endpoint to connect to (expected tcp://HOST:PORT or ipc://PATH): %s",
                       current_endpoint(s)->to, zmq_strerror(errno));
    s->blocked = s->connected = s->turned_away = false;
    s->opened_us = s->now_us;
    return 0;
}

/* Queues everything in flight to be resent to the next endpoint, in order, before what was not sent yet. */
static int resend_on_new_socket(struct sender *s, struct err *err)
{
    struct sender_line *line;
    while ((line = TAILQ_LAST(&s->sent, line_list))) {
        TAILQ_REMOVE(&s->sent, line, entry);
        line->at_us = s->now_us;
        TAILQ_INSERT_HEAD(&s->due, line, entry);
    }
    s->at = (s->at + 1) % s->options->n_endpoints;
    return open_socket(s, err);
}

static int read_monitor(struct sender *s, struct err *err)
{
    bool lost = false;
    zmq_msg_t msg;
    zmq_msg_init(&msg);
    while (zmq_msg_recv(&msg, s->monitor, ZMQ_DONTWAIT) >= 0) {
        uint16_t event = 0;
        if (zmq_msg_size(&msg) >= sizeof(event))
            memcpy(&event, zmq_msg_data(&msg), sizeof(event));
        bool more = zmq_msg_more(&msg);
        while (more && zmq_msg_recv(&msg, s->monitor, 0) >= 0)
            more = zmq_msg_more(&msg);
        if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED)
            s->connected = true;
        else if (event == ZMQ_EVENT_DISCONNECTED)
            lost = lost || s->connected;
        else
            s->handshake_failed = true;
    }
    zmq_msg_close(&msg);
    return lost ? resend_on_new_socket(s, err) : 0;
}

/* Lines in */

static void report_reject(struct sender *s, uint64_t number, struct str why)
{
    s->counts->rejected++;
    s->options->rejected(s->options->ctx, number, why);
}

static struct sender_line *line_new(struct sender *s, const struct line_text *text)
{
    struct alert alert;
    struct reject why;
    bool good = decode_cloudevents(s->decoder, text->text, &alert, &why);
    struct str id = good ? alert.event_id : why.id;
    struct sender_line *line = mem_zalloc(sizeof(*line) + id.len + text->text.len);
    line->number = text->number;
    line->unreadable = !good;
    line->id_len = id.len;
    line->text_len = text->text.len;
    if (id.len > 0)
        memcpy(line->bytes, id.p, id.len);
    memcpy(line->bytes + id.len, text->text.p, text->text.len);
    return line;
}

/* Reads lines while the window has room. Returns whether the file may have more. */
static bool take_lines(struct sender *s)
{
    struct line_text text;
    while (s->held < SENDER_WINDOW) {
        if (!lines_next(s->lines, &text))
            return !s->lines->end;
        if (text.len <= s->lines->max && sender_blank(text.text))
            continue;
        s->counts->lines++;
        if (text.len > s->lines->max) {
            struct buf why = {0};
            sender_too_large(text.len, &why);
            report_reject(s, text.number, buf_str(&why));
            buf_free(&why);
            continue;
        }
        struct sender_line *line = line_new(s, &text);
        line->at_us = s->now_us;
        if (s->held++ == 0)
            s->quiet_since_us = s->now_us;
        TAILQ_INSERT_TAIL(&s->due, line, entry);
    }
    return false;
}

/* Lines out */

static int send_due(struct sender *s, struct err *err)
{
    struct sender_line *line = TAILQ_FIRST(&s->due);
    s->blocked = false;
    while (line) {
        struct sender_line *next = TAILQ_NEXT(line, entry);
        if (line->at_us <= s->now_us) {
            if (zmq_send(s->socket, line->bytes + line->id_len, line->text_len, ZMQ_DONTWAIT) < 0) {
                s->blocked = errno == EAGAIN;
                return s->blocked ? 0 : err_set(err, "zmq_send: %s", zmq_strerror(errno));
            }
            s->counts->resent += line->sent_once;
            line->sent_once = true;
            line->at_us = s->now_us;
            TAILQ_REMOVE(&s->due, line, entry);
            TAILQ_INSERT_TAIL(&s->sent, line, entry);
        }
        line = next;
    }
    return 0;
}

/* Replies */

static struct str reply_frame(struct sender_reply *reply, int i)
{
    return (struct str){zmq_msg_data(&reply->frame[i]), zmq_msg_size(&reply->frame[i])};
}

/* Receives the next message of three frames. false: there is none. */
static bool receive_reply(struct sender *s, struct sender_reply *reply)
{
    zmq_msg_t extra;
    zmq_msg_init(&extra);
    int n = 0;
    do {
        n = 0;
        bool more = true;
        while (more) {
            zmq_msg_t *msg = n < REPLY_FRAMES ? &reply->frame[n] : &extra;
            if (zmq_msg_recv(msg, s->socket, n == 0 ? ZMQ_DONTWAIT : 0) < 0)
                return false;
            more = zmq_msg_more(msg);
            n++;
        }
    } while (n != REPLY_FRAMES);
    zmq_msg_close(&extra);
    return true;
}

/* If no line has the id, the reply belongs to the oldest line that this program cannot decode: daemon and program may
 * disagree about the id of such a line. */
static struct sender_line *find_line(struct sender *s, struct str id)
{
    struct sender_line *line;
    TAILQ_FOREACH(line, &s->sent, entry)
    if (str_eq(id, (struct str){line->bytes, line->id_len}))
        return line;
    TAILQ_FOREACH(line, &s->sent, entry)
    if (line->unreadable)
        return line;
    return NULL;
}

static int64_t retry_us(struct str text)
{
    char digits[8] = "";
    memcpy(digits, text.p, text.len < sizeof(digits) ? text.len : sizeof(digits) - 1);
    long ms = strtol(digits, NULL, 10);
    return (ms < 1 ? 1 : ms > RETRY_MAX_MS ? RETRY_MAX_MS : ms) * CLOCK_MS;
}

static void handle_reply(struct sender *s, struct sender_reply *reply)
{
    struct str word = reply_frame(reply, 0), detail = reply_frame(reply, 2);
    bool ack = str_is(word, "ACK"), retry = str_is(word, "RETRY");
    if (!ack && !retry && !str_is(word, "REJECT"))
        return;
    struct sender_line *line = find_line(s, reply_frame(reply, 1));
    if (!line)
        return;
    s->quiet_since_us = s->now_us;
    TAILQ_REMOVE(&s->sent, line, entry);
    if (retry) {
        s->turned_away = true;
        line->at_us = s->now_us + retry_us(detail);
        TAILQ_INSERT_TAIL(&s->due, line, entry);
        return;
    }
    if (ack)
        s->counts->accepted++;
    else
        report_reject(s, line->number, detail);
    free(line);
    s->held--;
    show_progress(s);
}

static void receive_all(struct sender *s)
{
    struct sender_reply reply;
    for (int i = 0; i < REPLY_FRAMES; i++)
        zmq_msg_init(&reply.frame[i]);
    while (receive_reply(s, &reply))
        handle_reply(s, &reply);
    for (int i = 0; i < REPLY_FRAMES; i++)
        zmq_msg_close(&reply.frame[i]);
}

/* Time */

static bool has_another(const struct sender *s)
{
    return s->options->n_endpoints > 1;
}

static int64_t next_timer_us(const struct sender *s)
{
    int64_t next = s->quiet_since_us + s->options->timeout_us;
    if (has_another(s) && !s->connected && s->opened_us + CONNECT_US < next)
        next = s->opened_us + CONNECT_US;
    const struct sender_line *line = TAILQ_FIRST(&s->sent);
    if (line && line->at_us + resend_after_us(s) < next)
        next = line->at_us + resend_after_us(s);
    TAILQ_FOREACH(line, &s->due, entry)
    if (line->at_us > s->now_us && line->at_us < next)
        next = line->at_us;
    return next;
}

static int give_up(struct sender *s, struct err *err)
{
    const char *why = s->connected           ? "connected, but it does not answer"
                      : !s->handshake_failed ? "cannot connect"
                      : current_endpoint(s)->server_key
                          ? "the peer does not admit this client: its key is not on the client list or has expired, or "
                            "--server-key is not that of the daemon"
                          : "the peer does not speak ZeroMQ, or requires CURVE: --server-key and --client-key";
    return err_set(err, "no reply from %s%s for %lld s (%s): %u of the lines read were not answered",
                   current_endpoint(s)->to, has_another(s) ? " or another endpoint" : "",
                   (long long)(s->options->timeout_us / CLOCK_SECOND), why, s->held);
}

/* A line that waits because of RETRY does not mean that the daemon is silent. */
static int check_times(struct sender *s, struct err *err)
{
    const struct sender_line *oldest = TAILQ_FIRST(&s->sent);
    if (!oldest && !s->blocked)
        s->quiet_since_us = s->now_us;
    if (s->now_us - s->quiet_since_us >= s->options->timeout_us)
        return give_up(s, err);
    bool away = !oldest && s->turned_away, late = !s->connected && s->now_us - s->opened_us >= CONNECT_US;
    if ((oldest && s->now_us - oldest->at_us >= resend_after_us(s)) || (has_another(s) && (away || late)))
        return resend_on_new_socket(s, err);
    return 0;
}

static int wait_and_read(struct sender *s, bool more_lines, struct err *err)
{
    zmq_pollitem_t items[] = {
        {.socket = s->socket, .events = s->blocked ? ZMQ_POLLIN | ZMQ_POLLOUT : ZMQ_POLLIN},
        {.socket = s->monitor, .events = ZMQ_POLLIN},
        {.fd = s->lines->fd, .events = ZMQ_POLLIN},
    };
    long ms = -1;
    if (s->held > 0) {
        int64_t us = next_timer_us(s) - s->now_us;
        ms = us <= 0 ? 0 : (long)(us / CLOCK_MS + 1);
    }
    if (zmq_poll(items, more_lines ? 3 : 2, ms) < 0 && errno != EINTR)
        return err_set(err, "zmq_poll: %s", zmq_strerror(errno));
    s->now_us = clock_mono_us();
    if (more_lines && items[2].revents && lines_read(s->lines) != 0)
        return err_set(err, "cannot read: %s", strerror(errno));
    return 0;
}

static int send_and_receive(struct sender *s, bool more_lines, struct err *err)
{
    if (send_due(s, err) != 0 || wait_and_read(s, more_lines, err) != 0)
        return -1;
    receive_all(s);
    if (check_times(s, err) != 0)
        return -1;
    return read_monitor(s, err);
}

int sender_run(const struct sender_options *options, struct lines *lines, struct sender_counts *ret_counts,
               struct err *err)
{
    *ret_counts = (struct sender_counts){0};
    struct sender s = {.options = options, .counts = ret_counts, .lines = lines};
    TAILQ_INIT(&s.due);
    TAILQ_INIT(&s.sent);
    s.decoder = decoder_new();
    s.context = zmq_ctx_new();
    s.now_us = s.quiet_since_us = clock_mono_us();

    int status = open_socket(&s, err);
    while (status == 0) {
        bool more_lines = take_lines(&s);
        if (!more_lines && s.held == 0)
            break;
        status = send_and_receive(&s, more_lines, err);
    }

    ret_counts->unanswered = s.held;
    struct sender_line *line;
    TAILQ_CONCAT(&s.due, &s.sent, entry);
    while ((line = TAILQ_FIRST(&s.due))) {
        TAILQ_REMOVE(&s.due, line, entry);
        free(line);
    }
    close_socket(&s);
    zmq_ctx_term(s.context);
    decoder_free(&s.decoder);
    return status;
}
