/* An endpoint on a ZeroMQ socket: router, pull or sub. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <event2/event_struct.h>
#include <zmq.h>

#include "base/address.h"
#include "base/array.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/unix_socket.h"
#include "ingest/connections.h"
#include "ingest/endpoint_transport.h"
#include "ingest/remote.h"
#include "ingest/security.h"

/* Messages that libzmq queues for a peer: received, and replies to send. The second is larger than any sender's window,
 * because a reply that does not fit is lost. */
#define RECEIVE_HWM       1000
#define SEND_HWM          10000
#define LINGER_MS         500
#define HANDSHAKE_MS      5000
#define HEARTBEAT_MS      10000
#define HEARTBEAT_LOST_MS 30000
#define BACKLOG           1024
#define BIND_RETRY_MS     10
/* Bytes that CURVE adds to a frame: "MESSAGE" and its length 8, nonce 8, flags 1, MAC 16. */
#define CURVE_FRAME_BYTES 33
/* ZMQ_ZAP_ENFORCE_DOMAIN: a draft option in zmq.h, honoured by the library. */
#define ZAP_ENFORCE_DOMAIN 93

struct endpoint_zmq {
    struct endpoint *endpoint;
    void *socket;                    /* NULL: closed */
    struct connections *connections; /* of the socket, while it is open */
    struct remote *remote;           /* likewise, of one that connects */
    struct event readable;           /* on ZMQ_FD; armed while the socket is open */
    struct rate_limiter limiter;
    bool armed;
    bool failed;          /* the last try to open it */
    bool peers_checked;   /* peers are checked, by CURVE or allow_from: their messages have a User-Id */
    bool ready;           /* the owner knows that messages may be waiting */
    bool draining;        /* guards against on_message() calling endpoint_drain() */
    size_t message_bytes; /* of the message at hand, on the wire */
};

static const int socket_types[] = {[CONF_ROUTER] = ZMQ_ROUTER, [CONF_PULL] = ZMQ_PULL, [CONF_SUB] = ZMQ_SUB};

static int fail(const struct endpoint_zmq *z, struct err *err, const char *what)
{
    return err_set(err, "endpoint %s: cannot %s %s: %s", z->endpoint->conf->name, what, z->endpoint->conf->address,
                   zmq_strerror(zmq_errno()));
}

static int set_int(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof(value));
}

static int set_text(void *socket, int option, const char *text)
{
    return zmq_setsockopt(socket, option, text, strlen(text));
}

/* A bound endpoint is the CURVE server; a connected one is a client with the daemon's own key. */
static int set_curve(void *socket, const struct conf_endpoint *conf)
{
    char public_key[CONF_KEY_LEN + 1];
    if (!conf->secret || (!conf->bind && !conf->server_key)) {
        errno = ENOKEY;
        return -1;
    }
    if (conf->bind)
        return set_int(socket, ZMQ_CURVE_SERVER, 1) != 0 ? -1 : set_text(socket, ZMQ_CURVE_SECRETKEY, conf->secret);
    if (zmq_curve_public(public_key, conf->secret) != 0 || set_text(socket, ZMQ_CURVE_PUBLICKEY, public_key) != 0 ||
        set_text(socket, ZMQ_CURVE_SECRETKEY, conf->secret) != 0)
        return -1;
    return set_text(socket, ZMQ_CURVE_SERVERKEY, conf->server_key);
}

/* CURVE fails open: without an enforced domain, any client key is accepted when no handler is bound. */
static int set_security(void *socket, const struct conf_endpoint *conf)
{
    if (!security_checks_peers(conf))
        return 0;
    if (set_text(socket, ZMQ_ZAP_DOMAIN, conf->name) != 0 || set_int(socket, ZAP_ENFORCE_DOMAIN, 1) != 0)
        return -1;
    return conf->curve ? set_curve(socket, conf) : 0;
}

