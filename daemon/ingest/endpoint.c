#include "ingest/endpoint.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/event_struct.h>
#include <zmq.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "ingest/connections.h"
#include "ingest/security.h"
#include "ingest/tcp.h"

/* Messages that libzmq holds a peer: what is waiting to be read, and replies that wait to be sent. The second is larger
 * than any sender's window, since a reply that does not fit is lost. */
#define RECEIVE_HWM       1000
#define SEND_HWM          10000
#define LINGER_MS         500
#define HANDSHAKE_MS      5000
#define HEARTBEAT_MS      10000
#define HEARTBEAT_LOST_MS 30000
#define BACKLOG           1024
#define BIND_PATIENCE_MS  1000
#define BIND_RETRY_MS     10
/* What CURVE adds to a frame: "MESSAGE" and its length 8, nonce 8, flags 1, MAC 16. */
#define CURVE_FRAME_BYTES 33
/* ZMQ_ZAP_ENFORCE_DOMAIN: zmq.h holds it back as a draft, the library has it. */
#define ZAP_ENFORCE_DOMAIN 93

struct endpoint {
    struct loop *loop;
    void *context;
    const struct conf_endpoint *conf;
    struct endpoint_calls calls;
    void *ctx;
    void *user;
    struct tcp *tcp; /* of tcp, with nothing of what follows; NULL elsewhere */
    void *socket;
    struct connections *connections; /* of the socket, while it is open */
    struct event readable;           /* on ZMQ_FD; armed while the socket is open */
    bool armed;
    bool guarded;         /* as security_guards() says */
    bool ready;           /* the owner knows that messages may be waiting */
    bool draining;        /* guards against message() calling endpoint_drain() */
    size_t message_bytes; /* of the message at hand, on the wire */
};

static const int socket_types[] = {[CONF_ROUTER] = ZMQ_ROUTER, [CONF_PULL] = ZMQ_PULL, [CONF_SUB] = ZMQ_SUB};

static int fail(const struct endpoint *endpoint, struct err *err, const char *what)
{
    return err_set(err, "endpoint %s: cannot %s %s: %s", endpoint->conf->name, what, endpoint->conf->address,
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

/* What bind is to CURVE: a server, who lets clients in; and connect: a client, with the daemon's own key. */
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

/* CURVE fails open: without a domain that is enforced, whoever has any key gets in where no handler is asked. */
static int set_security(void *socket, const struct conf_endpoint *conf)
{
    if (!security_guards(conf))
        return 0;
    if (set_text(socket, ZMQ_ZAP_DOMAIN, conf->name) != 0 || set_int(socket, ZAP_ENFORCE_DOMAIN, 1) != 0)
        return -1;
    return conf->curve ? set_curve(socket, conf) : 0;
}

static int set_options(struct endpoint *endpoint)
{
    void *socket = endpoint->socket;
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
    int64_t frame_max = ENDPOINT_FRAME_MAX;
    if (zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &frame_max, sizeof(frame_max)) != 0)
        return -1;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (set_int(socket, all[i].option, all[i].value) != 0)
            return -1;
    if (set_security(socket, endpoint->conf) != 0)
        return -1;
    /* Not for a bind to an interface by its name: that would take its IPv6 address alone. */
    if (!endpoint->conf->bind || strpbrk(endpoint->conf->address, "[*"))
        if (set_int(socket, ZMQ_IPV6, 1) != 0)
            return -1;
    /* A sender that chose its routing id and connects again while its old connection is not known to be dead would be
     * read never (of 200 quick reconnects 33 were). It takes the id over instead; nothing but replies goes by it. */
    if (endpoint->conf->socket == CONF_ROUTER &&
        (set_int(socket, ZMQ_ROUTER_MANDATORY, 1) != 0 || set_int(socket, ZMQ_ROUTER_HANDOVER, 1) != 0))
        return -1;
    if (endpoint->conf->socket != CONF_SUB)
        return 0;
    if (endpoint->conf->n_topics == 0)
        return zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "", 0);
    for (size_t i = 0; i < endpoint->conf->n_topics; i++) {
        const char *topic = endpoint->conf->topics[i];
        if (zmq_setsockopt(socket, ZMQ_SUBSCRIBE, topic, strlen(topic)) != 0)
            return -1;
    }
    return 0;
}

