/*
 * Sends lines to a daemon's router endpoint and resends each until it is answered.
 *
 * At most SENDER_WINDOW lines are in flight. Each send gets one reply, and replies for equal ids arrive in the order
 * sent, so a reply belongs to the oldest line in flight with that id. When a connection breaks, the replies to what was
 * sent on it are lost; a new socket then resends all unanswered lines, which their identity makes harmless.
 *
 * If several daemons accept the same alerts, one at a time is used. The sender moves on to the next one if the
 * connection breaks or cannot be established, if nothing is answered, and if all that was sent is answered and some of
 * it with RETRY.
 */
#ifndef MOBEYE_CTL_LIB_SENDER_H
#define MOBEYE_CTL_LIB_SENDER_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "ctl/lib/curve.h"
#include "ctl/lib/lines.h"
#include "ingest/decode_cloudevents.h"

#define SENDER_WINDOW        1000
#define SENDER_ENDPOINTS_MAX 8

struct sender_endpoint {
    const char *to;         /* tcp://... or ipc://... */
    const char *server_key; /* the daemon's public key, 40 characters of Z85; NULL: no CURVE */
};

struct sender_options {
    const struct sender_endpoint *endpoints;
    size_t n_endpoints;        /* at least one */
    const struct curve *curve; /* the sender's own keys, if an endpoint has a server_key */
    int64_t timeout_us;        /* gives up after this long without any reply; resends a line after a sixth of it */
    uint64_t total;            /* number of lines to come, for the progress bar; 0: unknown, no bar */
    void (*rejected)(void *ctx, uint64_t number, struct str why); /* why: "code: field: reason" */
    void *ctx;
};

/* lines = accepted + rejected + unanswered. */
struct sender_counts {
    uint64_t lines, accepted, rejected, unanswered;
    uint64_t resent; /* sends beyond the first of a line */
};

/* Sends every line that is not blank. The lines' max must be ALERT_PAYLOAD_MAX; longer lines are rejected here. -1 with
 * err set: gave up, leaving some of the lines that were read unanswered; or an endpoint is not valid; or the file
 * cannot be read. ret_counts is always filled. */
int sender_run(const struct sender_options *options, struct lines *lines, struct sender_counts *ret_counts,
               struct err *err);

/* Whether the line is empty or white space only. */
bool sender_blank(struct str line);

/* Appends "too_large: message: ..." for a line of len bytes. */
void sender_too_large(uint64_t len, struct buf *out);

#endif
