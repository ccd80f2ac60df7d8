#include "ctl/lib/sender_socket.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <zmq.h>

void sender_socket_close(struct sender_socket *s)
{
    if (s->monitor)
        zmq_close(s->monitor);
    if (s->dealer)
        zmq_close(s->dealer);
    s->monitor = s->dealer = NULL;
}

/* Each monitor gets a new name: that of a socket just closed is not free at once. */
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

static int set_curve(struct sender_socket *s, const char *server_key, const struct curve *curve)
{
    if (!server_key)
        return 0;
    if (zmq_setsockopt(s->dealer, ZMQ_CURVE_PUBLICKEY, curve->public_key, CONF_KEY_LEN) != 0 ||
        zmq_setsockopt(s->dealer, ZMQ_CURVE_SECRETKEY, curve->secret_key, CONF_KEY_LEN) != 0)
        return -1;
    return zmq_setsockopt(s->dealer, ZMQ_CURVE_SERVERKEY, server_key, CONF_KEY_LEN);
}

/* Without ZMQ_IMMEDIATE, which would keep messages out of a pipe that has no connection: with it libzmq ends the pipe
 * of a lost connection at once, and aborts the program where that has read half of a reply from it. */
int sender_socket_open(struct sender_socket *s, const struct sender_endpoint *endpoint, const struct curve *curve,
                       struct err *err)
{
    sender_socket_close(s);
    s->connected = s->reached = s->dropped = false;
    s->dealer = zmq_socket(s->context, ZMQ_DEALER);
    if (!s->dealer)
        return err_set(err, "zmq_socket: %s", zmq_strerror(errno));
    int none = 0, yes = 1, first_ms = 100, longest_ms = 2000, handshake_ms = 5000;
    zmq_setsockopt(s->dealer, ZMQ_LINGER, &none, sizeof(none));
    zmq_setsockopt(s->dealer, ZMQ_IPV6, &yes, sizeof(yes));
    zmq_setsockopt(s->dealer, ZMQ_RECONNECT_IVL, &first_ms, sizeof(first_ms));
    zmq_setsockopt(s->dealer, ZMQ_RECONNECT_IVL_MAX, &longest_ms, sizeof(longest_ms));
    zmq_setsockopt(s->dealer, ZMQ_HANDSHAKE_IVL, &handshake_ms, sizeof(handshake_ms));
    if (set_curve(s, endpoint->server_key, curve) != 0)
        return err_set(err, "not a CURVE key: %s", zmq_strerror(errno));
    if (open_monitor(s) != 0)
        return err_set(err, "cannot monitor the socket: %s", zmq_strerror(errno));
    if (zmq_connect(s->dealer, endpoint->to) != 0)
        return err_set(err, "\"%s\" is not an endpoint to connect to (expected tcp://HOST:PORT or ipc://PATH): %s",
                       endpoint->to, zmq_strerror(errno));
    return 0;
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
            s->connected = true, s->handshake_failed = false;
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
