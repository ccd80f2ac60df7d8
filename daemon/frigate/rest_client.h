/*
 * Asks Frigate's HTTP interface, without blocking: libcurl on the event loop. Every request is bounded in bytes and
 * time.
 *
 * If the configuration has a user, logs in when needed: POST /api/login, whose cookie is the token for the requests
 * that follow; again when a request gets 401.
 */
#ifndef MOBEYE_FRIGATE_REST_CLIENT_H
#define MOBEYE_FRIGATE_REST_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/loop.h"
#include "conf/conf_frigate.h"

#define REST_TIMEOUT_S 20

struct rest_client;
struct rest_call;

struct rest_response {
    long status;     /* 0: no response */
    struct str body; /* with status 200; valid during the call */
    bool too_large;  /* more than max_bytes were received */
    bool unsent;     /* status 0: there was no connection on which to send the request */
    bool timed_out;  /* status 0: after REST_TIMEOUT_S, or while connecting */
    bool partial;    /* status 0: part of the body was received */
    int64_t date_us; /* the server's clock, by its Date header; 0: not given */
    const char *why; /* what is wrong; NULL: status 200 and the whole body was received */
};

typedef void (*rest_done_fn)(void *ctx, const struct rest_response *response);

/* NULL with err set. conf must outlive the client. */
struct rest_client *rest_client_new(struct loop *loop, const struct conf_frigate *conf, struct err *err);

/* Cancels all calls without calling back. Safe on NULL. */
void rest_client_free(struct rest_client **client);

/* Asks for URL + path, and calls done from the loop, never before it returns. */
struct rest_call *rest_get(struct rest_client *client, const char *path, size_t max_bytes, rest_done_fn done,
                           void *ctx);

#endif
