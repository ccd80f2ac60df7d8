/*
 * Where mobeyectl watch hands its events to: standard output, a command, or a webhook. One event at a time, blocking.
 */
#ifndef MOBEYE_CTL_WATCH_DELIVER_H
#define MOBEYE_CTL_WATCH_DELIVER_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

struct delivery {
    const char *command; /* run by sh with the event on its standard input; NULL: not so */
    const char *url;     /* http:// or https://; NULL: not so. Neither: standard output, a line each */
    struct buf secret;   /* of the webhook's signatures; empty: none */
};

/* An event may take so long to be taken, in seconds; then it counts as not delivered. */
#define DELIVERY_TIMEOUT_S 30

/* Reads the secret of webhook signatures: at least 16 bytes, a line feed at the end not counted, of a file that only
 * its owner may read. */
int delivery_read_secret(struct delivery *delivery, const char *file, struct err *err);

/* The event, a JSON document. 0: it was taken: the command ended with 0, the webhook answered 2xx, the line was
 * written. -1 with err set: it was not, and may be tried again. */
int delivery_send(const struct delivery *delivery, struct str event, struct err *err);

/* "sha256=" and the HMAC-SHA256 of the body in hex: what a webhook gets in the header Mobeye-Signature. */
void delivery_sign(struct str secret, struct str body, struct buf *out);

#endif
