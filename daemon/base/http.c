#include "base/http.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <event2/buffer.h>
#include <event2/http.h>

#include "base/mem.h"

#define IDLE_SECONDS 10
#define REQUEST_MAX  4096

struct path {
    struct path *next;
    http_answer_fn answer;
    void *ctx;
};

struct http {
    struct evhttp *evhttp;
    struct path *paths;
    uint16_t port;
};

static void reply(struct evhttp_request *request, int status, const void *body, size_t len)
{
    struct evbuffer *out = evhttp_request_get_output_buffer(request);
    evbuffer_add(out, body, len);
    evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type",
                      "text/plain; version=0.0.4; charset=utf-8");
    evhttp_send_reply(request, status, NULL, NULL);
}

static void on_path(struct evhttp_request *request, void *arg)
{
    struct path *path = arg;
    struct buf body = {0};
    int status = path->answer(path->ctx, &body);
    reply(request, status, body.data, body.len);
    buf_free(&body);
}

static void on_other(struct evhttp_request *request, void *arg)
{
    (void)arg;
    static const char text[] = "not here; there is /metrics, /healthz and /readyz\n";
    reply(request, HTTP_NOTFOUND, text, sizeof(text) - 1);
}

static uint16_t bound_port(struct evhttp_bound_socket *bound)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof(address);
    if (getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&address, &len) != 0)
        return 0;
    if (address.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
    return ntohs(((struct sockaddr_in *)&address)->sin_port);
}

/* "ADDRESS:PORT" or "[ADDRESS]:PORT". libevent's own parser refuses port 0, which takes a free one. */
static bool split_address(const char *listen, char host[64], uint16_t *ret_port)
{
    const char *colon = strrchr(listen, ':');
    size_t len = colon ? (size_t)(colon - listen) : 0;
    if (len >= 2 && listen[0] == '[' && listen[len - 1] == ']') {
        listen++;
        len -= 2;
    }
    char *end = NULL;
    long port = colon ? strtol(colon + 1, &end, 10) : -1;
    if (len == 0 || len >= 64 || port < 0 || port > UINT16_MAX || end == colon + 1 || *end)
        return false;
    memcpy(host, listen, len);
    host[len] = '\0';
    *ret_port = (uint16_t)port;
    return true;
}

struct http *http_new(struct loop *loop, const char *listen, struct err *err)
{
    char host[64];
    uint16_t port = 0;
    if (!split_address(listen, host, &port)) {
        err_set(err, "http.listen: \"%s\" is no ADDRESS:PORT", listen);
        return NULL;
    }
    struct http *http = mem_zalloc(sizeof(*http));
    http->evhttp = evhttp_new(loop_base(loop));
    struct evhttp_bound_socket *bound = http->evhttp ? evhttp_bind_socket_with_handle(http->evhttp, host, port) : NULL;
    if (!bound) {
        err_set(err, "http.listen: cannot listen on %s: %s", listen, strerror(errno));
        http_free(&http);
        return NULL;
    }
    http->port = bound_port(bound);
    evhttp_set_timeout(http->evhttp, IDLE_SECONDS);
    evhttp_set_max_headers_size(http->evhttp, REQUEST_MAX);
    evhttp_set_max_body_size(http->evhttp, 0);
    evhttp_set_allowed_methods(http->evhttp, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
    evhttp_set_gencb(http->evhttp, on_other, NULL);
    return http;
}

void http_free(struct http **http)
{
    if (!*http)
        return;
    if ((*http)->evhttp)
        evhttp_free((*http)->evhttp);
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
    *path = (struct path){.next = http->paths, .answer = answer, .ctx = ctx};
    http->paths = path;
    evhttp_set_cb(http->evhttp, name, on_path, path);
}

uint16_t http_port(const struct http *http)
{
    return http->port;
}
