/*
 * Sends alerts to a daemon's router endpoint, each with or without an image, and resends each until it gets a reply.
 *
 * At most SENDER_WINDOW alerts are in flight. Each send gets one reply, and replies for equal ids arrive in the order
 * sent, so a reply belongs to the oldest alert in flight with that id. When a connection breaks, the replies to what
 * was sent on it are lost; a new socket then resends all unanswered alerts, which their identity makes harmless.
 *
 * If several daemons accept the same alerts, one at a time is used. The sender moves on to the next one if the
 * connection breaks or cannot be established, if no reply comes, and if everything sent has a reply and some replies
 * are RETRY.
 *
 * Nothing here waits. The owner adds alerts while sender_has_room(), and calls sender_step() after that, when a
 * descriptor is readable, and at sender_due_us(): with zmq_poll() by sender_poll_items(), or in an event loop by
 * sender_fds(). sender_file.h does all of this for the lines of a file.
 */
#ifndef MOBEYE_CTL_LIB_SENDER_H
#define MOBEYE_CTL_LIB_SENDER_H

#include <stdbool.h>
#include <stdint.h>

#include <zmq.h>

#include "base/buf.h"
#include "base/err.h"
#include "ctl/lib/curve.h"

#define SENDER_WINDOW        1000
#define SENDER_WINDOW_BYTES  (8 * 1024 * 1024) /* of payloads and images; one alert may exceed it */
#define SENDER_ENDPOINTS_MAX 8
#define SENDER_POLL_ITEMS    2

struct sender;

struct sender_endpoint {
    const char *to;         /* tcp://... or ipc://...; of a name each address is tried */
    const char *server_key; /* the daemon's public key, 40 characters of Z85; NULL: no CURVE */
};

struct sender_options {
    const struct sender_endpoint *endpoints;
    size_t n_endpoints;        /* at least one */
    const struct curve *curve; /* the sender's own keys, if an endpoint has a server_key */
    int64_t timeout_us; /* gives up after this long without any reply; resends an alert after a sixth of it. 0: never
                           gives up, and resends after 10 s */
    void (*rejected)(void *ctx, uint64_t number, struct str why); /* why: "code: field: reason" */
    void (*full)(void *ctx);                                      /* RETRY; NULL: not of interest */
    /* ACK to this payload; NULL: not of interest. flags: the words of a fourth frame; NULL: the endpoint sends none */
    void (*accepted)(void *ctx, uint64_t number, struct str payload, const struct str *flags);
    void *ctx;
};

/* number: the caller's, for the callbacks. An image may be empty, and is sent as it is: the daemon decides which kinds
 * and sizes it accepts, but a frame above ENDPOINT_FRAME_MAX (ingest/endpoint.h) cuts the connection. */
struct sender_message {
    struct str payload; /* at most ALERT_PAYLOAD_MAX bytes */
    struct str image;
    bool has_image;
    uint64_t number;
};

/* alerts = accepted + rejected + unanswered. */
struct sender_counts {
    uint64_t alerts, accepted, rejected, unanswered;
    uint64_t resent; /* sends beyond the first of an alert */
};

/* Begins to connect. options must outlive the sender. NULL with err set: an endpoint or a key is not valid. */
struct sender *sender_new(const struct sender_options *options, struct err *err);

/* Closes the socket: what is unanswered may or may not have been accepted. Safe on NULL. */
void sender_free(struct sender **sender);

/* Whether the window has room for another alert. */
bool sender_has_room(const struct sender *sender);

/* Queues an alert, which is copied, to be sent by the next sender_step(). May be called from the callbacks. */
void sender_add(struct sender *sender, const struct sender_message *message);

/* Counts and reports an alert as rejected that is not sent at all. */
void sender_refuse(struct sender *sender, uint64_t number, struct str why);

/* Sends and receives what can be sent and received now; calls back. Not from a callback. -1 with err set: gave up by
 * timeout_us, or an endpoint is not valid; only sender_counts() and sender_free() may follow. */
int sender_step(struct sender *sender, struct err *err);

/* The monotonic time of the next sender_step() if no descriptor becomes readable before; INT64_MAX: none is needed. */
int64_t sender_due_us(const struct sender *sender);

/* For zmq_poll(). */
void sender_poll_items(const struct sender *sender, zmq_pollitem_t ret[SENDER_POLL_ITEMS]);

/* Descriptors to watch for reading; edge-triggered, as ZMQ_FD is: call sender_step() once after sender_fds(). The
 * descriptors change whenever sender_sockets(), the number of sockets opened so far, has risen. */
void sender_fds(const struct sender *sender, int ret[SENDER_POLL_ITEMS]);
unsigned sender_sockets(const struct sender *sender);

/* The state of the present endpoint, the one named by sender_at(). */
enum sender_link {
    SENDER_UNREACHABLE, /* there is no connection */
    SENDER_REFUSED,     /* likewise, but a peer responded, and the handshake failed */
    SENDER_CONNECTED,
};
enum sender_link sender_link(const struct sender *sender);
const char *sender_at(const struct sender *sender);

/* Why that has no address to connect to: "the name cannot be resolved: ..."; NULL: it has. */
const char *sender_unresolved(const struct sender *sender);

/* The monotonic time since when what was sent has waited for a reply, of whatever kind; 0: nothing waits. */
int64_t sender_quiet_since_us(const struct sender *sender);

struct sender_counts sender_counts(const struct sender *sender);

#endif
