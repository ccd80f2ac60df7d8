#include "ingest/tcp.h"

#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event_struct.h>
#include <event2/listener.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "ingest/allow.h"
#include "ingest/peer_address.h"

/* Bytes read ahead per connection: two frames, so that one is complete whatever precedes it. */
#define READ_AHEAD_MAX (2 * DC09_FRAME_MAX)
/* Bytes of replies that a peer may leave unread in our memory, and as many in the kernel's. An ACK has about 40. */
#define UNREAD_MAX   (16 * 1024)
#define KERNEL_BYTES (16 * 1024)
#define BACKLOG      1024
/* Connections accepted before other events are handled. */
#define ACCEPT_SHARE    64
#define ACCEPT_PAUSE_US CLOCK_SECOND
#define BIND_RETRY_MS   10

enum cut_reason { CUT_NOT_ALLOWED, CUT_TOO_MANY, CUT_NO_FRAME, CUT_UNREAD, CUT_REASONS };

static const char *const cut_texts[CUT_REASONS] = {
    [CUT_NOT_ALLOWED] = "its address is not in allow_from",
    [CUT_TOO_MANY] =
        "the limit on connections is reached (those without a frame go first, then those whose last one is oldest)",
    [CUT_NO_FRAME] = "it sent more bytes than the largest frame without completing one",
    [CUT_UNREAD] = "it does not read its replies",
};

struct tcp_connection {
    TAILQ_ENTRY(tcp_connection) by_age;
    TAILQ_ENTRY(tcp_connection) among_silent;
    TAILQ_ENTRY(tcp_connection) scan_entry;
    TAILQ_ENTRY(tcp_connection) among_ended;
    struct tcp *tcp;
    struct bufferevent *bev;
    char address[PEER_ADDRESS_SIZE];
    uint64_t id;      /* CONF_CONNECTIONS_MAX * serial number + slot */
    int64_t frame_us; /* monotonic: when its last whole frame was taken, or it connected */
    size_t noise;     /* bytes outside frames since then */
    bool silent;      /* no whole frame has come yet */
    bool is_queued;   /* there may be bytes to scan */
    bool ended;       /* the peer has closed its side; what it sent gets its replies before the close */
    bool broken;      /* it cannot get replies either */
};

TAILQ_HEAD(connections, tcp_connection);

struct tcp {
    struct loop *loop;
    const struct conf_endpoint *conf;
    struct tcp_calls calls;
    void *ctx;
    char subject[96];
    struct evconnlistener *listener;
    struct event accept_again;     /* armed while accepting is paused */
    struct event idle_due;         /* armed while there are connections */
    struct connections all;        /* ordered by last whole frame, oldest first */
    struct connections silent;     /* no whole frame has come yet; oldest first */
    struct connections scan_queue; /* connections with bytes to scan, next one first */
    struct connections ended;
    size_t n;
    uint64_t last_serial;
    unsigned accepted;
    struct tcp_connection *slots[CONF_CONNECTIONS_MAX];
    uint16_t spare[CONF_CONNECTIONS_MAX]; /* free slots */
    size_t n_spare;
    struct rate_limiter accept_failed, cuts[CUT_REASONS];
};

/* ---- the life of a connection ---- */

static void count_cut(struct tcp *tcp, enum cut_reason reason, const char *address)
{
    log_limited(&tcp->cuts[reason], loop_mono_us(tcp->loop), LOG_LEVEL_WARNING, tcp->subject,
                "closed the connection from %s: %s", address, cut_texts[reason]);
    tcp->calls.on_cut(tcp->ctx);
}

static void drop(struct tcp_connection *connection)
{
    struct tcp *tcp = connection->tcp;
    uint16_t slot = (uint16_t)(connection->id % CONF_CONNECTIONS_MAX);
    if (connection->is_queued)
        TAILQ_REMOVE(&tcp->scan_queue, connection, scan_entry);
    if (connection->ended)
        TAILQ_REMOVE(&tcp->ended, connection, among_ended);
    if (connection->silent)
        TAILQ_REMOVE(&tcp->silent, connection, among_silent);
    TAILQ_REMOVE(&tcp->all, connection, by_age);
    tcp->n--;
    tcp->slots[slot] = NULL;
    tcp->spare[tcp->n_spare++] = slot;
    bufferevent_free(connection->bev);
    free(connection);
}

static void cut(struct tcp_connection *connection, enum cut_reason reason)
{
    assert(connection);
    struct tcp *tcp = connection->tcp;
    char address[PEER_ADDRESS_SIZE];
    memcpy(address, connection->address, sizeof(address));
    drop(connection);
    count_cut(tcp, reason, address);
}

