/* The connections of a socket: counted, measured, and cut, whatever happens to their descriptor numbers. */
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <zmq.h>

#include "ingest/connections.h"

#define MOST 8

static struct loop *loop;
static void *context, *server;
static struct connections *connections;
static struct connection_load loads[MOST];
static char path[64];
static uint16_t port;

static char mismatched[PEER_ADDRESS_SIZE];
static bool mismatch_is_certain;

static void on_mismatch(void *ctx, const char *address, bool certain)
{
    (void)ctx;
    mismatch_is_certain = certain;
    snprintf(mismatched, sizeof(mismatched), "%s", address);
}

static void setup(void)
{
    struct err err = {""};
    char address[128];
    size_t size = sizeof(address);
    loop = loop_new(&err);
    context = zmq_ctx_new();
    server = zmq_socket(context, ZMQ_ROUTER);
    connections = connections_new(loop, context, server, (struct connections_calls){on_mismatch, NULL}, NULL, &err);
    cr_assert_not_null(connections, "%s", err.text);
    cr_assert_eq(zmq_bind(server, "tcp://127.0.0.1:*"), 0);
    cr_assert_eq(zmq_getsockopt(server, ZMQ_LAST_ENDPOINT, address, &size), 0);
    port = (uint16_t)atoi(strrchr(address, ':') + 1);
    snprintf(path, sizeof(path), "/tmp/mobeye-connections-%d", getpid());
    snprintf(address, sizeof(address), "ipc://%s", path);
    cr_assert_eq(zmq_bind(server, address), 0);
}

static void teardown(void)
{
    connections_free(&connections);
    connections_free(&connections);
    zmq_close(server);
    zmq_ctx_term(context);
    loop_free(&loop);
    unlink(path);
}

TestSuite(connections, .init = setup, .fini = teardown, .timeout = 20);

static void read_exactly(int fd, size_t len)
{
    char bytes[128];
    for (ssize_t got; len > 0; len -= (size_t)got) {
        got = read(fd, bytes, len < sizeof(bytes) ? len : sizeof(bytes));
        cr_assert_gt(got, 0);
    }
}

/* The first 64 bytes of a client of ZMTP 3.0. */
static void greet(int fd, const char *mechanism)
{
    char greeting[64] = {[0] = '\xff', [9] = '\x7f', [10] = 3};
    memcpy(greeting + 12, mechanism, strlen(mechanism));
    cr_assert_eq(write(fd, greeting, sizeof(greeting)), sizeof(greeting));
}

/* A DEALER without security, by hand. */
static void shake_hands(int fd)
{
    static const char ready[] = "\x04\x1c\x05READY\x0bSocket-Type\0\0\0\x06"
                                "DEALER";
    greet(fd, "NULL");
    read_exactly(fd, 64);
    char head[2];
    cr_assert_eq(write(fd, ready, sizeof(ready) - 1), sizeof(ready) - 1);
    cr_assert_eq(read(fd, head, 2), 2);
    read_exactly(fd, (size_t)head[1]);
}

