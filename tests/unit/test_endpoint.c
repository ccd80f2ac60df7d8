/* Endpoints with real peers: frames, replies, the edge-triggered descriptor, changes of the set. */
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <zmq.h>

#include "base/mem.h"
#include "ingest/endpoint_set.h"
#include "ingest/endpoint_state.h"
#include "ingest/reply_queue.h"

static struct loop *loop;
static struct endpoint_set *set;
static void *context;
static char directory[] = "/tmp/mobeye-endpoint-XXXXXX";
static int received, malformed, dropped, ready_calls;
static char last[128];
static struct reply_queue replies;

static char address[4][160], nowhere[] = "ipc:///nowhere/at/all";
static struct conf_endpoint endpoints[4];
static struct conf conf = {.endpoints = endpoints};

/* libzmq's check of its commands, which a signal interrupts every other time. */
static _Thread_local bool signals;
static int interrupted;

int poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
    if (signals && timeout_ms == 0 && interrupted++ % 2 == 0) {
        errno = EINTR;
        return -1;
    }
    return (int)syscall(SYS_poll, fds, n, timeout_ms);
}

static void on_ready(void *ctx, struct endpoint *endpoint)
{
    (void)ctx;
    (void)endpoint;
    ready_calls++;
}

static bool on_message(void *ctx, struct endpoint *endpoint, const struct endpoint_message *message)
{
    (void)ctx;
    received++;
    malformed += message->malformed != NULL;
    size_t len = message->payload.len < sizeof(last) - 1 ? message->payload.len : sizeof(last) - 1;
    memcpy(last, message->payload.p ? message->payload.p : "", len);
    last[len] = '\0';
    reply_queue_add(&replies, &(struct reply_to){endpoint, &message->peer, message->payload}, "ACK", STR("1"), NULL);
    return true;
}

static void on_dropped(void *ctx, struct endpoint *endpoint)
{
    (void)ctx;
    (void)endpoint;
    dropped++;
}

static struct conf_endpoint router(int i, const char *name)
{
    snprintf(address[i], sizeof(address[i]), "ipc://%s/%d", directory, i);
    return (struct conf_endpoint){
        .name = mem_strdup(name), .address = address[i], .bind = true, .format = ALERT_CLOUDEVENTS};
}

static void setup(void)
{
    cr_assert_not_null(mkdtemp(directory));
    static const struct endpoint_calls calls = {.on_ready = on_ready, .on_message = on_message};
    struct err err;
    loop = loop_new(&err);
    context = zmq_ctx_new();
    set = endpoint_set_new(loop, &calls, NULL, NULL, &err);
    cr_assert_not_null(set);
    endpoints[0] = router(0, "one");
    conf.n_endpoints = 1;
    cr_assert_eq(endpoint_set_apply(set, &conf, &err), 0, "%s", err.text);
}

static void teardown(void)
{
    endpoint_set_free(&set);
    zmq_ctx_term(context);
    loop_free(&loop);
    buf_free(&replies.bytes);
    for (int i = 0; i < 4; i++) {
        char path[200];
        snprintf(path, sizeof(path), "%s/%d", directory, i);
        unlink(path);
        free(endpoints[i].name);
    }
    rmdir(directory);
}

TestSuite(endpoint, .init = setup, .fini = teardown, .timeout = 60);

static void *peer(int type, int i)
{
    void *socket = zmq_socket(context, type);
    int zero = 0, timeout_ms = 20000;
    zmq_setsockopt(socket, ZMQ_LINGER, &zero, sizeof(zero));
    zmq_setsockopt(socket, ZMQ_RCVTIMEO, &timeout_ms, sizeof(timeout_ms));
    zmq_setsockopt(socket, ZMQ_SNDHWM, &zero, sizeof(zero)); /* no limit: the test sends before it turns the loop */
    cr_assert_eq(zmq_connect(socket, address[i]), 0);
    return socket;
}

static bool any_ready(void)
{
    for (size_t i = 0; i < endpoint_set_count(set); i++)
        if (endpoint_is_ready(endpoint_set_at(set, i)))
            return true;
    return false;
}

/* Turns the loop and drains until this many messages have arrived. The loop may wait only while nothing is ready: a
 * ready endpoint has had its edge. */