static int set_options(struct endpoint_zmq *z)
{
    void *socket = z->socket;
    static const struct {
        int option, value;
    } all[] = {
        {ZMQ_LINGER, LINGER_MS},
        {ZMQ_RCVHWM, RECEIVE_HWM},
        {ZMQ_SNDHWM, SEND_HWM},
        {ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS},
        {ZMQ_HEARTBEAT_IVL, HEARTBEAT_MS},
        {ZMQ_HEARTBEAT_TIMEOUT, HEARTBEAT_LOST_MS},
        {ZMQ_TCP_KEEPALIVE, 1},
        {ZMQ_BACKLOG, BACKLOG},
    };
    /* libzmq compares it with the length of the frame on the wire. */
    int64_t frame_max = ENDPOINT_FRAME_MAX + (z->endpoint->conf->curve ? CURVE_FRAME_BYTES : 0);
    if (zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &frame_max, sizeof(frame_max)) != 0)
        return -1;
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (set_int(socket, all[i].option, all[i].value) != 0)
            return -1;
    if (set_security(socket, z->endpoint->conf) != 0)
        return -1;
    /* Not when binding to an interface by name: that would use only its IPv6 address. */
    if (!z->endpoint->conf->bind || strpbrk(z->endpoint->conf->address, "[*"))
        if (set_int(socket, ZMQ_IPV6, 1) != 0)
            return -1;
    /* Without handover, a sender that chose its routing id and reconnects before its old connection is known to be dead
     * is never read (33 of 200 quick reconnects). With it the new connection takes over the id, which only routes
     * replies. */
    if (z->endpoint->conf->socket == CONF_ROUTER &&
        (set_int(socket, ZMQ_ROUTER_MANDATORY, 1) != 0 || set_int(socket, ZMQ_ROUTER_HANDOVER, 1) != 0))
        return -1;
    if (z->endpoint->conf->socket != CONF_SUB)
        return 0;
    if (z->endpoint->conf->n_topics == 0)
        return zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "", 0);
    for (size_t i = 0; i < z->endpoint->conf->n_topics; i++) {
        const char *topic = z->endpoint->conf->topics[i];
        if (zmq_setsockopt(socket, ZMQ_SUBSCRIBE, topic, strlen(topic)) != 0)
            return -1;
    }
    return 0;
}

/* The path of an ipc:// address; NULL for others. */
static const char *ipc_path(const char *address)
{
    static const char ipc[] = "ipc://";
    return strncmp(address, ipc, sizeof(ipc) - 1) == 0 ? address + sizeof(ipc) - 1 : NULL;
}

/* libzmq removes any file at the path before it binds, so the path is claimed first. The socket's group may connect:
 * the umask, meant for the journal's files, would exclude it. */
static int bind_once(struct endpoint_zmq *z)
{
    const char *path = ipc_path(z->endpoint->conf->address);
    if (path && unix_socket_claim(path) != 0)
        return -1;
    if (zmq_bind(z->socket, z->endpoint->conf->address) != 0)
        return -1;
    return path ? chmod(path, S_IRUSR | S_IWUSR | S_IRGRP | S_IWGRP) : 0;
}

static int bind_patiently(struct endpoint_zmq *z, int patience_ms)
{
    int rc = 0;
    for (int waited_ms = 0; (rc = bind_once(z)) != 0 && zmq_errno() == EADDRINUSE && waited_ms < patience_ms;
         waited_ms += BIND_RETRY_MS)
        zmq_poll(NULL, 0, BIND_RETRY_MS);
    return rc;
}

/* The event is deleted first: libevent must not keep a closed descriptor. */
static void close_socket(struct endpoint_zmq *z)
{
    if (z->armed)
        event_del(&z->readable);
    z->armed = false;
    remote_free(&z->remote);
    connections_free(&z->connections);
    if (z->socket)
        zmq_close(z->socket);
    z->socket = NULL;
    z->ready = false;
}

