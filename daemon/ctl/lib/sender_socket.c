#include "ctl/lib/sender_socket.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <zmq.h>

#include "base/clock.h"

/* How long a connection may take before another socket tries, initially. */
#define CONNECT_US (2 * CLOCK_SECOND)
/* How often that is doubled while no endpoint can be reached: a line may be slow. */
#define CONNECT_DOUBLED 2
/* libzmq's limit for a handshake, which begins once a peer is reached. */
#define HANDSHAKE_MS 5000
/* How often answers of name servers are received. */
#define ANSWER_US (50 * CLOCK_MS)

int sender_socket_init(struct sender_socket *s, const struct sender_options *options, struct err *err)
{
    s->options = options;
    s->names = sender_names_new(options->endpoints, options->n_endpoints, err);
    s->context = zmq_ctx_new();
    return s->names ? 0 : -1;
}

static void close_socket(struct sender_socket *s)
{
    if (s->monitor)
        zmq_close(s->monitor);
    if (s->dealer)
        zmq_close(s->dealer);
    s->monitor = s->dealer = NULL;
}

void sender_socket_end(struct sender_socket *s)
{
    close_socket(s);
    if (s->context)
        zmq_ctx_term(s->context);
    s->context = NULL;
    sender_names_free(&s->names);
}

const struct sender_endpoint *sender_socket_endpoint(const struct sender_socket *s)
{
    return &s->options->endpoints[s->at];
}

/* Each monitor gets a new name: the name of a socket just closed is not free at once. */
static int open_monitor(struct sender_socket *s)
{
    char address[64];
    snprintf(address, sizeof(address), "inproc://monitor-%u", ++s->opened);
    int events = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                 ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_DISCONNECTED |
                 ZMQ_EVENT_CONNECTED;
    if (zmq_socket_monitor(s->dealer, address, events) != 0)
        return -1;
    s->monitor = zmq_socket(s->context, ZMQ_PAIR);
    return s->monitor ? zmq_connect(s->monitor, address) : -1;
}

static int set_curve(struct sender_socket *s)
{
    const struct curve *curve = s->options->curve;
    const char *server_key = sender_socket_endpoint(s)->server_key;
    if (!server_key)
        return 0;
    if (zmq_setsockopt(s->dealer, ZMQ_CURVE_PUBLICKEY, curve->public_key, CONF_KEY_LEN) != 0 ||
        zmq_setsockopt(s->dealer, ZMQ_CURVE_SECRETKEY, curve->secret_key, CONF_KEY_LEN) != 0)
        return -1;
    return zmq_setsockopt(s->dealer, ZMQ_CURVE_SERVERKEY, server_key, CONF_KEY_LEN);
}

/* For a name, libzmq gets the address once it is known. */
static int connect_socket(struct sender_socket *s, int64_t now_us, struct err *err)
{
    const char *address = sender_names_next(s->names, s->at);
    s->looking_up = s->looking_up || !address;
    if (!address)
        return 0;
    s->connecting = true;
    s->opened_us = now_us;
    if (zmq_connect(s->dealer, address) != 0)
        return err_set(err, "\"%s\" is not an endpoint to connect to (expected tcp://HOST:PORT or ipc://PATH): %s",
                       address, zmq_strerror(errno));
    return 0;
}

/* Without ZMQ_IMMEDIATE, which would keep messages out of a pipe that has no connection: with it libzmq ends the pipe
 * of a lost connection at once, and aborts the program where that has read half of a reply from it. */
