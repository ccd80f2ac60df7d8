/*
 * Delivers the events of mobeyectl watch to standard output, a command or a webhook; one at a time, blocking.
 */
#ifndef MOBEYE_CTL_OPERATE_WATCH_DELIVER_H
#define MOBEYE_CTL_OPERATE_WATCH_DELIVER_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "ctl/operate/watch_template.h"

struct delivery {
    const char *command; /* run by sh with the event on its standard input; NULL: none */
    const char *url;     /* http:// or https://; NULL: none. Without command and url, events go to standard output */
    const char *fields;  /* further header fields for the webhook, one per line; NULL: none */
    struct buf webhook;  /* memory of url and fields if delivery_read_webhook() read them */
    struct watch_template *message; /* what is sent instead of the event; NULL: the event */
    struct buf secret;              /* key of the webhook's signatures; empty: none */
};

/* The longest time in seconds that a delivery may take; after it the event counts as not delivered. */
#define DELIVERY_TIMEOUT_S 30

enum delivery_result {
    DELIVERY_TAKEN,      /* the command exited with 0, the webhook returned 2xx, the line was written */
    DELIVERY_REFUSED,    /* another status */
    DELIVERY_UNANSWERED, /* no status: timed out, or cannot connect */
};

/* Reads the key of webhook signatures: at least 16 bytes, not counting a final line feed, from a file that only its
 * owner may read, or from "credential:NAME". */
int delivery_read_secret(struct delivery *delivery, const char *source, struct err *err);

/* Whether a webhook can be sent to it: http:// or https:// with a host. */
bool delivery_is_url(const char *url);

/* Reads the webhook's URL and header fields, one per line, from such a source. */
int delivery_read_webhook(struct delivery *delivery, const char *source, struct err *err);

/* Delivers the event, a JSON document, or the message that the template makes of it. At most 64 KiB of the response are
 * read. Sets err unless DELIVERY_TAKEN. */
enum delivery_result delivery_send(const struct delivery *delivery, struct str event, int timeout_s, struct err *err);

/* Appends "sha256=" and the HMAC-SHA256 of the body in hex, the value of the header Mobeye-Signature. */
void delivery_sign(struct str secret, struct str body, struct buf *out);

/* Wipes and frees what was read. */
void delivery_free(struct delivery *delivery);

#endif