/* libzmq removes whatever is at the path before it binds. A file that is no socket stays; a socket that somebody
 * listens on is in use. */
static int claim_ipc(const char *path)
{
    struct stat st;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (lstat(path, &st) != 0)
        return 0;
    if (!S_ISSOCK(st.st_mode)) {
        errno = EEXIST;
        return -1;
    }
    strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int rc = fd < 0 ? -1 : connect(fd, (struct sockaddr *)&address, sizeof(address));
    if (fd >= 0)
        close(fd);
    if (rc == 0)
        errno = EADDRINUSE;
    return rc == 0 ? -1 : 0;
}

/* The path of an ipc:// address, NULL for every other and for an abstract one. */
static const char *ipc_path(const char *address)
{
    static const char ipc[] = "ipc://";
    const char *path = address + sizeof(ipc) - 1;
    return strncmp(address, ipc, sizeof(ipc) - 1) == 0 && *path != '@' ? path : NULL;
}

/* The socket's group may connect: the umask, which is for the journal's files, would keep it out. */
static int bind_once(struct endpoint *endpoint)
{
    const char *path = ipc_path(endpoint->conf->address);
    if (path && claim_ipc(path) != 0)
        return -1;
    if (zmq_bind(endpoint->socket, endpoint->conf->address) != 0)
        return -1;
    return path ? chmod(path, S_IRUSR | S_IWUSR | S_IRGRP | S_IWGRP) : 0;
}

/* A socket that was closed just now still has its address for a moment: libzmq's I/O thread lets go of it. */
static int bind_patiently(struct endpoint *endpoint)
{
    int rc = 0;
    for (int waited_ms = 0;
         (rc = bind_once(endpoint)) != 0 && zmq_errno() == EADDRINUSE && waited_ms < BIND_PATIENCE_MS;
         waited_ms += BIND_RETRY_MS)
        zmq_poll(NULL, 0, BIND_RETRY_MS);
    return rc;
}

/* Closing the socket without unarming the event first would leave libevent with a closed descriptor. */
static void close_socket(struct endpoint *endpoint)
{
    if (endpoint->armed)
        event_del(&endpoint->readable);
    endpoint->armed = false;
    connections_free(&endpoint->connections);
    if (endpoint->socket)
        zmq_close(endpoint->socket);
    endpoint->socket = NULL;
    endpoint->ready = false;
}

static bool may_receive(struct endpoint *endpoint)
{
    int events = 0;
    size_t size = sizeof(events);
    return zmq_getsockopt(endpoint->socket, ZMQ_EVENTS, &events, &size) == 0 && (events & ZMQ_POLLIN);
}

void endpoint_settle(struct endpoint *endpoint)
{
    if (endpoint->tcp)
        tcp_settle(endpoint->tcp);
    if (endpoint->ready || !endpoint->socket || !may_receive(endpoint))
        return;
    endpoint->ready = true;
    endpoint->calls.ready(endpoint->ctx, endpoint);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    endpoint_settle(arg);
}

static int open_socket(struct endpoint *endpoint, struct err *err)
{
    endpoint->socket = zmq_socket(endpoint->context, socket_types[endpoint->conf->socket]);
    if (!endpoint->socket)
        return fail(endpoint, err, "open a socket for");
    if (set_options(endpoint) != 0) {
        fail(endpoint, err, "set the options of");
        goto undo;
    }
    endpoint->connections = connections_new(endpoint->loop, endpoint->context, endpoint->socket, err);
    if (!endpoint->connections) {
        err_prefix(err, "endpoint %s", endpoint->conf->name);
        goto undo;
    }
    if (endpoint->conf->bind && bind_patiently(endpoint) != 0) {
        fail(endpoint, err, "bind");
        goto undo;
    }
    if (!endpoint->conf->bind && zmq_connect(endpoint->socket, endpoint->conf->address) != 0) {
        fail(endpoint, err, "connect to");
        goto undo;
    }
    int fd = -1;
    size_t size = sizeof(fd);
    if (zmq_getsockopt(endpoint->socket, ZMQ_FD, &fd, &size) != 0) {
        fail(endpoint, err, "watch");
        goto undo;
    }
    event_assign(&endpoint->readable, loop_base(endpoint->loop), fd, EV_READ | EV_PERSIST, on_readable, endpoint);
    event_add(&endpoint->readable, NULL);
    endpoint->armed = true;
    return 0;

undo:
    close_socket(endpoint);
    return -1;
}

