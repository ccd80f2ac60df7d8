#include "board/board_peer.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event_struct.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "board/wire_watch.h"

#define REQUEST_US  (20 * CLOCK_SECOND)
#define IDLE_US     (75 * CLOCK_SECOND)
#define RESPONSE_US (60 * CLOCK_SECOND)
/* After a refusal, further input is read and discarded: closing with unread data could destroy the response. */
#define LINGER_US   (2 * CLOCK_SECOND)
#define DISCARD_MAX ((size_t)1024 * 1024)
/* evhttp reads on while a response, or a stream, is being sent: no client sends so much of its next request. */
#define EARLY_MAX ((size_t)64 * 1024)

struct board_peer {
    TAILQ_ENTRY(board_peer) by_use; /* the one that has been idle longest first */
    struct board_peers *peers;
    struct bufferevent *bev;
    struct wire_watch watch;
    struct event deadline, discard;
    void *request; /* without a response yet; NULL: none */
    size_t discarded;
    size_t unread;            /* of an event stream */
    bool refused, cut, known; /* known: evhttp reports when it closes the connection */
    bool closing;             /* by us */
    bool stream;
};

TAILQ_HEAD(board_peer_list, board_peer);

struct board_peers {
    struct loop *loop;
    struct board_peer_calls calls;
    void *ctx;
    struct board_peer_list list;
    size_t n, most;
    size_t unread; /* of all event streams that are not cut */
    struct rate_limiter too_many;
};

/* evhttp's side of a connection; NULL: evhttp has closed it. */
static struct evhttp_connection *connection_of(const struct board_peer *peer)
{
    bufferevent_event_cb on_event;
    void *arg;
    bufferevent_getcb(peer->bev, NULL, NULL, &on_event, &arg);
    return on_event ? arg : NULL;
}

static void on_input(struct evbuffer *input, const struct evbuffer_cb_info *info, void *arg);
static void on_output(struct evbuffer *output, const struct evbuffer_cb_info *info, void *arg);

static void end_stream(struct board_peer *peer)
{
    if (!peer->stream)
        return;
    evbuffer_remove_cb(bufferevent_get_output(peer->bev), on_output, peer);
    peer->peers->unread -= peer->cut ? 0 : peer->unread;
    peer->unread = 0;
    peer->stream = false;
}

static void forget(struct board_peer *peer)
{
    TAILQ_REMOVE(&peer->peers->list, peer, by_use);
    peer->peers->n--;
    event_del(&peer->deadline);
    event_del(&peer->discard);
    evbuffer_remove_cb(bufferevent_get_input(peer->bev), on_input, peer);
    end_stream(peer);
    bufferevent_decref(peer->bev);
    free(peer);
}

static void on_connection_closed(struct evhttp_connection *connection, void *arg)
{
    (void)connection;
    struct board_peer *peer = arg;
    if (peer->request)
        peer->peers->calls.on_closed(peer->peers->ctx, peer->request, peer->closing);
    forget(peer);
}

/* Closes the connection and frees the peer. Not from within a callback of its bufferevent. */
static void close_peer(struct board_peer *peer)
{
    struct evhttp_connection *connection = connection_of(peer);
    if (!connection) {
        forget(peer);
        return;
    }
    peer->closing = true;
    evhttp_connection_set_closecb(connection, on_connection_closed, peer);
    evhttp_connection_free(connection);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    close_peer(arg);
}

static void on_discard(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct board_peer *peer = arg;
    char bytes[4096];
    ssize_t got = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (got > 0)
        peer->discarded += (size_t)got;
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR) || peer->discarded > DISCARD_MAX)
        close_peer(peer);
}