static void run_until(int messages)
{
    while (received < messages) {
        if (!any_ready())
            loop_turn(loop);
        for (size_t i = 0; i < endpoint_set_count(set); i++)
            while (endpoint_is_ready(endpoint_set_at(set, i)) && endpoint_drain(endpoint_set_at(set, i), 7))
                ;
        reply_queue_send(&replies, on_dropped, NULL);
        for (size_t i = 0; i < endpoint_set_count(set); i++)
            endpoint_replied(endpoint_set_at(set, i));
    }
}

static void expect_frame(void *socket, const char *text, int more)
{
    char frame[128] = "";
    int len = zmq_recv(socket, frame, sizeof(frame) - 1, 0), rest = -1;
    cr_assert_eq(len, (int)strlen(text), "frame of %d bytes, not \"%s\"", len, text);
    cr_assert_str_eq(frame, text);
    size_t size = sizeof(rest);
    zmq_getsockopt(socket, ZMQ_RCVMORE, &rest, &size);
    cr_assert_eq(rest, more);
}

Test(endpoint, a_dealer_gets_three_frames)
{
    void *dealer = peer(ZMQ_DEALER, 0);
    zmq_send(dealer, "hello", 5, 0);
    run_until(1);
    cr_assert_str_eq(last, "hello");
    expect_frame(dealer, "ACK", 1);
    expect_frame(dealer, "hello", 1);
    expect_frame(dealer, "1", 0);
    zmq_close(dealer);
}

Test(endpoint, a_reply_does_not_go_to_another_client_that_took_the_routing_id_over)
{
    static const char gate[] = "gate56789012345678901234567890123456789.",
                      thief[] = "thief6789012345678901234567890123456789.";
    struct endpoint *endpoint = endpoint_set_at(set, 0);
    struct endpoint_peer peer = {.id = "panel", .id_len = 5}, other = {.id = "other", .id_len = 5};
    cr_assert_not(reply_queue_sender(&replies, endpoint, &other, thief));
    cr_assert_not(reply_queue_sender(&replies, endpoint, &peer, gate));
    cr_assert_not(reply_queue_sender(&replies, endpoint, &peer, gate));
    void *dealer = zmq_socket(context, ZMQ_DEALER);
    cr_assert_eq(zmq_setsockopt(dealer, ZMQ_ROUTING_ID, "panel", 5), 0);
    cr_assert_eq(zmq_connect(dealer, address[0]), 0);
    zmq_send(dealer, "hello", 5, 0);
    run_until(1);
    expect_frame(dealer, "ACK", 1);
    expect_frame(dealer, "hello", 1);
    expect_frame(dealer, "1", 0);
    reply_queue_add(&replies, &(struct reply_to){endpoint, &peer, STR("of gate")}, "ACK", STR("2"), NULL);
    cr_assert(reply_queue_sender(&replies, endpoint, &peer, thief));
    reply_queue_add(&replies, &(struct reply_to){endpoint, &peer, STR("of thief")}, "ACK", STR("3"), NULL);
    reply_queue_send(&replies, on_dropped, NULL);
    cr_assert_eq(dropped, 1);
    expect_frame(dealer, "ACK", 1);
    expect_frame(dealer, "of thief", 1);
    expect_frame(dealer, "3", 0);
    zmq_close(dealer);
}

Test(endpoint, the_delimiter_of_a_req_is_mirrored)
{
    void *req = peer(ZMQ_REQ, 0);
    zmq_send(req, "hello", 5, 0);
    run_until(1);
    expect_frame(req, "ACK", 1);
    expect_frame(req, "hello", 1);
    expect_frame(req, "1", 0);
    zmq_close(req);
    void *dealer = peer(ZMQ_DEALER, 0);
    zmq_send(dealer, "", 0, ZMQ_SNDMORE);
    zmq_send(dealer, "hi", 2, 0);
    run_until(2);
    expect_frame(dealer, "", 1);
    expect_frame(dealer, "ACK", 1);
    zmq_close(dealer);
}

Test(endpoint, other_frames_make_no_message)
{
    void *dealer = peer(ZMQ_DEALER, 0);
    zmq_send(dealer, "", 0, 0);
    run_until(1);
    cr_assert_eq(malformed, 1);
    zmq_send(dealer, "a", 1, ZMQ_SNDMORE);
    zmq_send(dealer, "b", 1, ZMQ_SNDMORE);
    zmq_send(dealer, "c", 1, 0);
    run_until(2);
    cr_assert_eq(malformed, 2);
    zmq_send(dealer, "", 0, ZMQ_SNDMORE);
    for (int i = 0; i < 100; i++)
        zmq_send(dealer, "x", 1, i < 99 ? ZMQ_SNDMORE : 0);
    run_until(3);
    cr_assert_eq(malformed, 3);
    zmq_send(dealer, "good", 4, 0);
    run_until(4);
    cr_assert_str_eq(last, "good");
    cr_assert_eq(malformed, 3);
    zmq_close(dealer);
}

