#include "base/http.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <time.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event_struct.h>
#include <event2/listener.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/transition.h"

#define CONNECTIONS_MAX 32
#define REQUEST_MAX     4096
/* Data after a request is discarded up to this limit: closing with unread data could destroy the response. */
#define DISCARD_MAX     (64 * 1024)
#define DEADLINE_US     (10 * CLOCK_SECOND)
#define ACCEPT_PAUSE_US CLOCK_SECOND
#define BACKLOG         128

struct path {
    struct path *next;
    const char *name;
    http_answer_fn answer;
    void *ctx;
};

enum http_state {
    HTTP_READING,   /* the request is incomplete. -> ANSWERING */
    HTTP_ANSWERING, /* nothing is read until the kernel has the response. -> ENDING */
    HTTP_ENDING,    /* nothing more is sent; input is discarded until the peer closes. Final */
};

static const struct machine_state states[] = {
    [HTTP_READING] = {"reading", STATE_BIT(HTTP_ANSWERING)},
    [HTTP_ANSWERING] = {"answering", STATE_BIT(HTTP_ENDING)},
    [HTTP_ENDING] = {"ending", 0},
};

struct http_connection {
    TAILQ_ENTRY(http_connection) by_age;
    struct http *http;
    struct bufferevent *bev;
    struct event deadline;
    enum http_state state;
    size_t discarded;
};

TAILQ_HEAD(http_connections, http_connection);

struct http {
    struct loop *loop;
    struct evconnlistener *listener;
    struct event accept_again;           /* armed while accepting is paused */
    struct http_connections connections; /* oldest first */
    size_t n;
    unsigned accepted; /* in total; accepting pauses after every CONNECTIONS_MAX of them */
    struct path *paths;
    uint16_t port;
    struct rate_limiter accept_failed, too_many;
};

static void set_state(struct http_connection *connection, enum http_state state, const char *reason)
{
    transition_check(states, connection->state, state, "http", "connection", reason);
    connection->state = state;
}

static void close_connection(struct http_connection *connection)
{
    struct http *http = connection->http;
    TAILQ_REMOVE(&http->connections, connection, by_age);
    http->n--;
    event_del(&connection->deadline);
    bufferevent_free(connection->bev);
    free(connection);
}

/* ---- the response ---- */

static const char *reason_of(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 400:
        return "Bad Request";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 431:
        return "Request Header Fields Too Large";
    default:
        return "Service Unavailable";
    }
}

static void write_response(struct http_connection *connection, int status, struct str body, bool head_only)
{
    char date[64];
    struct tm tm;
    time_t now = (time_t)(loop_wall_us(connection->http->loop) / CLOCK_SECOND);
    gmtime_r(&now, &tm);
    evutil_date_rfc1123(date, sizeof(date), &tm);
    bufferevent_disable(connection->bev, EV_READ);
    set_state(connection, HTTP_ANSWERING, reason_of(status));
    struct evbuffer *out = bufferevent_get_output(connection->bev);
    evbuffer_add_printf(out,
                        "HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
                        "Content-Length: %zu\r\n%sConnection: close\r\n\r\n",
                        status, reason_of(status), date, body.len, status == 405 ? "Allow: GET, HEAD\r\n" : "");
    if (!head_only)
        evbuffer_add(out, body.p, body.len);
}

static void respond_to_path(struct http_connection *connection, const char *name, bool head_only)
{
    for (struct path *path = connection->http->paths; path; path = path->next) {
        if (strcmp(path->name, name) != 0)
            continue;
        struct buf body = {0};
        int status = path->answer(path->ctx, &body);
        write_response(connection, status, buf_str(&body), head_only);
        buf_free(&body);
        return;
    }
    write_response(connection, 404, STR("not found\n"), head_only);
}

/* line: the request line without its line end, "GET /metrics HTTP/1.1". Header fields are ignored. */
static void respond_to_line(struct http_connection *connection, char *line)
{
    char *rest = line, *method = strsep(&rest, " "), *target = strsep(&rest, " ");
    if (!target || !rest || strncmp(rest, "HTTP/1.", 7) != 0) {
        write_response(connection, 400, STR("not an HTTP/1 request\n"), false);
        return;
    }
    bool head = strcmp(method, "HEAD") == 0;
    target[strcspn(target, "?")] = '\0';
    if (head || strcmp(method, "GET") == 0)
        respond_to_path(connection, target, head);
    else
        write_response(connection, 405, STR("method not allowed (expected GET or HEAD)\n"), false);
}

/* ---- the life of a connection ---- */

static bool is_complete(struct evbuffer *in)
{
    return evbuffer_search(in, "\r\n\r\n", 4, NULL).pos >= 0 || evbuffer_search(in, "\n\n", 2, NULL).pos >= 0;
}

static void read_request(struct http_connection *connection, struct evbuffer *in)
{
    if (!is_complete(in)) {
        if (evbuffer_get_length(in) >= REQUEST_MAX)
            write_response(connection, 431, STR("request too long (expected at most 4096 bytes)\n"), false);
        return;
    }
    char *line = evbuffer_readln(in, NULL, EVBUFFER_EOL_CRLF);
    if (line)
        respond_to_line(connection, line);
    free(line);
}