static int connect_tcp(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static int open_tcp(void)
{
    int fd = connect_tcp();
    shake_hands(fd);
    return fd;
}

static int open_ipc(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    shake_hands(fd);
    return fd;
}

static void send_frame(int fd, size_t len, bool more)
{
    static char frame[9 + 65536];
    frame[0] = more ? 3 : 2;
    frame[6] = (char)(len >> 16);
    frame[7] = (char)(len >> 8);
    frame[8] = (char)len;
    for (size_t at = 0; at < 9 + len;) {
        ssize_t put = write(fd, frame + at, 9 + len - at);
        cr_assert_gt(put, 0);
        at += (size_t)put;
    }
}

/* Turns the loop until there are this many. */
static void wait_count(size_t count)
{
    while (connections_count(connections) != count)
        loop_turn(loop);
}

/* Receives a message of one frame and says which connection it came from. */
static int receive_one(size_t len)
{
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    cr_assert_geq(zmq_msg_recv(&frame, server, 0), 0);
    cr_assert_eq(zmq_msg_recv(&frame, server, 0), (int)len);
    int fd = zmq_msg_get(&frame, ZMQ_SRCFD);
    connections_delivered(connections, fd, 9 + len);
    zmq_msg_close(&frame);
    return fd;
}

static const struct connection_load *load_of(int fd, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (loads[i].fd == fd)
            return &loads[i];
    return NULL;
}

Test(connections, are_counted_as_they_come_and_go)
{
    int one = open_tcp(), two = open_ipc();
    wait_count(2);
    close(one);
    wait_count(1);
    close(two);
    wait_count(0);
}

Test(connections, one_with_another_mechanism_is_reported_by_its_address)
{
    int good = open_tcp(), other = connect_tcp();
    wait_count(2);
    greet(other, "CURVE");
    while (mismatched[0] == '\0')
        loop_turn(loop);
    cr_assert(mismatch_is_certain);
    cr_assert_str_eq(mismatched, "127.0.0.1");
    wait_count(1);
    close(good);
    close(other);
}

Test(connections, an_address_is_not_read_from_what_got_the_descriptor_since)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK + 1)}};
    socklen_t size = sizeof(at);
    int other = connect_tcp(), listener = socket(AF_INET, SOCK_STREAM, 0), fds[2 * MOST];
    cr_assert_eq(bind(listener, (struct sockaddr *)&at, size), 0);
    cr_assert_eq(listen(listener, 2 * MOST), 0);
    cr_assert_eq(getsockname(listener, (struct sockaddr *)&at, &size), 0);
    greet(other, "CURVE");
    char bytes[64];
    while (read(other, bytes, sizeof(bytes)) > 0)
        ;
    for (int i = 0; i < 2 * MOST; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM, 0);
        cr_assert_eq(connect(fds[i], (struct sockaddr *)&at, size), 0);
    }
    while (mismatched[0] == '\0')
        loop_turn(loop);
    cr_assert_str_eq(mismatched, "an unknown address");
    for (int i = 0; i < 2 * MOST; i++)
        close(fds[i]);
    close(listener);
    close(other);
}

Test(connections, one_that_closes_in_its_handshake_is_reported_as_uncertain)
{
    int other = connect_tcp();
    wait_count(1);
    mismatch_is_certain = true;
    close(other);
    while (mismatched[0] == '\0')
        loop_turn(loop);
    cr_assert_not(mismatch_is_certain);
    cr_assert_str_eq(mismatched, "127.0.0.1");
    wait_count(0);
}

Test(connections, what_was_delivered_is_no_load_and_what_was_not_is)
{
    int quiet = open_tcp(), heavy = open_tcp();
    wait_count(2);
    for (int i = 0; i < 10; i++)
        send_frame(quiet, 60000, false);
    int quiet_fd = -1;
    for (int i = 0; i < 10; i++)
        quiet_fd = receive_one(60000);
    connections_rebase(connections);
    for (int i = 0; i < 10; i++)
        send_frame(quiet, 60000, false);
    for (int i = 0; i < 10; i++)
        send_frame(heavy, 60000, true);
    for (int i = 0; i < 10; i++)
        cr_assert_eq(receive_one(60000), quiet_fd);
    size_t n = 0;
    while ((n = connections_loads(connections, server, loads)) != 1 || loads[0].held_bytes != 600090)
        ; /* libzmq reads */
    cr_assert_neq(loads[0].fd, quiet_fd);
    cr_assert(loads[0].counted && loads[0].owner == server);
    close(quiet);
    close(heavy);
    wait_count(0);
}

Test(connections, one_is_cut_and_its_peer_hears_of_it)
{
    char address[PEER_ADDRESS_SIZE], byte;
    int heavy = open_tcp();
    wait_count(1);
    send_frame(heavy, 60000, true);
    while (connections_loads(connections, NULL, loads) != 1)
        ;
    cr_assert(connections_cut(connections, &loads[0], address));
    cr_assert(strncmp(address, "127.0.0.1:", 10) == 0, "%s", address);
    cr_assert_eq(connections_loads(connections, NULL, loads), 0, "it is not cut twice");
    cr_assert_leq(read(heavy, &byte, 1), 0);
    wait_count(0);
    close(heavy);
}