static bool may_receive(struct endpoint_zmq *z)
{
    int events = 0;
    size_t size = sizeof(events);
    return TEMP_FAILURE_RETRY(zmq_getsockopt(z->socket, ZMQ_EVENTS, &events, &size)) == 0 && (events & ZMQ_POLLIN);
}

static void note_readable(void *transport)
{
    struct endpoint_zmq *z = transport;
    if (z->ready || !z->socket || !may_receive(z))
        return;
    z->ready = true;
    z->endpoint->calls.on_ready(z->endpoint->ctx, z->endpoint);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    note_readable(arg);
}

static void log_free_port(const struct endpoint_zmq *z)
{
    char bound[256], subject[80];
    size_t size = sizeof(bound);
    if (!z->endpoint->conf->bind || !address_is_free_port(z->endpoint->conf->address) ||
        zmq_getsockopt(z->socket, ZMQ_LAST_ENDPOINT, bound, &size) != 0)
        return;
    snprintf(subject, sizeof(subject), "endpoint %s", z->endpoint->conf->name);
    log_info(subject, "listening on port %s", strrchr(bound, ':') + 1);
}

/* If CURVE is not expected, a connection that is closed at once may be anything. */
static void on_mismatch(void *ctx, const char *address, bool certain)
{
    const struct endpoint *endpoint = ((struct endpoint_zmq *)ctx)->endpoint;
    const struct conf_endpoint *conf = endpoint->conf;
    struct security_refused refused = {SECURITY_CURVE, conf->name, NULL, address, security_mismatch(conf)};
    if (endpoint->calls.on_refused && (certain || conf->curve))
        endpoint->calls.on_refused(endpoint->ctx, &refused);
}

static bool has_waiting(void *ctx)
{
    struct endpoint_zmq *z = ctx;
    note_readable(z);
    return z->ready;
}

static bool on_given_up(void *ctx, bool denied)
{
    struct endpoint_zmq *z = ctx;
    const struct conf_endpoint *conf = z->endpoint->conf;
    char subject[80];
    if (!remote_reconnect(z->remote))
        return false;
    snprintf(subject, sizeof(subject), "endpoint %s", conf->name);
    log_limited(&z->limiter, loop_mono_us(z->endpoint->loop), LOG_LEVEL_WARNING, subject, "connecting again to %s: %s",
                conf->address, security_given_up(conf, denied));
    return true;
}

static int connect_remote(struct endpoint_zmq *z, struct err *err)
{
    const struct conf_endpoint *conf = z->endpoint->conf;
    const struct remote_socket socket = {z->endpoint->loop, z->socket, z->connections, has_waiting, z};
    z->remote = remote_new(&socket, conf->name, conf->address, err);
    return z->remote ? 0 : -1;
}

static int open_socket(struct endpoint_zmq *z, int patience_ms, struct err *err)
{
    z->socket = zmq_socket(z->endpoint->context, socket_types[z->endpoint->conf->socket]);
    if (!z->socket)
        return fail(z, err, "open a socket for");
    if (set_options(z) != 0) {
        fail(z, err, "set the options of");
        goto undo;
    }
    struct connections_calls calls = {on_mismatch, z->endpoint->conf->bind ? NULL : on_given_up};
    z->connections = connections_new(z->endpoint->loop, z->endpoint->context, z->socket, calls, z, err);
    if (!z->connections) {
        err_prefix(err, "endpoint %s", z->endpoint->conf->name);
        goto undo;
    }
    if (z->endpoint->conf->bind && bind_patiently(z, patience_ms) != 0) {
        fail(z, err, "bind");
        goto undo;
    }
    if (!z->endpoint->conf->bind && connect_remote(z, err) != 0)
        goto undo;
    int fd = -1;
    size_t size = sizeof(fd);
    if (zmq_getsockopt(z->socket, ZMQ_FD, &fd, &size) != 0) {
        fail(z, err, "watch");
        goto undo;
    }
    event_assign(&z->readable, loop_base(z->endpoint->loop), fd, EV_READ | EV_PERSIST, on_readable, z);
    event_add(&z->readable, NULL);
    z->armed = true;
    log_free_port(z);
    return 0;

undo:
    close_socket(z);
    return -1;
}

