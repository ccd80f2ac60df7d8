/*
 * Where mobeyectl watch hands its events to: standard output, a command, or a webhook. One event at a time, blocking.
 */
#ifndef MOBEYE_CTL_OPERATE_WATCH_DELIVER_H
#define MOBEYE_CTL_OPERATE_WATCH_DELIVER_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

struct delivery {
    const char *command; /* run by sh with the event on its standard input; NULL: not so */
    const char *url;     /* http:// or https://; NULL: not so. Neither: standard output, a line each */
    const char *fields;  /* header fields for the webhook, a line each; NULL: none */
    struct buf webhook;  /* holds url and fields where delivery_read_webhook() read them */
    struct buf secret;   /* of the webhook's signatures; empty: none */
};

/* An event may take so long to be taken, in seconds, at most; then it counts as not delivered. */
#define DELIVERY_TIMEOUT_S 30

enum delivery_result {
    DELIVERY_TAKEN,      /* the command ended with 0, the webhook answered 2xx, the line was written */
    DELIVERY_REFUSED,    /* another status */
    DELIVERY_UNANSWERED, /* no status: not in time, or nobody is there */
};

/* Reads the secret of webhook signatures: at least 16 bytes, a line feed at the end not counted, of a file that only
 * its owner may read, or "credential:NAME". */
int delivery_read_secret(struct delivery *delivery, const char *source, struct err *err);

/* Reads the webhook's URL, and header fields to send along, a line each, from such a source. */
int delivery_read_webhook(struct delivery *delivery, const char *source, struct err *err);

/* Hands over the event, a JSON document. Of the answer at most 64 KiB are read. err says why it was not taken. */
enum delivery_result delivery_send(const struct delivery *delivery, struct str event, int timeout_s, struct err *err);

/* "sha256=" and the HMAC-SHA256 of the body in hex: what a webhook gets in the header Mobeye-Signature. */
void delivery_sign(struct str secret, struct str body, struct buf *out);

/* Wipes what was read. */
void delivery_free(struct delivery *delivery);

#endif