static void queue_scan(struct tcp_connection *connection)
{
    struct tcp *tcp = connection->tcp;
    bool was_ready = tcp_is_ready(tcp);
    if (connection->is_queued)
        return;
    connection->is_queued = true;
    TAILQ_INSERT_TAIL(&tcp->scan_queue, connection, scan_entry);
    if (!was_ready)
        tcp->calls.on_ready(tcp->ctx);
}

/* At its high watermark libevent would call this in an endless loop until the next drain. */
static void on_read(struct bufferevent *bev, void *arg)
{
    if (evbuffer_get_length(bufferevent_get_input(bev)) >= READ_AHEAD_MAX)
        bufferevent_disable(bev, EV_READ);
    queue_scan(arg);
}

/* An ended connection waits for its replies before it is closed: it passes through drain and replied once more. */
static void on_written(struct bufferevent *bev, void *arg)
{
    (void)bev;
    struct tcp_connection *connection = arg;
    if (connection->ended)
        queue_scan(connection);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    (void)bev;
    struct tcp_connection *connection = arg;
    if (!connection->ended)
        TAILQ_INSERT_TAIL(&connection->tcp->ended, connection, among_ended);
    connection->ended = true;
    connection->broken |= (what & BEV_EVENT_ERROR) != 0;
    queue_scan(connection);
}

static void arm_idle(struct tcp *tcp)
{
    const struct tcp_connection *oldest = TAILQ_FIRST(&tcp->all);
    if (!oldest)
        return;
    int64_t left_us = oldest->frame_us + tcp->conf->idle_us - loop_mono_us(tcp->loop);
    loop_arm(&tcp->idle_due, left_us > 0 ? left_us : 0);
}

static void on_idle_due(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct tcp *tcp = arg;
    struct tcp_connection *oldest;
    while ((oldest = TAILQ_FIRST(&tcp->all)) && loop_mono_us(tcp->loop) - oldest->frame_us >= tcp->conf->idle_us)
        drop(oldest);
    arm_idle(tcp);
}

/* A peer that merely connects must not displace equipment that keeps its connection open and rarely sends. */
static void shrink_to(struct tcp *tcp, size_t most)
{
    while (tcp->n > most) {
        struct tcp_connection *silent = TAILQ_FIRST(&tcp->silent);
        cut(silent ? silent : TAILQ_FIRST(&tcp->all), CUT_TOO_MANY);
    }
}

static void add_connection(struct tcp *tcp, struct bufferevent *bev)
{
    struct tcp_connection *connection = mem_zalloc(sizeof(*connection));
    uint16_t slot = tcp->spare[--tcp->n_spare];
    tcp->slots[slot] = connection;
    connection->tcp = tcp;
    connection->bev = bev;
    connection->id = ++tcp->last_serial * CONF_CONNECTIONS_MAX + slot;
    connection->frame_us = loop_mono_us(tcp->loop);
    peer_address_of_socket(bufferevent_getfd(bev), connection->address);
    connection->silent = true;
    TAILQ_INSERT_TAIL(&tcp->all, connection, by_age);
    TAILQ_INSERT_TAIL(&tcp->silent, connection, among_silent);
    if (++tcp->n == 1)
        arm_idle(tcp);
    bufferevent_setcb(bev, on_read, on_written, on_event, connection);
    bufferevent_setwatermark(bev, EV_READ, 0, READ_AHEAD_MAX);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
}

/* ---- the listener ---- */

static void pause_accepting(struct tcp *tcp, int64_t us)
{
    evconnlistener_disable(tcp->listener);
    loop_arm(&tcp->accept_again, us);
}

/* The listener accepts until no peer waits: without a pause, peers that keep connecting would block the loop. */
static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *peer, int len, void *arg)
{
    (void)listener;
    (void)len;
    struct tcp *tcp = arg;
    log_recover(&tcp->accept_failed, tcp->subject, "accepting connections again");
    if (++tcp->accepted % ACCEPT_SHARE == 0)
        pause_accepting(tcp, 0);
    if (!allow_sockaddr(tcp->conf, peer)) {
        char address[PEER_ADDRESS_SIZE];
        peer_address_of_socket(fd, address);
        evutil_closesocket(fd);
        count_cut(tcp, CUT_NOT_ALLOWED, address);
        return;
    }
    shrink_to(tcp, tcp->conf->connections - 1);
    struct bufferevent *bev = bufferevent_socket_new(loop_base(tcp->loop), fd, BEV_OPT_CLOSE_ON_FREE);
    if (bev)
        add_connection(tcp, bev);
    else
        evutil_closesocket(fd);
}

/* Usually a shortage of descriptors. The pending connection would wake the loop continuously. */
static void on_accept_failed(struct evconnlistener *listener, void *arg)
{
    (void)listener;
    struct tcp *tcp = arg;
    log_limited(&tcp->accept_failed, loop_mono_us(tcp->loop), LOG_LEVEL_ERROR, tcp->subject,
                "cannot accept a connection: %s; trying again every second", strerror(errno));
    pause_accepting(tcp, ACCEPT_PAUSE_US);
}