static void on_read(struct bufferevent *bev, void *arg)
{
    struct http_connection *connection = arg;
    struct evbuffer *in = bufferevent_get_input(bev);
    if (connection->state == HTTP_READING)
        read_request(connection, in);
    if (connection->state == HTTP_READING)
        return;
    connection->discarded += evbuffer_get_length(in);
    evbuffer_drain(in, evbuffer_get_length(in));
    if (connection->discarded > DISCARD_MAX)
        close_connection(connection);
}

static void on_written(struct bufferevent *bev, void *arg)
{
    struct http_connection *connection = arg;
    if (connection->state != HTTP_ANSWERING)
        return;
    set_state(connection, HTTP_ENDING, "the kernel has the response");
    shutdown(bufferevent_getfd(bev), SHUT_WR);
    bufferevent_enable(bev, EV_READ);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    (void)bev;
    (void)what;
    close_connection(arg);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    close_connection(arg);
}

static void add_connection(struct http *http, struct bufferevent *bev)
{
    struct http_connection *connection = mem_zalloc(sizeof(*connection));
    connection->http = http;
    connection->bev = bev;
    TAILQ_INSERT_TAIL(&http->connections, connection, by_age);
    http->n++;
    evtimer_assign(&connection->deadline, loop_base(http->loop), on_deadline, connection);
    loop_arm(&connection->deadline, DEADLINE_US);
    bufferevent_setcb(bev, on_read, on_written, on_event, connection);
    bufferevent_setwatermark(bev, EV_READ, 0, REQUEST_MAX);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
}

/* ---- the listener ---- */

static void pause_accepting(struct http *http, int64_t us)
{
    evconnlistener_disable(http->listener);
    loop_arm(&http->accept_again, us);
}

static void on_accept_again(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct http *http = arg;
    evconnlistener_enable(http->listener);
}

/* The listener accepts until no peer waits: without a pause, a peer that keeps connecting would block the loop. */
static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *peer, int len, void *arg)
{
    (void)listener;
    (void)peer;
    (void)len;
    struct http *http = arg;
    log_recover(&http->accept_failed, "http", "accepting connections again");
    if (++http->accepted % CONNECTIONS_MAX == 0)
        pause_accepting(http, 0);
    if (http->n == CONNECTIONS_MAX) {
        log_limited(&http->too_many, loop_mono_us(http->loop), LOG_LEVEL_WARNING, "http",
                    "more than %d connections; closed the oldest", CONNECTIONS_MAX);
        close_connection(TAILQ_FIRST(&http->connections));
    }
    struct bufferevent *bev = bufferevent_socket_new(loop_base(http->loop), fd, BEV_OPT_CLOSE_ON_FREE);
    if (bev)
        add_connection(http, bev);
    else
        evutil_closesocket(fd);
}

/* Usually because no descriptors are left. Pauses, since the waiting connection would wake the loop endlessly. */
static void on_accept_failed(struct evconnlistener *listener, void *arg)
{
    (void)listener;
    struct http *http = arg;
    log_limited(&http->accept_failed, loop_mono_us(http->loop), LOG_LEVEL_ERROR, "http",
                "cannot accept a connection: %s; trying again every second", strerror(errno));
    pause_accepting(http, ACCEPT_PAUSE_US);
}

struct http *http_new(struct loop *loop, const char *listen, struct err *err)
{
    struct address address;
    struct sockaddr_storage at;
    if (address_listen(listen, &address, NULL) != 0) {
        err_set(err, "http.listen: \"%s\" is not an address (expected ADDRESS:PORT)", listen);
        return NULL;
    }
    struct http *http = mem_zalloc(sizeof(*http));
    http->loop = loop;
    TAILQ_INIT(&http->connections);
    evtimer_assign(&http->accept_again, loop_base(loop), on_accept_again, http);
    socklen_t len = address_to_socket(&address, &at);
    http->listener = evconnlistener_new_bind(loop_base(loop), on_accept, http,
                                             LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE, BACKLOG,
                                             (struct sockaddr *)&at, (int)len);
    if (!http->listener) {
        err_set(err, "http.listen: cannot listen on %s: %s", listen, strerror(errno));
        http_free(&http);
        return NULL;
    }
    evconnlistener_set_error_cb(http->listener, on_accept_failed);
    http->port = address_bound_port(evconnlistener_get_fd(http->listener));
    return http;
}

void http_free(struct http **http)
{
    if (!*http)
        return;
    event_del(&(*http)->accept_again);
    if ((*http)->listener)
        evconnlistener_free((*http)->listener);
    for (struct http_connection *c = TAILQ_FIRST(&(*http)->connections), *next; c; c = next) {
        next = TAILQ_NEXT(c, by_age);
        close_connection(c);
    }
    for (struct path *path = (*http)->paths, *next; path; path = next) {
        next = path->next;
        free(path);
    }
    free(*http);
    *http = NULL;
}

void http_serve(struct http *http, const char *name, http_answer_fn answer, void *ctx)
{
    struct path *path = mem_zalloc(sizeof(*path));
    *path = (struct path){.next = http->paths, .name = name, .answer = answer, .ctx = ctx};
    http->paths = path;
}

uint16_t http_port(const struct http *http)
{
    return http->port;
}