static bool has_more(zmq_msg_t *frame)
{
    return zmq_msg_more(frame) != 0;
}

/* Bytes of a frame on the wire: flags and length; with CURVE, inside another frame with name, nonce and MAC. */
static size_t wire_bytes(const struct endpoint_zmq *z, size_t len)
{
    if (z->endpoint->conf->curve)
        len += CURVE_FRAME_BYTES;
    return len + (len > UINT8_MAX ? 9 : 2);
}

/* -1: nothing to receive. A signal interrupts libzmq even if it does not wait: the rest of the message would then be
 * taken for the next one. */
static int receive_part(struct endpoint_zmq *z, zmq_msg_t *frame)
{
    return (int)TEMP_FAILURE_RETRY(zmq_msg_recv(frame, z->socket, ZMQ_DONTWAIT));
}

static int receive_frame(struct endpoint_zmq *z, zmq_msg_t *frame)
{
    if (receive_part(z, frame) < 0)
        return -1;
    z->message_bytes += wire_bytes(z, zmq_msg_size(frame));
    return 0;
}

/* Receives and drops the surplus frames of a message one by one. */
static int drop_rest(struct endpoint_zmq *z, zmq_msg_t *frame)
{
    while (has_more(frame))
        if (receive_frame(z, frame) < 0)
            return -1;
    return 0;
}

/* The routing id, which libzmq prepends. -1: nothing to receive. */
static int receive_peer(struct endpoint_zmq *z, zmq_msg_t *frame, struct endpoint_peer *peer)
{
    if (receive_part(z, frame) < 0)
        return -1;
    peer->id_len = (uint8_t)zmq_msg_size(frame);
    memcpy(peer->id, zmq_msg_data(frame), peer->id_len);
    return has_more(frame) ? receive_frame(z, frame) : 0;
}

/* Receives what follows the payload: nothing, or the image of a CloudEvents alert. -1: nothing to receive. */
static int receive_image(struct endpoint_zmq *z, zmq_msg_t *frame, zmq_msg_t *image, struct endpoint_message *message)
{
    if (!has_more(frame))
        return 0;
    if (z->endpoint->conf->format != ALERT_CLOUDEVENTS) {
        message->malformed = "more frames than a payload";
        return drop_rest(z, frame);
    }
    if (receive_frame(z, image) < 0)
        return -1;
    if (has_more(image)) {
        message->malformed = "more frames than a payload and an image";
        return drop_rest(z, image);
    }
    message->has_image = true;
    message->image = (struct str){zmq_msg_data(image), zmq_msg_size(image)};
    return 0;
}

/*
 * Receives one message. router: routing id, an empty delimiter or none, payload; sub: topic, payload; pull: payload;
 * then, for CloudEvents, an image or none. -1: nothing to receive.
 */
static int receive(struct endpoint_zmq *z, zmq_msg_t *frame, zmq_msg_t *image, struct endpoint_message *message)
{
    bool router = z->endpoint->conf->socket == CONF_ROUTER;
    z->message_bytes = 0;
    if ((router ? receive_peer(z, frame, &message->peer) : receive_frame(z, frame)) < 0)
        return -1;
    bool leading = z->endpoint->conf->socket == CONF_SUB || (router && zmq_msg_size(frame) == 0);
    if (leading) {
        message->peer.delimiter = router;
        if (!has_more(frame)) {
            message->malformed = router ? "no frame after the delimiter" : "no frame after the topic";
            return 0;
        }
        if (receive_frame(z, frame) < 0)
            return -1;
    }
    if (receive_image(z, frame, image, message) < 0)
        return -1;
    if (message->malformed)
        return 0;
    message->payload = (struct str){zmq_msg_data(frame), zmq_msg_size(frame)};
    message->too_large = message->payload.len > ALERT_PAYLOAD_MAX;
    return 0;
}