/* Responds in place of evhttp, which gets nothing that the peer sends from now on. */
static void refuse(struct board_peer *peer, struct evbuffer *input)
{
    struct buf response = {0};
    evutil_socket_t fd = bufferevent_getfd(peer->bev);
    peer->refused = true;
    evbuffer_drain(input, evbuffer_get_length(input));
    bufferevent_disable(peer->bev, EV_READ);
    peer->peers->calls.on_refused(peer->peers->ctx, peer->watch.status, peer->watch.why, &response);
    /* A connection that is waiting for a response has room for a short one. */
    if (send(fd, response.data, response.len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        log_debug("board", "a refusal could not be sent");
    buf_free(&response);
    shutdown(fd, SHUT_WR);
    event_assign(&peer->discard, loop_base(peer->peers->loop), fd, EV_READ | EV_PERSIST, on_discard, peer);
    event_add(&peer->discard, NULL);
    loop_arm(&peer->deadline, LINGER_US);
}

/* Feeds the bytes at the end of the buffer to the watch. */
static void feed(struct board_peer *peer, struct evbuffer *input, size_t added)
{
    struct evbuffer_ptr at;
    struct evbuffer_iovec parts[16];
    size_t length = evbuffer_get_length(input);
    evbuffer_ptr_set(input, &at, length - added, EVBUFFER_PTR_SET);
    while (added > 0) {
        int n = evbuffer_peek(input, (ev_ssize_t)added, &at, parts, 16);
        size_t fed = 0;
        for (int i = 0; i < n && i < 16 && fed < added; i++) {
            size_t len = parts[i].iov_len < added - fed ? parts[i].iov_len : added - fed;
            wire_watch_feed(&peer->watch, parts[i].iov_base, len);
            fed += len;
        }
        if (fed == 0)
            return;
        added -= fed;
        evbuffer_ptr_set(input, &at, fed, EVBUFFER_PTR_ADD);
    }
}

static void on_input(struct evbuffer *input, const struct evbuffer_cb_info *info, void *arg)
{
    struct board_peer *peer = arg;
    struct evhttp_connection *connection = connection_of(peer);
    bool first = peer->watch.state == WIRE_METHOD && peer->watch.head_bytes == 0;
    if (info->n_added == 0 || peer->refused || peer->cut)
        return;
    if (connection && !peer->known) {
        evhttp_connection_set_closecb(connection, on_connection_closed, peer);
        peer->known = true;
    }
    feed(peer, input, info->n_added);
    if (peer->watch.state == WIRE_REFUSED)
        refuse(peer, input);
    else if (peer->watch.early > EARLY_MAX)
        board_peer_cut(peer);
    else if (first)
        loop_arm(&peer->deadline, REQUEST_US);
}

/* ---- accepting ---- */

static void log_too_many(struct board_peers *peers, const char *what)
{
    log_limited(&peers->too_many, loop_mono_us(peers->loop), LOG_LEVEL_WARNING, "board",
                "more than %zu connections; %s", peers->most, what);
}

/* Makes room for one more connection, if one is idle between requests. */
static bool make_room(struct board_peers *peers)
{
    struct board_peer *peer;
    if (peers->n < peers->most)
        return true;
    TAILQ_FOREACH(peer, &peers->list, by_use)
    {
        if (peer->request || evbuffer_get_length(bufferevent_get_output(peer->bev)) > 0)
            continue;
        close_peer(peer);
        log_too_many(peers, "closed the one that was idle longest");
        return true;
    }
    log_too_many(peers, "all are being answered; closed the new one");
    return false;
}

/* evhttp has accepted a connection, and takes over the bufferevent. */
static struct bufferevent *on_accept(struct event_base *base, void *arg)
{
    struct board_peers *peers = arg;
    bool room = make_room(peers);
    struct bufferevent *bev = bufferevent_socket_new(base, -1, 0);
    if (!bev)
        return NULL;
    struct board_peer *peer = mem_zalloc(sizeof(*peer));
    peer->peers = peers;
    peer->bev = bev;
    bufferevent_incref(bev);
    evtimer_assign(&peer->deadline, base, on_deadline, peer);
    event_assign(&peer->discard, base, -1, 0, on_discard, peer);
    evbuffer_add_cb(bufferevent_get_input(bev), on_input, peer);
    TAILQ_INSERT_TAIL(&peers->list, peer, by_use);
    peers->n++;
    peer->cut = !room;
    loop_arm(&peer->deadline, room ? REQUEST_US : 0);
    return bev;
}

struct board_peers *board_peers_new(struct loop *loop, struct evhttp *http, size_t most,
                                    const struct board_peer_calls *calls, void *ctx)
{
    struct board_peers *peers = mem_zalloc(sizeof(*peers));
    peers->loop = loop;
    peers->most = most;
    peers->calls = *calls;
    peers->ctx = ctx;
    TAILQ_INIT(&peers->list);
    evhttp_set_bevcb(http, on_accept, peers);
    return peers;
}

void board_peers_free(struct board_peers **peers)
{
    if (!*peers)
        return;
    for (struct board_peer *peer = TAILQ_FIRST(&(*peers)->list), *next; peer; peer = next) {
        next = TAILQ_NEXT(peer, by_use);
        close_peer(peer);
    }
    free(*peers);
    *peers = NULL;
}

size_t board_peers_count(const struct board_peers *peers)
{
    return peers->n;
}

struct board_peer *board_peer_of(struct board_peers *peers, struct evhttp_request *request)
{
    struct bufferevent *bev = evhttp_connection_get_bufferevent(evhttp_request_get_connection(request));
    struct board_peer *peer;
    TAILQ_FOREACH(peer, &peers->list, by_use)
    {
        if (peer->bev == bev)
            return peer;
    }
    return NULL;
}

/* ---- requests ---- */

void board_peer_begin(struct board_peer *peer, void *request)
{
    peer->request = request;
    event_del(&peer->deadline);
}

void board_peer_responded(struct board_peer *peer)
{
    peer->request = NULL;
    loop_arm(&peer->deadline, RESPONSE_US);
}

void board_peer_end(struct board_peer *peer)
{
    struct evbuffer *input = bufferevent_get_input(peer->bev);
    end_stream(peer);
    TAILQ_REMOVE(&peer->peers->list, peer, by_use);
    TAILQ_INSERT_TAIL(&peer->peers->list, peer, by_use);
    if (peer->watch.early > 0 || evbuffer_get_length(input) > 0) {
        evbuffer_drain(input, evbuffer_get_length(input));
        board_peer_cut(peer);
        return;
    }
    wire_watch_next(&peer->watch);
    loop_arm(&peer->deadline, IDLE_US);
}

bool board_peer_sent_ahead(const struct board_peer *peer)
{
    return peer->watch.early > 0;
}

bool board_peer_is(const struct board_peer *peer, const uid_t *uids, size_t n)
{
    struct ucred credentials;
    socklen_t len = sizeof(credentials);
    if (getsockopt(bufferevent_getfd(peer->bev), SOL_SOCKET, SO_PEERCRED, &credentials, &len) != 0)
        return false;
    for (size_t i = 0; i < n; i++)
        if (uids[i] == credentials.uid)
            return true;
    return false;
}

/* ---- event streams ---- */

static void on_output(struct evbuffer *output, const struct evbuffer_cb_info *info, void *arg)
{
    (void)output;
    struct board_peer *peer = arg;
    peer->unread += info->n_added - info->n_deleted;
    if (!peer->cut)
        peer->peers->unread += info->n_added - info->n_deleted;
}

void board_peer_stream(struct board_peer *peer, int kernel_bytes)
{
    struct evbuffer *output = bufferevent_get_output(peer->bev);
    if (setsockopt(bufferevent_getfd(peer->bev), SOL_SOCKET, SO_SNDBUF, &kernel_bytes, sizeof(kernel_bytes)) != 0)
        log_debug("board", "SO_SNDBUF cannot be set");
    peer->stream = true;
    peer->unread = evbuffer_get_length(output);
    peer->peers->unread += peer->cut ? 0 : peer->unread;
    evbuffer_add_cb(output, on_output, peer);
}

bool board_peer_has_left(const struct board_peer *peer)
{
    struct pollfd fd = {.fd = bufferevent_getfd(peer->bev), .events = POLLRDHUP};
    return poll(&fd, 1, 0) > 0;
}

size_t board_peer_unread(const struct board_peer *peer)
{
    return peer->unread;
}

size_t board_peers_unread(const struct board_peers *peers)
{
    return peers->unread;
}

struct board_peer *board_peers_worst(struct board_peers *peers)
{
    struct board_peer *peer, *worst = NULL;
    TAILQ_FOREACH(peer, &peers->list, by_use)
    {
        if (peer->stream && !peer->cut && (!worst || peer->unread > worst->unread))
            worst = peer;
    }
    return worst;
}

/* Its bytes are freed in the next turn, but already make room for others. */
void board_peer_cut(struct board_peer *peer)
{
    if (!peer->cut)
        peer->peers->unread -= peer->unread;
    peer->cut = true;
    bufferevent_disable(peer->bev, EV_READ);
    loop_arm(&peer->deadline, 0);
}

bool board_peer_is_cut(const struct board_peer *peer)
{
    return peer->cut;
}
