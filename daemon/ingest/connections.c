#include "ingest/connections.h"

#include <fcntl.h>
#include <linux/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event_struct.h>
#include <zmq.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/mem.h"

/* Monitor events received in one turn of the loop. */
#define EVENTS_PER_TURN 1024
/* A peer that closes the connection this soon did not wait for a reply of the ZAP handler, which sends none. */
#define MISMATCH_US CLOCK_SECOND
/* libzmq reports at once that it will connect again, or never does. */
#define GIVEN_UP_US (2 * CLOCK_SECOND)

struct connection {
    uint64_t cookie;   /* 0: this descriptor is not a connection */
    int64_t delivered; /* bytes since the connection was opened */
    int64_t base;      /* TCP: bytes received and not delivered at the last connections_rebase() */
    uint64_t waiting;  /* ipc: sum of the bytes that connections_suspect() has found waiting since the last delivery */
    bool tcp;
    bool cut; /* shut down, and not yet reported as disconnected */
    char address[PEER_ADDRESS_SIZE];
    int64_t since_us; /* monotonic: when it was opened */
};

struct connections {
    struct loop *loop;
    void *socket;  /* the owner's */
    void *monitor; /* receives libzmq's events about that socket */
    struct event readable, more;
    struct connection *by_fd;
    size_t n_fds, count;
    enum handshake {
        NOT_FAILED,
        CLOSED,
        MISMATCHED
    } handshake;          /* of the connection that is reported as disconnected next */
    struct event give_up; /* armed from the end of a connection until libzmq tries again */
    bool established;     /* of a socket that connects */
    bool ended, denied;   /* give_up is armed; the peer of that connection did not admit this side */
    struct connections_calls calls;
    void *ctx;
};

static int domain_of(int fd)
{
    int domain = -1;
    socklen_t size = sizeof(domain);
    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 ? domain : -1;
}

/* 0: not a socket, or it is closed already. */
static uint64_t cookie_of(int fd)
{
    uint64_t cookie = 0;
    socklen_t size = sizeof(cookie);
    return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) == 0 ? cookie : 0;
}

static void remove_connection(struct connections *connections, int fd)
{
    if ((size_t)fd >= connections->n_fds || connections->by_fd[fd].cookie == 0)
        return;
    connections->by_fd[fd] = (struct connection){0};
    connections->count--;
}

/* Without the port, which differs at each attempt of a peer. */
static void note_address(struct connection *connection, int fd)
{
    peer_address_of_socket(fd, connection->address);
    char *port = connection->tcp ? strrchr(connection->address, ':') : NULL;
    if (port)
        *port = '\0';
}

/* Whether it is a connection of that endpoint, as named by libzmq: libzmq may have closed the descriptor since, and
 * something else in this process may have its number now. */
static bool is_of_endpoint(int fd, bool accepted, const char *endpoint)
{
    struct sockaddr_storage at = {0};
    socklen_t size = sizeof(at);
    const char *port = strrchr(endpoint, ':');
    if ((accepted ? getsockname : getpeername)(fd, (struct sockaddr *)&at, &size) != 0)
        return false;
    return strncmp(endpoint, "tcp://", 6) == 0 ? address_port(&at) == atoi(port + 1) : at.ss_family == AF_UNIX;
}

static void add_connection(struct connections *connections, int fd, bool accepted, const char *endpoint)
{
    size_t need = (size_t)fd + 1;
    remove_connection(connections, fd);
    if (need > connections->n_fds) {
        size_t room = need + need / 2 + 64;
        connections->by_fd = mem_realloc(connections->by_fd, room, sizeof(*connections->by_fd));
        memset(connections->by_fd + connections->n_fds, 0, (room - connections->n_fds) * sizeof(*connections->by_fd));
        connections->n_fds = room;
    }
    uint64_t cookie = cookie_of(fd);
    if (cookie == 0 || !is_of_endpoint(fd, accepted, endpoint))
        return;
    connections->by_fd[fd] = (struct connection){
        .cookie = cookie, .tcp = domain_of(fd) != AF_UNIX, .since_us = loop_mono_us(connections->loop)};
    note_address(&connections->by_fd[fd], fd);
    connections->count++;
}

/* The report of a failed handshake does not name the connection: it is the one that the only I/O thread reports as
 * disconnected next. Its address is unknown if it was closed before that could be read. */