static void on_accept_again(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct tcp *tcp = arg;
    evconnlistener_enable(tcp->listener);
}

/* -1 with errno; errno is 0 if it is not an IP address. */
static int listen_at(const struct address *address)
{
    struct sockaddr_storage at;
    int yes = 1, no = 0, room = KERNEL_BYTES;
    socklen_t len = address_to_socket(address, &at);
    errno = 0;
    int fd = len == 0 ? -1 : socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) != 0 ||
                    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof(yes)) != 0 ||
                    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes)) != 0 ||
                    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)) != 0 ||
                    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)) != 0 ||
                    /* "*" is both kinds of addresses, whatever net.ipv6.bindv6only says, as for libzmq */
                    (at.ss_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no)) != 0) ||
                    bind(fd, (struct sockaddr *)&at, len) != 0)) {
        int saved = errno;
        close(fd);
        errno = saved;
        fd = -1;
    }
    return fd;
}

/* The same for the text of an address. */
static int listen_patiently(const char *text, int patience_ms)
{
    struct address address;
    int fd = -1;
    errno = 0;
    if (address_bind(text, &address, NULL) != 0)
        return -1;
    for (int waited_ms = 0; (fd = listen_at(&address)) < 0;) {
        if (errno == EAFNOSUPPORT && strcmp(address.host, "*") == 0) {
            strcpy(address.host, "0.0.0.0"); /* a machine without IPv6 */
        } else if (errno == EADDRINUSE && waited_ms < patience_ms) {
            poll(NULL, 0, BIND_RETRY_MS);
            waited_ms += BIND_RETRY_MS;
        } else {
            break;
        }
    }
    return fd;
}

static int open_listener(struct tcp *tcp, int patience_ms, struct err *err)
{
    int fd = listen_patiently(tcp->conf->address, patience_ms);
    if (fd >= 0)
        tcp->listener = evconnlistener_new(loop_base(tcp->loop), on_accept, tcp,
                                           LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, BACKLOG, fd);
    if (tcp->listener) {
        evconnlistener_set_error_cb(tcp->listener, on_accept_failed);
        if (address_is_free_port(tcp->conf->address))
            log_info(tcp->subject, "listening on port %u", address_bound_port(fd));
        return 0;
    }
    err_set(err, "endpoint %s: cannot bind %s: %s", tcp->conf->name, tcp->conf->address,
            errno ? strerror(errno) : "not an address");
    if (fd >= 0)
        close(fd);
    return -1;
}

struct tcp *tcp_new(struct loop *loop, const struct conf_endpoint *conf, int patience_ms, const struct tcp_calls *calls,
                    void *ctx, struct err *err)
{
    struct tcp *tcp = mem_zalloc(sizeof(*tcp));
    tcp->loop = loop;
    tcp->conf = conf;
    tcp->calls = *calls;
    tcp->ctx = ctx;
    snprintf(tcp->subject, sizeof(tcp->subject), "endpoint %s", conf->name);
    TAILQ_INIT(&tcp->all);
    TAILQ_INIT(&tcp->silent);
    TAILQ_INIT(&tcp->scan_queue);
    TAILQ_INIT(&tcp->ended);
    for (tcp->n_spare = 0; tcp->n_spare < CONF_CONNECTIONS_MAX; tcp->n_spare++)
        tcp->spare[tcp->n_spare] = (uint16_t)(CONF_CONNECTIONS_MAX - 1 - tcp->n_spare);
    evtimer_assign(&tcp->accept_again, loop_base(loop), on_accept_again, tcp);
    evtimer_assign(&tcp->idle_due, loop_base(loop), on_idle_due, tcp);
    if (open_listener(tcp, patience_ms, err) != 0)
        tcp_free(&tcp);
    return tcp;
}

void tcp_free(struct tcp **tcp)
{
    if (!*tcp)
        return;
    while (!TAILQ_EMPTY(&(*tcp)->all))
        drop(TAILQ_FIRST(&(*tcp)->all));
    event_del(&(*tcp)->accept_again);
    event_del(&(*tcp)->idle_due);
    if ((*tcp)->listener)
        evconnlistener_free((*tcp)->listener);
    free(*tcp);
    *tcp = NULL;
}

void tcp_reconfigure(struct tcp *tcp, const struct conf_endpoint *conf)
{
    struct tcp_connection *connection, *next;
    tcp->conf = conf;
    for (connection = TAILQ_FIRST(&tcp->all); connection; connection = next) {
        struct sockaddr_storage peer = {0};
        socklen_t len = sizeof(peer);
        next = TAILQ_NEXT(connection, by_age);
        getpeername(bufferevent_getfd(connection->bev), (struct sockaddr *)&peer, &len);
        if (!allow_sockaddr(conf, (const struct sockaddr *)&peer))
            cut(connection, CUT_NOT_ALLOWED);
    }
    shrink_to(tcp, conf->connections);
    arm_idle(tcp);
}

