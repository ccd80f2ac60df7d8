#include "board/board_http.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>

#include "base/address.h"
#include "base/array.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/unix_socket.h"
#include "board/board_peer.h"
#include "board/request_identity.h"
#include "board/wire_watch.h"

#define CONNECTIONS_MAX 4096
#define BACKLOG         512
/* Bytes of events that one page, and all pages together, may leave unread. */
#define UNREAD_MAX     ((size_t)256 * 1024)
#define UNREAD_SUM_MAX ((size_t)64 * 1024 * 1024)
#define SOCKET_BUFFER  (128 * 1024) /* in addition, in the kernel */

struct board_http {
    struct loop *loop;
    const struct conf_board *conf;
    struct board_metrics *metrics;
    board_request_fn on_request;
    void *ctx;
    struct evhttp *evhttp;
    struct board_peers *peers;
    struct evhttp_bound_socket *bound;
    char *csp;
    struct rate_limiter too_much, unidentified;
};

/* ---- headers ---- */

static const struct {
    const char *name, *value;
} security_headers[] = {
    {"X-Content-Type-Options", "nosniff"},
    {"Referrer-Policy", "no-referrer"},
    {"X-Frame-Options", "DENY"},
    {"Cross-Origin-Opener-Policy", "same-origin"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Permissions-Policy", "geolocation=(self), camera=(), microphone=(), payment=(), usb=()"},
};

/* Scripts, styles and requests only from and to the board; pictures also from the tile server, if there is one. */
static char *make_csp(const struct conf_board *conf)
{
    struct buf csp = {0};
    const char *url = conf->tiles.url, *host = url ? strstr(url, "://") + 3 : NULL;
    int origin = url ? (int)(host - url + (long)strcspn(host, "/")) : 0;
    buf_printf(&csp,
               "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'%s%.*s; media-src 'self'; "
               "connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
               "frame-ancestors 'none'",
               url ? " " : "", origin, url ? url : "");
    char *text = mem_strndup(csp.data, csp.len);
    buf_free(&csp);
    return text;
}

static void add_security(const struct board_http *http, struct evkeyvalq *out)
{
    evhttp_add_header(out, "Content-Security-Policy", http->csp);
    for (size_t i = 0; i < ARRAY_LEN(security_headers); i++)
        evhttp_add_header(out, security_headers[i].name, security_headers[i].value);
}

static const char *reason_of(int status)
{
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {{200, "OK"},
                   {304, "Not Modified"},
                   {400, "Bad Request"},
                   {401, "Unauthorized"},
                   {403, "Forbidden"},
                   {404, "Not Found"},
                   {405, "Method Not Allowed"},
                   {409, "Conflict"},
                   {413, "Content Too Large"},
                   {417, "Expectation Failed"},
                   {422, "Unprocessable Content"},
                   {431, "Request Header Fields Too Large"},
                   {505, "HTTP Version Not Supported"}};
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Service Unavailable";
}

static void count_status(struct board_http *http, int status)
{
    if (status >= 0 && status < BOARD_STATUS_MOST)
        http->metrics->requests[status]++;
}

/* What is sent if evhttp has not even seen the request. */
static void on_refused(void *ctx, int status, const char *why, struct buf *ret)
{
    struct board_http *http = ctx;
    count_status(http, status);
    http->metrics->refused_total++;
    log_debug("board", "refused: %s", why);
    buf_printf(ret, "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %zu\r\n", status,
               reason_of(status), strlen(why) + 1);
    if (status == 405)
        buf_printf(ret, "Allow: GET, HEAD, POST\r\n");
    buf_printf(ret, "Content-Security-Policy: %s\r\n", http->csp);
    for (size_t i = 0; i < ARRAY_LEN(security_headers); i++)
        buf_printf(ret, "%s: %s\r\n", security_headers[i].name, security_headers[i].value);
    buf_printf(ret, "Cache-Control: no-store\r\nConnection: close\r\n\r\n%s\n", why);
}

/* ---- responses ---- */

static void free_request(struct board_request *request)
{
    free((char *)request->person);
    free(request);
}

/* The connection closes. If we close it, evhttp frees its part of the request; if the person has closed it, evhttp
 * leaves that to the code that would have responded. */
static void on_closed(void *ctx, void *arg, bool by_us)
{
    (void)ctx;
    struct board_request *request = arg;
    if (!by_us)
        evhttp_request_free(request->evreq);
    request->evreq = NULL;
    if (request->on_abandoned)
        request->on_abandoned(request);
    free_request(request);
}

/* The response has gone out. */
static void on_complete(struct evhttp_request *evreq, void *arg)
{
    (void)evreq;
    board_peer_end(arg);
}

static void begin_response(struct board_request *request, const char *type, const char *cache)
{
    struct evkeyvalq *out = evhttp_request_get_output_headers(request->evreq);
    add_security(request->http, out);
    evhttp_add_header(out, "Content-Type", type);
    evhttp_add_header(out, "Cache-Control", cache ? cache : "no-store");
    if (board_peer_sent_ahead(request->peer))
        evhttp_add_header(out, "Connection", "close");
    evhttp_request_set_on_complete_cb(request->evreq, on_complete, request->peer);
}

/* The request has had its response: on_closed() will no longer be called for it. */
static struct evhttp_request *detach(struct board_request *request)
{
    struct evhttp_request *evreq = request->evreq;
    board_peer_responded(request->peer);
    free_request(request);
    return evreq;
}

static void add_length(struct evkeyvalq *out, size_t len)
{
    char text[24];
    snprintf(text, sizeof(text), "%zu", len);
    evhttp_add_header(out, "Content-Length", text);
}

void board_respond(struct board_request *request, const struct board_response *response)
{
    struct evbuffer *body = evbuffer_new();
    struct evkeyvalq *out = evhttp_request_get_output_headers(request->evreq);
    count_status(request->http, response->status);
    begin_response(request, response->type, response->cache);
    if (response->etag)
        evhttp_add_header(out, "ETag", response->etag);
    if (response->status == 405)
        evhttp_add_header(out, "Allow", request->post ? "GET, HEAD" : "POST");
    /* For HEAD, evhttp would send the body, and no length. */
    if (!request->head)
        evbuffer_add(body, response->body.p, response->body.len);
    else if (response->body.len > 0)
        add_length(out, response->body.len);
    evhttp_send_reply(detach(request), response->status, reason_of(response->status), body);
    evbuffer_free(body);
}

void board_respond_error(struct board_request *request, int status, const char *message, const char *hint)
{
    struct buf body = {0};
    bool json = str_starts(request->path, "/api/");
    if (json)
        buf_printf(&body, "{\"message\": \"%s\", \"hint\": %s%s%s}\n", message, hint ? "\"" : "", hint ? hint : "null",
                   hint ? "\"" : "");
    else
        buf_printf(&body, "%s\n%s%s", message, hint ? hint : "", hint ? "\n" : "");
    board_respond(request, &(struct board_response){
                               .status = status,
                               .type = json ? "application/json; charset=utf-8" : "text/plain; charset=utf-8",
                               .body = buf_str(&body),
                           });
    buf_free(&body);
}

const char *board_request_header(const struct board_request *request, const char *name)
{
    return identity_single(evhttp_request_get_input_headers(request->evreq), name);
}

void board_stream_begin(struct board_request *request)
{
    board_peer_stream(request->peer, SOCKET_BUFFER);
    count_status(request->http, 200);
    begin_response(request, BOARD_STREAM_TYPE, NULL);
    evhttp_add_header(evhttp_request_get_output_headers(request->evreq), "X-Accel-Buffering", "no");
    evhttp_send_reply_start(request->evreq, 200, "OK");
}

static void cut_stream(struct board_http *http, struct board_peer *peer)
{
    http->metrics->streams_cut_total++;
    board_peer_cut(peer);
}

static void cut_worst(struct board_http *http)
{
    struct board_peer *worst;
    while (board_peers_unread(http->peers) > UNREAD_SUM_MAX && (worst = board_peers_worst(http->peers))) {
        log_limited(&http->too_much, loop_mono_us(http->loop), LOG_LEVEL_WARNING, "board",
                    "event streams have left more than 64 MiB unread; closed the one that left most");
        cut_stream(http, worst);
    }
}

bool board_stream_send(struct board_request *request, struct str chunk)
{
    if (board_peer_is_cut(request->peer))
        return false;
    struct evbuffer *bytes = evbuffer_new();
    evbuffer_add(bytes, chunk.p, chunk.len);
    evhttp_send_reply_chunk(request->evreq, bytes);
    evbuffer_free(bytes);
    if (board_peer_unread(request->peer) > UNREAD_MAX)
        cut_stream(request->http, request->peer);
    cut_worst(request->http);
    return !board_peer_is_cut(request->peer);
}

size_t board_stream_unread(const struct board_request *request)
{
    return board_peer_unread(request->peer);
}

bool board_request_is_left(const struct board_request *request)
{
    return board_peer_has_left(request->peer);
}

void board_request_cut(struct board_request *request)
{
    board_peer_cut(request->peer);
}

void board_stream_end(struct board_request *request)
{
    evhttp_send_reply_end(detach(request));
}

/* ---- requests ---- */

static void on_evhttp_request(struct evhttp_request *evreq, void *arg)
{
    struct board_http *http = arg;
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(evreq);
    const char *path = uri ? evhttp_uri_get_path(uri) : NULL;
    const struct evkeyvalq *headers = evhttp_request_get_input_headers(evreq);
    struct evbuffer *input = evhttp_request_get_input_buffer(evreq);
    struct board_request *request = mem_zalloc(sizeof(*request));
    request->http = http;
    request->evreq = evreq;
    request->peer = board_peer_of(http->peers, evreq);
    request->path = str_from(path ? path : "");
    request->query = uri ? evhttp_uri_get_query(uri) : NULL;
    request->body.len = evbuffer_get_length(input);
    request->body.p = (const char *)evbuffer_pullup(input, -1);
    request->post = evhttp_request_get_command(evreq) == EVHTTP_REQ_POST;
    request->head = evhttp_request_get_command(evreq) == EVHTTP_REQ_HEAD;
    board_peer_begin(request->peer, request);
    const struct conf_board *conf = http->conf;
    bool peer = conf->socket_path && board_peer_is(request->peer, conf->identity.peer_uids, conf->identity.n_peers);
    struct err why;
    const char *person = identity_person(conf, headers, peer, &why);
    request->person = mem_strdup(person ? person : "");
    if (!person && !str_is(request->path, "/healthz")) {
        http->metrics->unidentified_total++;
        log_limited(&http->unidentified, loop_mono_us(http->loop), LOG_LEVEL_WARNING, "board",
                    "a request was answered 401: %s", why.text);
        board_respond_error(request, 401, "not signed in",
                            "Open the address of the board to sign in again. If that does not help, the log of "
                            "mobeye-board gives the reason.");
    } else if ((request->post || str_starts(request->path, "/api/")) && !identity_same_origin(conf, headers)) {
        /* GET too: it may record that someone looked. */
        board_respond_error(request, 403, "cross-site request refused", "Use the page of the board.");
    } else {
        http->on_request(http->ctx, request);
    }
}

/* ---- listening ---- */

/* The folder and identity.peers decide who may connect: see on_evhttp_request(). */
static struct evconnlistener *listen_unix(struct board_http *http, struct err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", http->conf->socket_path);
    if (unix_socket_claim(address.sun_path) != 0) {
        err_set(err, "listen: %s: %s", address.sun_path, errno == EEXIST ? "is not a socket" : strerror(errno));
        return NULL;
    }
    mode_t mask = umask(0111);
    struct evconnlistener *listener =
        evconnlistener_new_bind(loop_base(http->loop), NULL, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC,
                                BACKLOG, (struct sockaddr *)&address, sizeof(address));
    int saved = errno;
    umask(mask);
    if (!listener)
        err_set(err, "listen: cannot listen on %s: %s", address.sun_path, strerror(saved));
    return listener;
}

static struct evconnlistener *listen_loopback(struct board_http *http, struct err *err)
{
    struct address address;
    struct sockaddr_storage at;
    if (address_listen(http->conf->listen, &address, NULL) != 0) {
        err_set(err, "listen: \"%s\" is not an address", http->conf->listen);
        return NULL;
    }
    socklen_t len = address_to_socket(&address, &at);
    struct evconnlistener *listener = evconnlistener_new_bind(
        loop_base(http->loop), NULL, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE, BACKLOG,
        (struct sockaddr *)&at, (int)len);
    if (!listener)
        err_set(err, "listen: cannot listen on %s: %s", http->conf->listen, strerror(errno));
    return listener;
}

static size_t connection_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > CONNECTIONS_MAX + 128)
        return CONNECTIONS_MAX;
    return limit.rlim_cur > 192 ? limit.rlim_cur - 128 : 64;
}

