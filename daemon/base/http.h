/*
 * An HTTP server for GET on a few fixed paths. For scrapers and probes, not for browsers: one request per connection,
 * which is closed after the response. libevent's evhttp, which board/board_http.h uses, limits neither the number of
 * connections nor the time that a request may take as a whole (version 2.1).
 *
 * Resources are limited: at most 32 connections (a new one closes the oldest), a request of at most 4 KiB with nothing
 * after it, and 10 s from accepting a connection until the response has been read.
 */
#ifndef MOBEYE_BASE_HTTP_H
#define MOBEYE_BASE_HTTP_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/loop.h"

struct http;

/* Fills the body and returns the HTTP status. */
typedef int (*http_answer_fn)(void *ctx, struct buf *ret_body);

/* Listens on "ADDRESS:PORT" ("[::1]:9464" for IPv6; port 0 stands for a free port). NULL with err set. */
struct http *http_new(struct loop *loop, const char *listen, struct err *err);
void http_free(struct http **http); /* safe on NULL */

/* Serves the body as text/plain; version=0.0.4. Unknown paths get 404, methods other than GET and HEAD 405. `path` must
 * be static. */
void http_serve(struct http *http, const char *path, http_answer_fn answer, void *ctx);

uint16_t http_port(const struct http *http);

#endif