/* ---- frames and replies ---- */

static void note_frame(struct tcp_connection *connection)
{
    struct tcp *tcp = connection->tcp;
    connection->frame_us = loop_mono_us(tcp->loop);
    if (connection->silent)
        TAILQ_REMOVE(&tcp->silent, connection, among_silent);
    connection->silent = false;
    TAILQ_REMOVE(&tcp->all, connection, by_age);
    TAILQ_INSERT_TAIL(&tcp->all, connection, by_age);
}

/* The next frame in the input. Noise before it is consumed; too much of it counts as a frame that is too long. */
static enum dc09_result next_frame(struct tcp_connection *connection, struct str bytes, struct dc09_frame *ret,
                                   size_t *ret_used)
{
    enum dc09_result result = dc09_scan(bytes, ret, ret_used);
    if (result != DC09_INCOMPLETE) {
        connection->noise = 0;
        return result;
    }
    connection->noise += *ret_used;
    if (connection->noise <= DC09_FRAME_MAX)
        return DC09_INCOMPLETE;
    *ret = (struct dc09_frame){.raw = bytes};
    *ret_used = bytes.len;
    return DC09_TOO_LONG;
}

/* Takes up to `budget` frames from one connection and returns their number. Clears *go_on if the owner ends the drain.
 */
static unsigned drain_connection(struct tcp_connection *connection, unsigned budget, bool *go_on)
{
    struct tcp *tcp = connection->tcp;
    struct evbuffer *input = bufferevent_get_input(connection->bev);
    struct str bytes = {(const char *)evbuffer_pullup(input, -1), evbuffer_get_length(input)};
    enum dc09_result result = DC09_INCOMPLETE;
    unsigned n = 0;
    size_t at = 0;
    for (; n < budget && *go_on && result != DC09_TOO_LONG && at < bytes.len; n++) {
        struct dc09_frame frame;
        size_t used = 0;
        result = next_frame(connection, (struct str){bytes.p + at, bytes.len - at}, &frame, &used);
        at += used;
        if (result == DC09_INCOMPLETE)
            break;
        if (result >= DC09_NOT_UNDERSTOOD)
            note_frame(connection);
        *go_on = tcp->calls.on_frame(tcp->ctx, connection->id, connection->address, result, &frame);
    }
    bool more = at < bytes.len && result != DC09_INCOMPLETE && result != DC09_TOO_LONG;
    evbuffer_drain(input, at);
    if (!connection->ended)
        bufferevent_enable(connection->bev, EV_READ);
    if (result == DC09_TOO_LONG)
        cut(connection, CUT_NO_FRAME);
    else if (more)
        queue_scan(connection);
    return n;
}

bool tcp_drain(struct tcp *tcp, unsigned budget)
{
    bool go_on = true;
    struct tcp_connection *last = TAILQ_LAST(&tcp->scan_queue, connections);
    for (struct tcp_connection *first; go_on && budget > 0 && (first = TAILQ_FIRST(&tcp->scan_queue));) {
        bool round = first == last;
        TAILQ_REMOVE(&tcp->scan_queue, first, scan_entry);
        first->is_queued = false;
        budget -= drain_connection(first, budget, &go_on);
        if (round)
            break;
    }
    return tcp_is_ready(tcp);
}

bool tcp_is_ready(const struct tcp *tcp)
{
    return !TAILQ_EMPTY(&tcp->scan_queue);
}

void tcp_replied(struct tcp *tcp)
{
    struct tcp_connection *connection, *next;
    for (int reason = 0; reason < CUT_REASONS; reason++)
        log_recover_if_quiet(&tcp->cuts[reason], loop_mono_us(tcp->loop), tcp->subject,
                             "no connection closed for a minute because %s", cut_texts[reason]);
    for (connection = TAILQ_FIRST(&tcp->ended); connection; connection = next) {
        next = TAILQ_NEXT(connection, among_ended);
        size_t unsent = evbuffer_get_length(bufferevent_get_output(connection->bev));
        if (!connection->is_queued && (connection->broken || unsent == 0))
            drop(connection);
    }
}

bool tcp_reply(struct tcp *tcp, uint64_t id, struct str bytes)
{
    struct tcp_connection *connection = tcp->slots[id % CONF_CONNECTIONS_MAX];
    if (!connection || connection->id != id || connection->broken)
        return false;
    if (evbuffer_get_length(bufferevent_get_output(connection->bev)) + bytes.len > UNREAD_MAX) {
        cut(connection, CUT_UNREAD);
        return false;
    }
    return bufferevent_write(connection->bev, bytes.p, bytes.len) == 0;
}