/* With a budget of 7 a drain, every message must be followed up without a further edge on ZMQ_FD. */
Test(endpoint, no_message_waits_for_the_next_edge)
{
    void *dealer = peer(ZMQ_DEALER, 0);
    for (int i = 0; i < 5000; i++)
        zmq_send(dealer, "m", 1, 0);
    run_until(5000);
    cr_assert_eq(received, 5000);
    zmq_close(dealer);
}

Test(endpoint, a_signal_costs_no_part_of_a_message_or_a_reply)
{
    enum { MESSAGES = 1000 };
    void *dealer = peer(ZMQ_DEALER, 0);
    for (int i = 0; i < MESSAGES; i++) {
        zmq_send(dealer, "", 0, ZMQ_SNDMORE);
        zmq_send(dealer, "m", 1, 0);
    }
    signals = true;
    run_until(MESSAGES);
    signals = false;
    cr_assert_gt(interrupted, 10);
    cr_assert_eq(malformed, 0);
    for (int i = 0; i < MESSAGES; i++) {
        expect_frame(dealer, "", 1);
        expect_frame(dealer, "ACK", 1);
        expect_frame(dealer, "m", 1);
        expect_frame(dealer, "1", 0);
    }
    zmq_close(dealer);
}

Test(endpoint, a_reply_to_a_peer_that_is_gone_is_dropped_not_waited_for)
{
    struct endpoint_peer gone = {.id = {0, 1, 2, 3, 4}, .id_len = 5};
    struct endpoint *endpoint = endpoint_set_at(set, 0);
    cr_assert_not(endpoint_reply(endpoint, &gone, STR("ACK"), STR("x"), STR("1"), NULL));
    reply_queue_add(&replies, &(struct reply_to){endpoint, &gone, STR("x")}, "ACK", STR("1"), NULL);
    reply_queue_send(&replies, on_dropped, NULL);
    cr_assert_eq(dropped, 1);
}

Test(endpoint, an_unchanged_endpoint_keeps_its_peers)
{
    struct err err;
    void *dealer = peer(ZMQ_DEALER, 0);
    zmq_send(dealer, "before", 6, 0);
    run_until(1);
    struct endpoint *before = endpoint_set_at(set, 0);
    endpoints[1] = router(1, "two");
    conf.n_endpoints = 2;
    cr_assert_eq(endpoint_set_apply(set, &conf, &err), 0, "%s", err.text);
    cr_assert_eq(endpoint_set_at(set, 0), before);
    zmq_send(dealer, "after", 5, 0);
    run_until(2);
    cr_assert_str_eq(last, "after");
    conf.n_endpoints = 1;
    cr_assert_eq(endpoint_set_apply(set, &conf, &err), 0);
    cr_assert_eq(endpoint_set_count(set), 1);
    zmq_close(dealer);
}

/* Whether the socket is kept when the second endpoint becomes `next`; then everything is as before. */
static bool keeps(const struct conf_endpoint *next)
{
    struct err err;
    struct conf_endpoint changed[] = {endpoints[0], *next};
    struct conf other = {.endpoints = changed, .n_endpoints = 2};
    struct endpoint_state state;
    endpoint_set_state(endpoint_set_at(set, 1), &state);
    cr_assert_eq(endpoint_set_apply(set, &other, &err), 0, "%s", err.text);
    bool is_kept = endpoint_state_of(endpoint_set_at(set, 1)) == &state;
    cr_assert_eq(endpoint_set_apply(set, &conf, &err), 0, "%s", err.text);
    return is_kept;
}

