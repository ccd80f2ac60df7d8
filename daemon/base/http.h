/*
 * GET on a few fixed paths, by libevent's evhttp. For scrapers and probes, not for browsers.
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

/* Listens on "ADDRESS:PORT" ("[::1]:9464" for IPv6; port 0 takes a free one). NULL with err set. */
struct http *http_new(struct loop *loop, const char *listen, struct err *err);
void http_free(struct http **http);

/* The text is sent as text/plain; version=0.0.4. Unknown paths get 404, other methods 405. */
void http_serve(struct http *http, const char *path, http_answer_fn answer, void *ctx);

uint16_t http_port(const struct http *http);

#endif