Test(connections, another_with_the_same_descriptor_is_not_cut)
{
    char address[PEER_ADDRESS_SIZE], byte;
    int old = open_tcp();
    wait_count(1);
    send_frame(old, 60000, true);
    while (connections_loads(connections, NULL, loads) != 1)
        ;
    const struct connection_load stale = loads[0];
    close(old);
    wait_count(0);
    int next = open_tcp();
    wait_count(1);
    send_frame(next, 60000, true);
    size_t n = 0;
    while ((n = connections_loads(connections, NULL, loads)) != 1)
        ;
    cr_assert_not_null(load_of(stale.fd, n), "the number was not used again");
    cr_assert_neq(loads[0].cookie, stale.cookie);
    cr_assert_not(connections_cut(connections, &stale, address));
    cr_assert_eq(recv(next, &byte, 1, MSG_DONTWAIT), -1);
    cr_assert_eq(errno, EAGAIN);
    send_frame(next, 10, false);
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    cr_assert_geq(zmq_msg_recv(&frame, server, 0), 0);
    zmq_msg_close(&frame);
    close(next);
}

Test(connections, of_ipc_those_are_suspect_whose_bytes_wait_and_that_deliver_nothing)
{
    int quiet = open_ipc(), heavy = open_ipc();
    char address[PEER_ADDRESS_SIZE];
    wait_count(2);
    send_frame(quiet, 60000, false);
    int quiet_fd = receive_one(60000);
    size_t n = 0;
    while ((n = connections_loads(connections, NULL, loads)) == 0) {
        send_frame(heavy, 65000, true);
        connections_suspect(connections);
    }
    cr_assert_eq(n, 1);
    cr_assert_neq(loads[0].fd, quiet_fd);
    cr_assert_not(loads[0].counted);
    cr_assert(connections_cut(connections, &loads[0], address));
    cr_assert(strncmp(address, "uid ", 4) == 0, "%s", address);
    wait_count(1);
    close(heavy);
    close(quiet);
}

static unsigned given_up;
static bool done;

static bool on_given_up(void *ctx, bool denied)
{
    cr_assert_not(denied);
    (void)ctx;
    given_up++;
    return done;
}

/* A listener that does not speak ZeroMQ, and a socket that connects to it. */
struct caller {
    void *socket;
    struct connections *connections;
    int listener;
};

static struct caller call(void)
{
    struct err err = {""};
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(at);
    char address[64];
    struct caller c = {.socket = zmq_socket(context, ZMQ_PULL), .listener = socket(AF_INET, SOCK_STREAM, 0)};
    cr_assert_eq(bind(c.listener, (struct sockaddr *)&at, size), 0);
    cr_assert_eq(listen(c.listener, MOST), 0);
    cr_assert_eq(getsockname(c.listener, (struct sockaddr *)&at, &size), 0);
    struct connections_calls calls = {on_mismatch, on_given_up};
    c.connections = connections_new(loop, context, c.socket, calls, NULL, &err);
    cr_assert_not_null(c.connections, "%s", err.text);
    snprintf(address, sizeof(address), "tcp://127.0.0.1:%u", ntohs(at.sin_port));
    cr_assert_eq(zmq_connect(c.socket, address), 0);
    return c;
}

static void hang_up(struct caller *c)
{
    connections_free(&c->connections);
    zmq_close(c->socket);
    close(c->listener);
}

Test(connections, that_libzmq_gives_up_are_reported_until_they_are_made_again)
{
    struct caller c = call();
    int fd = accept(c.listener, NULL, NULL);
    cr_assert_eq(write(fd, (char[64]){0}, 64), 64);
    while (given_up < 2) {
        done = given_up == 1;
        loop_turn(loop);
    }
    close(fd);
    hang_up(&c);
}

Test(connections, that_libzmq_makes_again_are_not_reported)
{
    struct caller c = call();
    for (int i = 0; i < 20; i++) {
        int fd = accept(c.listener, NULL, NULL);
        while (connections_count(c.connections) == 0)
            loop_turn(loop);
        close(fd);
        while (connections_count(c.connections) > 0)
            loop_turn(loop);
    }
    cr_assert_eq(given_up, 0);
    hang_up(&c);
}