Test(endpoint, what_a_socket_is_opened_with_reopens_it_and_all_else_keeps_it)
{
    struct err err;
    char *news[] = {(char *)"alarm", (char *)"camera"}, *other[] = {(char *)"alarm", (char *)"weather"};
    endpoints[1] = router(1, "two");
    endpoints[1].socket = CONF_SUB;
    endpoints[1].topics = news;
    endpoints[1].n_topics = 2;
    conf.n_endpoints = 2;
    cr_assert_eq(endpoint_set_apply(set, &conf, &err), 0, "%s", err.text);
    struct conf_endpoint next = endpoints[1];
    cr_expect(keeps(&next));
    next.expect_every_us = 1;
    next.format = ALERT_SIA_DC09;
    cr_expect(keeps(&next), "the format does not concern the socket");
    next = endpoints[1];
    next.topics = other;
    cr_expect_not(keeps(&next), "topics");
    next.n_topics = 1;
    cr_expect_not(keeps(&next), "how many topics");
    next = endpoints[1];
    next.socket = CONF_PULL;
    cr_expect_not(keeps(&next), "socket");
    next = endpoints[1];
    next.bind = false;
    cr_expect_not(keeps(&next), "direction");
    conf.n_endpoints = 1;
}

Test(endpoint, a_set_that_cannot_be_bound_changes_nothing)
{
    struct err err;
    endpoints[1] = router(1, "two");
    endpoints[2] = router(2, "three");
    endpoints[2].address = nowhere;
    conf.n_endpoints = 3;
    cr_assert_eq(endpoint_set_apply(set, &conf, &err), -1);
    cr_assert_not_null(strstr(err.text, "endpoint three: cannot bind ipc:///nowhere/at/all: "), "%s", err.text);
    cr_assert_eq(endpoint_set_count(set), 1);
    void *dealer = peer(ZMQ_DEALER, 0);
    zmq_send(dealer, "still", 5, 0);
    run_until(1);
    cr_assert_str_eq(last, "still");
    zmq_close(dealer);
    conf.n_endpoints = 1;
}

/* Another name on the same address: the old socket has to let go of it first, and gets it back if the rest fails. What
 * waits in it is not given up for a set of which an endpoint on another address cannot be opened. */
Test(endpoint, an_address_changes_hands_and_comes_back)
{
    struct err err;
    struct conf_endpoint renamed[3] = {router(0, "renamed"), router(1, "moved"), router(2, "broken")};
    struct conf next = {.endpoints = renamed, .n_endpoints = 3};
    renamed[2].address = nowhere;
    endpoints[1] = router(1, "two");
    conf.n_endpoints = 2;
    cr_assert_eq(endpoint_set_apply(set, &conf, &err), 0, "%s", err.text);
    void *early = peer(ZMQ_DEALER, 0);
    zmq_send(early, "early", 5, 0);
    while (!any_ready())
        loop_turn(loop);
    cr_assert_eq(endpoint_set_apply(set, &next, &err), -1);
    zmq_close(early);
    run_until(1);
    cr_assert_str_eq(last, "early");
    /* The address of "two" can be bound no more. */
    unlink(address[1] + strlen("ipc://"));
    cr_assert_eq(mkdir(address[1] + strlen("ipc://"), 0700), 0);
    next.n_endpoints = 2;
    cr_assert_eq(endpoint_set_apply(set, &next, &err), -1);
    rmdir(address[1] + strlen("ipc://"));
    cr_assert_eq(endpoint_set_count(set), 2);
    cr_assert_str_eq(endpoint_conf(endpoint_set_at(set, 0))->name, "one");
    cr_assert(endpoint_is_open(endpoint_set_at(set, 0)));
    cr_assert_not(endpoint_is_open(endpoint_set_at(set, 1)));
    next.n_endpoints = 1;
    cr_assert_eq(endpoint_set_apply(set, &next, &err), 0, "%s", err.text);
    cr_assert_str_eq(endpoint_conf(endpoint_set_at(set, 0))->name, "renamed");
    void *dealer = peer(ZMQ_DEALER, 0);
    zmq_send(dealer, "new", 3, 0);
    run_until(2);
    cr_assert_str_eq(last, "new");
    zmq_close(dealer);
    endpoint_set_free(&set);
    for (int i = 0; i < 3; i++)
        free(renamed[i].name);
}

Test(endpoint, a_socket_that_was_rebound_serves_again)
{
    struct err err;
    struct endpoint *endpoint = endpoint_set_at(set, 0);
    cr_assert_eq(endpoint_rebind(endpoint, &err), 0, "%s", err.text);
    cr_assert(endpoint_is_open(endpoint));
    void *dealer = peer(ZMQ_DEALER, 0);
    zmq_send(dealer, "again", 5, 0);
    run_until(1);
    cr_assert_str_eq(last, "again");
    zmq_close(dealer);
}

