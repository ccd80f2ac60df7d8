/*
 * The board's HTTP: evhttp, after the checks of board/board_peer.h, and responses with the headers that every page has.
 *
 * Each connection has one request at a time. What has been checked before on_request: the grammar and the limits of the
 * request, no header with _ in its name, the person (except for /healthz), and the origin of a POST or of anything
 * below /api/.
 */
#ifndef MOBEYE_BOARD_BOARD_HTTP_H
#define MOBEYE_BOARD_BOARD_HTTP_H

#include <stdbool.h>

#include <event2/http.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/loop.h"
#include "board/board_metrics.h"
#include "conf/conf_board.h"

struct board_http;

/* A request without a response yet. on_abandoned reports its end to the owner of `work` if it never gets one. */
struct board_request {
    struct board_http *http;
    struct evhttp_request *evreq; /* NULL once the peer is gone */
    struct board_peer *peer;
    const char *person; /* "" for /healthz */
    struct str path;    /* without the query */
    const char *query;  /* NULL: none */
    struct str body;
    bool post, head;
    void *work;                                   /* of the code that responds */
    void (*on_abandoned)(struct board_request *); /* the peer is gone; the request is freed afterwards */
};

typedef void (*board_request_fn)(void *ctx, struct board_request *request);

struct board_http *board_http_new(struct loop *loop, const struct conf_board *conf, struct board_metrics *metrics,
                                  board_request_fn on_request, void *ctx, struct err *err);

/* Closes every connection, and calls on_abandoned. Safe on NULL. */
void board_http_free(struct board_http **http);

size_t board_http_connections(const struct board_http *http);

/* Bytes that event streams have not read. */
size_t board_http_unread(const struct board_http *http);

/* The port, if it listens on an address. */
uint16_t board_http_port(const struct board_http *http);

/* A response: its status, Content-Type and other header fields. */
struct board_response {
    int status;
    const char *type;
    const char *cache; /* Cache-Control; NULL: no-store */
    const char *etag;  /* NULL: none */
    struct str body;
};

/* Sends the response, and frees the request. */
void board_respond(struct board_request *request, const struct board_response *response);

/* The same with an error, as JSON below /api/, else as text. Static texts without quotes and backslashes. */
void board_respond_error(struct board_request *request, int status, const char *message, const char *hint);

/* The value of a header that occurs exactly once; NULL: it does not. */
const char *board_request_header(const struct board_request *request, const char *name);

/* Whether the peer has closed its side of the connection, and may not be waiting for the response. */
bool board_request_is_left(const struct board_request *request);

/* Closes the connection in the next turn; on_abandoned follows. */
void board_request_cut(struct board_request *request);

#define BOARD_STREAM_TYPE "text/event-stream; charset=utf-8"

/* Begins a response without a fixed end: an event stream. Chunks follow; on_abandoned ends it. */
void board_stream_begin(struct board_request *request);

/* false: the connection is being closed, on_abandoned follows. Streams that are not read are closed: any with more than
 * 256 KiB unread and, while all together have more than 64 MiB unread, the one with the most. */
bool board_stream_send(struct board_request *request, struct str chunk);

/* Bytes that the page has not read. */
size_t board_stream_unread(const struct board_request *request);

/* Ends the stream, and frees the request. */
void board_stream_end(struct board_request *request);

#endif
