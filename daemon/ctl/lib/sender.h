/*
 * Lines to a daemon's router endpoint, each until it is answered.
 *
 * At most SENDER_WINDOW lines are on their way. Each send gets one reply, and those for equal ids come in the order
 * sent, so a reply belongs to the oldest line on its way with that id. Replies to what was sent on a connection that
 * broke are lost, so a new socket then sends all unanswered lines again: their identity makes that harmless.
 *
 * Where several daemons take the same alerts, one at a time is spoken to: the next one when the connection breaks, does
 * not come about or nothing is answered, and when all that was sent is answered and some of it by RETRY.
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
    const struct curve *curve; /* with a server_key: the sender's own */
    int64_t timeout_us;        /* how long no reply at all is waited for; after a sixth of it a line is sent again */
    uint64_t total;            /* lines that will come, for the progress bar; 0: unknown, no bar */
    void (*rejected)(void *ctx, uint64_t number, struct str why); /* why: "code: field: reason" */
    void *ctx;
};

/* lines = accepted + rejected + unanswered. */
struct sender_counts {
    uint64_t lines, accepted, rejected, unanswered;
    uint64_t resent; /* sends beyond the first of a line */
};

/* Sends every line that is not blank, to the end. The lines' max must be ALERT_PAYLOAD_MAX; what is longer is rejected
 * here. -1: gave up, what is left is unanswered (of the lines that were read), or the endpoint is none, or the file
 * cannot be read. ret_counts is filled in any case. */
int sender_run(const struct sender_options *options, struct lines *lines, struct sender_counts *ret_counts,
               struct err *err);

/* True where the line holds nothing but white space. */
bool sender_blank(struct str line);

/* "too_large: message: ..." for a line of len bytes. */
void sender_too_large(uint64_t len, struct buf *out);

#endif