static void *named_peer(const char *routing_id)
{
    void *socket = zmq_socket(context, ZMQ_DEALER);
    int zero = 0, timeout_ms = 20000;
    zmq_setsockopt(socket, ZMQ_LINGER, &zero, sizeof(zero));
    zmq_setsockopt(socket, ZMQ_RCVTIMEO, &timeout_ms, sizeof(timeout_ms));
    zmq_setsockopt(socket, ZMQ_ROUTING_ID, routing_id, strlen(routing_id));
    cr_assert_eq(zmq_connect(socket, address[0]), 0);
    return socket;
}

Test(endpoint, a_sender_that_comes_back_by_its_own_routing_id_is_answered)
{
    void *before = named_peer("cam1");
    zmq_send(before, "one", 3, 0);
    run_until(1);
    void *after = named_peer("cam1");
    zmq_send(after, "two", 3, 0);
    run_until(2);
    cr_assert_str_eq(last, "two");
    expect_frame(after, "ACK", 1);
    zmq_close(before);
    zmq_close(after);
}

Test(endpoint, an_ipc_path_that_is_in_use_or_a_file_is_left_alone)
{
    struct err err;
    static const struct endpoint_calls calls = {.on_ready = on_ready, .on_message = on_message};
    cr_assert_null(endpoint_new(loop, context, &endpoints[0], &calls, NULL, &err));
    cr_assert_not_null(strstr(err.text, "Address already in use"), "%s", err.text);
    endpoints[1] = router(1, "two");
    char path[200];
    snprintf(path, sizeof(path), "%s/1", directory);
    FILE *file = fopen(path, "w");
    cr_assert_eq(fputs("precious", file), 1);
    fclose(file);
    cr_assert_null(endpoint_new(loop, context, &endpoints[1], &calls, NULL, &err));
    cr_assert_eq(access(path, R_OK), 0);
    void *dealer = peer(ZMQ_DEALER, 0);
    zmq_send(dealer, "still", 5, 0);
    run_until(1);
    cr_assert_str_eq(last, "still");
    zmq_close(dealer);
}

Test(endpoint, an_ipc_socket_is_open_to_its_group_whatever_the_umask)
{
    struct err err;
    struct stat st;
    static const struct endpoint_calls calls = {.on_ready = on_ready, .on_message = on_message};
    endpoints[1] = router(1, "two");
    mode_t before = umask(0077);
    struct endpoint *two = endpoint_new(loop, context, &endpoints[1], &calls, NULL, &err);
    cr_assert_not_null(two, "%s", err.text);
    cr_assert_eq(stat(address[1] + strlen("ipc://"), &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0660, "%o", st.st_mode);
    cr_assert_eq(endpoint_rebind(two, &err), 0, "%s", err.text);
    cr_assert_eq(stat(address[1] + strlen("ipc://"), &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0660, "%o", st.st_mode);
    umask(before);
    endpoint_free(&two);
}

Test(endpoint, a_tcp_port_is_taken_over_by_a_wider_address)
{
    struct err err;
    char narrow[] = "tcp://127.0.0.1:*", bound[100], wide[100];
    struct conf_endpoint tcp = {.name = endpoints[0].name, .address = narrow, .bind = true};
    void *probe = zmq_socket(context, ZMQ_ROUTER);
    size_t size = sizeof(bound);
    cr_assert_eq(zmq_bind(probe, narrow), 0);
    zmq_getsockopt(probe, ZMQ_LAST_ENDPOINT, bound, &size);
    zmq_unbind(probe, bound);
    zmq_close(probe);
    tcp.address = bound;
    struct conf next = {.endpoints = &tcp, .n_endpoints = 1};
    cr_assert_eq(endpoint_set_apply(set, &next, &err), 0, "%s", err.text);
    snprintf(wide, sizeof(wide), "tcp://0.0.0.0%s", strrchr(bound, ':'));
    struct conf_endpoint wider = {.name = endpoints[0].name, .address = wide, .bind = true};
    struct conf last_conf = {.endpoints = &wider, .n_endpoints = 1};
    cr_assert_eq(endpoint_set_apply(set, &last_conf, &err), 0, "%s", err.text);
    endpoint_set_free(&set);
}