static void on_tcp_ready(void *ctx)
{
    struct endpoint *endpoint = ctx;
    endpoint->calls.ready(endpoint->ctx, endpoint);
}

static bool on_tcp_frame(void *ctx, uint64_t connection, const char *address, enum dc09_result result,
                         const struct dc09_frame *frame)
{
    struct endpoint *endpoint = ctx;
    struct endpoint_message message;
    message.peer.id_len = sizeof(connection);
    message.peer.delimiter = false;
    memcpy(message.peer.id, &connection, sizeof(connection));
    message.payload = frame->raw;
    message.frame = frame;
    message.result = result;
    message.address = address;
    message.user = NULL;
    message.malformed = NULL;
    message.too_large = false;
    return endpoint->calls.message(endpoint->ctx, endpoint, &message);
}

static void on_tcp_cut(void *ctx)
{
    struct endpoint *endpoint = ctx;
    endpoint->calls.cut(endpoint->ctx, endpoint);
}

static int open_tcp(struct endpoint *endpoint, struct err *err)
{
    static const struct tcp_calls calls = {.ready = on_tcp_ready, .frame = on_tcp_frame, .cut = on_tcp_cut};
    endpoint->tcp = tcp_new(endpoint->loop, endpoint->conf, &calls, endpoint, err);
    return endpoint->tcp ? 0 : -1;
}

struct endpoint *endpoint_new(struct loop *loop, void *context, const struct conf_endpoint *conf,
                              const struct endpoint_calls *calls, void *ctx, struct err *err)
{
    struct endpoint *endpoint = mem_zalloc(sizeof(*endpoint));
    *endpoint = (struct endpoint){.loop = loop, .context = context, .conf = conf, .calls = *calls, .ctx = ctx};
    endpoint->guarded = security_guards(conf);
    if ((conf->socket == CONF_TCP ? open_tcp(endpoint, err) : open_socket(endpoint, err)) != 0)
        endpoint_free(&endpoint);
    return endpoint;
}

void endpoint_free(struct endpoint **endpoint)
{
    if (!*endpoint)
        return;
    close_socket(*endpoint);
    tcp_free(&(*endpoint)->tcp);
    free(*endpoint);
    *endpoint = NULL;
}

int endpoint_rebind(struct endpoint *endpoint, struct err *err)
{
    close_socket(endpoint);
    return open_socket(endpoint, err);
}

bool endpoint_is_open(const struct endpoint *endpoint)
{
    return endpoint->tcp || endpoint->socket;
}

struct connections *endpoint_connections(const struct endpoint *endpoint)
{
    return endpoint->connections;
}

bool endpoint_is_ready(const struct endpoint *endpoint)
{
    return endpoint->tcp ? tcp_is_ready(endpoint->tcp) : endpoint->ready;
}

static bool has_more(zmq_msg_t *frame)
{
    return zmq_msg_more(frame) != 0;
}

/* What a frame takes on the wire: flags and length, with CURVE within another frame that has a name, nonce and MAC. */
static size_t wire_bytes(const struct endpoint *endpoint, size_t len)
{
    if (endpoint->conf->curve)
        len += CURVE_FRAME_BYTES;
    return len + (len > UINT8_MAX ? 9 : 2);
}

/* -1: nothing there. */
static int receive_frame(struct endpoint *endpoint, zmq_msg_t *frame)
{
    if (zmq_msg_recv(frame, endpoint->socket, ZMQ_DONTWAIT) < 0)
        return -1;
    endpoint->message_bytes += wire_bytes(endpoint, zmq_msg_size(frame));
    return 0;
}

/* The frames that a message may not have are received and dropped one by one. */
static int drop_rest(struct endpoint *endpoint, zmq_msg_t *frame)
{
    while (has_more(frame))
        if (receive_frame(endpoint, frame) < 0)
            return -1;
    return 0;
}

/* The routing id that libzmq puts in front. -1: nothing there. */
static int receive_peer(struct endpoint *endpoint, zmq_msg_t *frame, struct endpoint_peer *peer)
{
    if (zmq_msg_recv(frame, endpoint->socket, ZMQ_DONTWAIT) < 0)
        return -1;
    peer->id_len = (uint8_t)zmq_msg_size(frame);
    memcpy(peer->id, zmq_msg_data(frame), peer->id_len);
    return has_more(frame) ? receive_frame(endpoint, frame) : 0;
}