static void close_zmq(void *transport)
{
    close_socket(transport);
    free(transport);
}

static void *create_zmq(struct endpoint *endpoint)
{
    struct endpoint_zmq *z = mem_zalloc(sizeof(*z));
    z->endpoint = endpoint;
    z->peers_checked = security_checks_peers(endpoint->conf);
    return z;
}

/* Passes one message to the owner. -1: nothing to receive; else whether the owner continues. */
static int drain_message(struct endpoint_zmq *z)
{
    zmq_msg_t frame, image;
    zmq_msg_init(&frame);
    zmq_msg_init(&image);
    struct endpoint_message message = {0};
    int go_on = receive(z, &frame, &image, &message);
    if (go_on >= 0) {
        /* The frame with the routing id carries no properties of the peer. */
        connections_delivered(z->connections, zmq_msg_get(&frame, ZMQ_SRCFD), z->message_bytes);
        message.address = zmq_msg_gets(&frame, "Peer-Address");
        message.user = z->peers_checked ? zmq_msg_gets(&frame, "User-Id") : NULL;
        go_on = z->endpoint->calls.on_message(z->endpoint->ctx, z->endpoint, &message);
    }
    zmq_msg_close(&frame);
    zmq_msg_close(&image);
    return go_on;
}

static bool drain(void *transport, unsigned budget)
{
    struct endpoint_zmq *z = transport;
    if (!z->socket || z->draining)
        return false;
    z->draining = true;
    int go_on = 1;
    for (unsigned n = 0; n < budget && go_on > 0; n++)
        go_on = drain_message(z);
    z->draining = false;
    z->ready = may_receive(z);
    return z->ready;
}

/* Interrupted like receive_part(): half a reply would become part of the next one. */
static bool send_part(void *socket, struct str part, int flags)
{
    return TEMP_FAILURE_RETRY(zmq_send(socket, part.p, part.len, flags)) >= 0;
}

static bool reply(void *transport, const struct endpoint_peer *peer, struct str word, struct str id, struct str detail,
                  const struct str *flags)
{
    void *socket = ((struct endpoint_zmq *)transport)->socket;
    const int more = ZMQ_DONTWAIT | ZMQ_SNDMORE;
    return socket && send_part(socket, (struct str){(const char *)peer->id, peer->id_len}, more) &&
           (!peer->delimiter || send_part(socket, STR(""), more)) && send_part(socket, word, more) &&
           send_part(socket, id, more) && send_part(socket, detail, flags ? more : ZMQ_DONTWAIT) &&
           (!flags || send_part(socket, *flags, ZMQ_DONTWAIT));
}

static bool is_ready(const void *transport)
{
    return ((const struct endpoint_zmq *)transport)->ready;
}

static bool is_open(const void *transport)
{
    return ((const struct endpoint_zmq *)transport)->socket;
}

static int rebind(void *transport, struct err *err)
{
    struct endpoint_zmq *z = transport;
    int patience_ms = z->failed ? 0 : BIND_PATIENCE_MS;
    close_socket(z);
    z->failed = open_socket(z, patience_ms, err) != 0;
    return z->failed ? -1 : 0;
}

static struct connections *connections_of(const void *transport)
{
    return ((const struct endpoint_zmq *)transport)->connections;
}

static void reconfigure(void *transport)
{
    struct endpoint_zmq *z = transport;
    z->peers_checked = security_checks_peers(z->endpoint->conf);
}

const struct endpoint_transport endpoint_zmq = {
    .create = create_zmq,
    .close = close_zmq,
    .drain = drain,
    .reply = reply,
    .replied = note_readable,
    .is_ready = is_ready,
    .is_open = is_open,
    .rebind = rebind,
    .connections = connections_of,
    .reconfigure = reconfigure,
};