struct board_http *board_http_new(struct loop *loop, const struct conf_board *conf, struct board_metrics *metrics,
                                  board_request_fn on_request, void *ctx, struct err *err)
{
    static const struct board_peer_calls calls = {on_refused, on_closed};
    struct board_http *http = mem_zalloc(sizeof(*http));
    http->loop = loop;
    http->conf = conf;
    http->metrics = metrics;
    http->on_request = on_request;
    http->ctx = ctx;
    http->csp = make_csp(conf);
    http->evhttp = evhttp_new(loop_base(loop));
    evhttp_set_gencb(http->evhttp, on_evhttp_request, http);
    evhttp_set_allowed_methods(http->evhttp, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST);
    evhttp_set_max_headers_size(http->evhttp, (ev_ssize_t)WIRE_HEAD_MAX * 2);
    evhttp_set_max_body_size(http->evhttp, (ev_ssize_t)WIRE_BODY_MAX * 2);
    evhttp_set_timeout(http->evhttp, 3600);
    http->peers = board_peers_new(loop, http->evhttp, connection_limit(), &calls, http);
    struct evconnlistener *listener = conf->socket_path ? listen_unix(http, err) : listen_loopback(http, err);
    if (listener)
        http->bound = evhttp_bind_listener(http->evhttp, listener);
    if (!http->bound)
        board_http_free(&http);
    return http;
}

size_t board_http_unread(const struct board_http *http)
{
    return board_peers_unread(http->peers);
}

size_t board_http_connections(const struct board_http *http)
{
    return board_peers_count(http->peers);
}

void board_http_free(struct board_http **http)
{
    if (!*http)
        return;
    board_peers_free(&(*http)->peers);
    evhttp_free((*http)->evhttp);
    if ((*http)->bound && (*http)->conf->socket_path)
        unlink((*http)->conf->socket_path);
    free((*http)->csp);
    free(*http);
    *http = NULL;
}

uint16_t board_http_port(const struct board_http *http)
{
    return http->bound ? address_bound_port(evhttp_bound_socket_get_fd(http->bound)) : 0;
}