static void handle_disconnected(struct connections *connections, int fd)
{
    bool known = (size_t)fd < connections->n_fds && connections->by_fd[fd].cookie != 0;
    const struct connection *connection = known ? &connections->by_fd[fd] : NULL;
    bool late = known && loop_mono_us(connections->loop) - connection->since_us >= MISMATCH_US;
    if (connections->handshake == MISMATCHED || (connections->handshake == CLOSED && !late))
        connections->calls.on_mismatch(connections->ctx, known ? connection->address : "an unknown address",
                                       connections->handshake == MISMATCHED);
    connections->handshake = NOT_FAILED;
    remove_connection(connections, fd);
}

/* After a protocol error, in the handshake or later, libzmq gives up and reports nothing more. */
static void set_ended(struct connections *connections, bool ended)
{
    connections->ended = ended;
    if (ended && connections->calls.on_given_up)
        loop_arm(&connections->give_up, GIVEN_UP_US);
    else
        evtimer_del(&connections->give_up);
}

static enum handshake failure_of(uint32_t protocol_error)
{
    bool mismatched = protocol_error == ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH ||
                      protocol_error == ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC;
    return mismatched ? MISMATCHED : NOT_FAILED;
}

static void handle_event(struct connections *connections, unsigned number, uint32_t value, const char *endpoint)
{
    set_ended(connections, number == ZMQ_EVENT_DISCONNECTED);
    connections->established = number == ZMQ_EVENT_HANDSHAKE_SUCCEEDED;
    switch (number) {
    case ZMQ_EVENT_ACCEPTED:
    case ZMQ_EVENT_CONNECTED:
        connections->denied = false;
        add_connection(connections, (int)value, number == ZMQ_EVENT_ACCEPTED, endpoint);
        break;
    case ZMQ_EVENT_DISCONNECTED:
        handle_disconnected(connections, (int)value);
        break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
        connections->handshake = CLOSED;
        break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
        connections->handshake = failure_of(value);
        break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
        connections->handshake = NOT_FAILED;
        connections->denied = true;
        break;
    default: /* succeeded, delayed or tried again */
        break;
    }
}

/* An event has two frames: its number and value, and the endpoint. false: no event is waiting. */
static bool receive_event(struct connections *connections)
{
    struct __attribute__((packed)) {
        uint16_t number;
        uint32_t value;
    } event;
    char endpoint[256] = "";
    int len = (int)TEMP_FAILURE_RETRY(zmq_recv(connections->monitor, &event, sizeof(event), ZMQ_DONTWAIT));
    if (len < 0 || TEMP_FAILURE_RETRY(zmq_recv(connections->monitor, endpoint, sizeof(endpoint) - 1, ZMQ_DONTWAIT)) < 0)
        return false;
    if (len == (int)sizeof(event))
        handle_event(connections, event.number, event.value, endpoint);
    return true;
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct connections *connections = arg;
    for (unsigned n = 0; n < EVENTS_PER_TURN; n++)
        if (!receive_event(connections))
            return;
    loop_arm(&connections->more, 0);
}

void connections_refresh(struct connections *connections)
{
    on_event(-1, 0, connections);
}

static void on_give_up(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct connections *connections = arg;
    connections_refresh(connections); /* a waiting event may say that libzmq will try again */
    if (connections->ended)
        set_ended(connections, !connections->calls.on_given_up(connections->ctx, connections->denied));
}

/* Without a high-water mark, at which libzmq's I/O thread would wait for this loop, and without ACCEPT_FAILED: when
 * descriptors run out, libzmq retries in a tight loop. */
static int open_monitor(struct connections *connections, void *context)
{
    static unsigned serial;
    char address[64];
    int events = ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_CONNECTED | ZMQ_EVENT_DISCONNECTED |
                 ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                 ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_CONNECT_DELAYED | ZMQ_EVENT_CONNECT_RETRIED;
    if (connections->calls.on_given_up) /* it connects */
        events |= ZMQ_EVENT_HANDSHAKE_SUCCEEDED;
    int fd, none = 0;
    size_t size = sizeof(fd);
    snprintf(address, sizeof(address), "inproc://connections-%u", serial++);
    if (zmq_socket_monitor(connections->socket, address, events) != 0)
        return -1;
    connections->monitor = zmq_socket(context, ZMQ_PAIR);
    if (!connections->monitor || zmq_setsockopt(connections->monitor, ZMQ_RCVHWM, &none, sizeof(none)) != 0 ||
        zmq_setsockopt(connections->monitor, ZMQ_LINGER, &none, sizeof(none)) != 0 ||
        zmq_connect(connections->monitor, address) != 0 ||
        zmq_getsockopt(connections->monitor, ZMQ_FD, &fd, &size) != 0)
        return -1;
    struct event_base *base = loop_base(connections->loop);
    event_assign(&connections->readable, base, fd, EV_READ | EV_PERSIST, on_event, connections);
    evtimer_assign(&connections->more, base, on_event, connections);
    evtimer_assign(&connections->give_up, base, on_give_up, connections);
    event_add(&connections->readable, NULL);
    loop_arm(&connections->more, 0);
    return 0;
}