/*
 * Receives one message into `frame`. router: routing id, an empty delimiter or none, payload; sub: topic, payload;
 * pull: payload. -1: nothing there.
 */
static int receive(struct endpoint *endpoint, zmq_msg_t *frame, struct endpoint_message *message)
{
    bool router = endpoint->conf->socket == CONF_ROUTER;
    endpoint->message_bytes = 0;
    if ((router ? receive_peer(endpoint, frame, &message->peer) : receive_frame(endpoint, frame)) < 0)
        return -1;
    bool leading = endpoint->conf->socket == CONF_SUB || (router && zmq_msg_size(frame) == 0);
    if (leading) {
        message->peer.delimiter = router;
        if (!has_more(frame)) {
            message->malformed = router ? "no frame after the delimiter" : "no frame after the topic";
            return 0;
        }
        if (receive_frame(endpoint, frame) < 0)
            return -1;
    }
    if (has_more(frame)) {
        message->malformed = "more frames than a payload";
        return drop_rest(endpoint, frame);
    }
    message->payload = (struct str){zmq_msg_data(frame), zmq_msg_size(frame)};
    message->too_large = message->payload.len > ALERT_PAYLOAD_MAX;
    return 0;
}

bool endpoint_drain(struct endpoint *endpoint, unsigned budget)
{
    if (endpoint->tcp)
        return tcp_drain(endpoint->tcp, budget);
    if (!endpoint->socket || endpoint->draining)
        return false;
    endpoint->draining = true;
    bool go_on = true;
    for (unsigned n = 0; n < budget && go_on; n++) {
        zmq_msg_t frame;
        zmq_msg_init(&frame);
        struct endpoint_message message;
        message.peer.id_len = 0;
        message.peer.delimiter = false;
        message.malformed = NULL;
        message.too_large = false;
        message.payload = (struct str){NULL, 0};
        message.frame = NULL;
        message.user = message.address = NULL;
        int got = receive(endpoint, &frame, &message);
        if (got >= 0) {
            /* The frame with the routing id tells nothing of the peer. */
            connections_delivered(endpoint->connections, zmq_msg_get(&frame, ZMQ_SRCFD), endpoint->message_bytes);
            message.address = zmq_msg_gets(&frame, "Peer-Address");
            message.user = endpoint->guarded ? zmq_msg_gets(&frame, "User-Id") : NULL;
            go_on = endpoint->calls.message(endpoint->ctx, endpoint, &message);
        }
        zmq_msg_close(&frame);
        if (got < 0)
            break;
    }
    endpoint->draining = false;
    endpoint->ready = may_receive(endpoint);
    return endpoint->ready;
}

bool endpoint_reply(struct endpoint *endpoint, const struct endpoint_peer *peer, struct str word, struct str id,
                    struct str detail)
{
    if (endpoint->tcp) {
        uint64_t connection;
        memcpy(&connection, peer->id, sizeof(connection));
        return tcp_reply(endpoint->tcp, connection, detail);
    }
    void *socket = endpoint->socket;
    const int flags = ZMQ_DONTWAIT | ZMQ_SNDMORE;
    return socket && zmq_send(socket, peer->id, peer->id_len, flags) >= 0 &&
           (!peer->delimiter || zmq_send(socket, "", 0, flags) >= 0) &&
           zmq_send(socket, word.p, word.len, flags) >= 0 && zmq_send(socket, id.p, id.len, flags) >= 0 &&
           zmq_send(socket, detail.p, detail.len, ZMQ_DONTWAIT) >= 0;
}

const struct conf_endpoint *endpoint_conf(const struct endpoint *endpoint)
{
    return endpoint->conf;
}

void endpoint_reconfigure(struct endpoint *endpoint, const struct conf_endpoint *conf)
{
    endpoint->conf = conf;
    endpoint->guarded = security_guards(conf);
    if (endpoint->tcp)
        tcp_reconfigure(endpoint->tcp, conf);
}

void *endpoint_user(const struct endpoint *endpoint)
{
    return endpoint->user;
}

void endpoint_set_user(struct endpoint *endpoint, void *user)
{
    endpoint->user = user;
}