int sender_socket_open(struct sender_socket *s, int64_t now_us, struct err *err)
{
    close_socket(s);
    s->connected = s->connecting = s->reached = s->dropped = false;
    s->opened_us = now_us;
    s->dealer = zmq_socket(s->context, ZMQ_DEALER);
    if (!s->dealer)
        return err_set(err, "zmq_socket: %s", zmq_strerror(errno));
    int none = 0, yes = 1, first_ms = 100, longest_ms = 2000, handshake_ms = HANDSHAKE_MS;
    zmq_setsockopt(s->dealer, ZMQ_LINGER, &none, sizeof(none));
    zmq_setsockopt(s->dealer, ZMQ_IPV6, &yes, sizeof(yes));
    zmq_setsockopt(s->dealer, ZMQ_RECONNECT_IVL, &first_ms, sizeof(first_ms));
    zmq_setsockopt(s->dealer, ZMQ_RECONNECT_IVL_MAX, &longest_ms, sizeof(longest_ms));
    zmq_setsockopt(s->dealer, ZMQ_HANDSHAKE_IVL, &handshake_ms, sizeof(handshake_ms));
    if (set_curve(s) != 0)
        return err_set(err, "not a CURVE key: %s", zmq_strerror(errno));
    if (open_monitor(s) != 0)
        return err_set(err, "cannot monitor the socket: %s", zmq_strerror(errno));
    return connect_socket(s, now_us, err);
}

void sender_socket_leave(struct sender_socket *s)
{
    if (sender_names_has_more(s->names, s->at))
        return;
    s->at = (s->at + 1) % s->options->n_endpoints;
    s->rounds += s->at == 0;
}

int sender_socket_resolve(struct sender_socket *s, int64_t now_us, struct err *err)
{
    s->looking_up = sender_names_step(s->names);
    return !s->connecting && sender_names_has_more(s->names, s->at) ? connect_socket(s, now_us, err) : 0;
}

static void note_connected(struct sender_socket *s)
{
    s->connected = true;
    s->handshake_failed = false;
    s->rounds = 0;
    sender_names_forget(s->names, s->at);
}

bool sender_socket_read_monitor(struct sender_socket *s)
{
    bool lost = false;
    zmq_msg_t msg;
    zmq_msg_init(&msg);
    while (TEMP_FAILURE_RETRY(zmq_msg_recv(&msg, s->monitor, ZMQ_DONTWAIT)) >= 0) {
        uint16_t event = 0;
        if (zmq_msg_size(&msg) >= sizeof(event))
            memcpy(&event, zmq_msg_data(&msg), sizeof(event));
        bool more = zmq_msg_more(&msg);
        while (more && TEMP_FAILURE_RETRY(zmq_msg_recv(&msg, s->monitor, 0)) >= 0)
            more = zmq_msg_more(&msg);
        if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED)
            note_connected(s);
        else if (event == ZMQ_EVENT_CONNECTED)
            s->reached = true;
        else if (event == ZMQ_EVENT_DISCONNECTED)
            s->dropped = true, lost = lost || s->connected;
        else
            s->handshake_failed = true;
    }
    zmq_msg_close(&msg);
    return lost;
}

bool sender_socket_may_send(const struct sender_socket *s)
{
    int events = 0;
    size_t size = sizeof(events);
    return s->connected && TEMP_FAILURE_RETRY(zmq_getsockopt(s->dealer, ZMQ_EVENTS, &events, &size)) == 0 &&
           (events & ZMQ_POLLOUT);
}

int64_t sender_socket_retry_us(const struct sender_socket *s)
{
    bool libzmq_retries = s->connecting && !s->dropped && !sender_names_is_name(s->names, s->at);
    bool awaits_address = !s->connecting && s->looking_up;
    if (s->connected || (s->options->n_endpoints == 1 && (libzmq_retries || awaits_address)))
        return INT64_MAX;
    return s->opened_us + (CONNECT_US << (s->rounds < CONNECT_DOUBLED ? s->rounds : CONNECT_DOUBLED)) +
           (s->reached && !s->dropped ? HANDSHAKE_MS * CLOCK_MS : 0);
}

int64_t sender_socket_answer_us(const struct sender_socket *s, int64_t now_us)
{
    return s->looking_up ? now_us + ANSWER_US : INT64_MAX;
}