struct connections *connections_new(struct loop *loop, void *context, void *socket, struct connections_calls calls,
                                    void *ctx, struct err *err)
{
    struct connections *connections = mem_zalloc(sizeof(*connections));
    connections->loop = loop;
    connections->socket = socket;
    connections->calls = calls;
    connections->ctx = ctx;
    if (open_monitor(connections, context) != 0) {
        err_set(err, "cannot monitor its connections: %s", zmq_strerror(zmq_errno()));
        connections_free(&connections);
    }
    return connections;
}

void connections_free(struct connections **connections)
{
    struct connections *c = *connections;
    if (!c)
        return;
    if (event_initialized(&c->readable)) {
        event_del(&c->readable);
        event_del(&c->more);
        event_del(&c->give_up);
    }
    zmq_socket_monitor(c->socket, NULL, 0);
    if (c->monitor)
        zmq_close(c->monitor);
    free(c->by_fd);
    free(c);
    *connections = NULL;
}

size_t connections_count(const struct connections *connections)
{
    return connections->count;
}

bool connections_established(const struct connections *connections)
{
    return connections->established;
}

void connections_forget(struct connections *connections)
{
    set_ended(connections, false);
    connections->established = false;
    for (size_t fd = 0; fd < connections->n_fds; fd++)
        remove_connection(connections, (int)fd);
}

void connections_delivered(struct connections *connections, int fd, size_t bytes)
{
    if (fd < 0 || (size_t)fd >= connections->n_fds)
        return;
    connections->by_fd[fd].delivered += (int64_t)bytes;
    connections->by_fd[fd].waiting = 0;
}

/* Bytes in the kernel that libzmq has not read. */
static int64_t unread_bytes(int fd)
{
    int unread = 0;
    return ioctl(fd, FIONREAD, &unread) == 0 ? unread : 0;
}

/* TCP: bytes that libzmq has read and not yet delivered to the owner. */
static int64_t undelivered_bytes(int fd, const struct connection *connection)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof(info);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0)
        return 0;
    return (int64_t)info.tcpi_bytes_received - unread_bytes(fd) - connection->delivered;
}

void connections_rebase(struct connections *connections)
{
    for (size_t fd = 0; fd < connections->n_fds; fd++) {
        struct connection *connection = &connections->by_fd[fd];
        if (connection->cookie != 0 && connection->tcp)
            connection->base = undelivered_bytes((int)fd, connection);
        connection->waiting = 0;
    }
}

void connections_suspect(struct connections *connections)
{
    for (size_t fd = 0; fd < connections->n_fds; fd++) {
        struct connection *connection = &connections->by_fd[fd];
        if (connection->cookie != 0 && !connection->tcp)
            connection->waiting += (uint64_t)unread_bytes((int)fd);
    }
}

size_t connections_loads(struct connections *connections, void *owner, struct connection_load *ret)
{
    size_t n = 0;
    for (size_t fd = 0; fd < connections->n_fds; fd++) {
        const struct connection *connection = &connections->by_fd[fd];
        if (connection->cookie == 0 || connection->cut)
            continue;
        int64_t held =
            connection->tcp ? undelivered_bytes((int)fd, connection) - connection->base : (int64_t)connection->waiting;
        if (held > 0)
            ret[n++] = (struct connection_load){owner, connection->cookie, (int)fd, connection->tcp, (uint64_t)held};
    }
    return n;
}

/* Uses a duplicate of the descriptor, which stays with the socket that was checked: libzmq's I/O thread may close the
 * original at any time, and its number may be reused. */
bool connections_cut(struct connections *connections, const struct connection_load *load,
                     char ret_address[PEER_ADDRESS_SIZE])
{
    int fd = fcntl(load->fd, F_DUPFD_CLOEXEC, 0);
    bool same = fd >= 0 && cookie_of(fd) == load->cookie;
    if (same) {
        /* Reset, so that the peer notices even while it is blocked in a send. */
        struct linger none = {.l_onoff = 1};
        peer_address_of_socket(fd, ret_address);
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
        shutdown(fd, SHUT_RDWR);
        connections->by_fd[load->fd].cut = true;
    }
    if (fd >= 0)
        close(fd);
    return same;
}
