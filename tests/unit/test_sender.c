/* The sender against a router of this test, by its own calls: what mobeyectl send and the camera bridge build on. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctl/lib/sender.h"

#define ALERTS      40 /* with more frames of replies than libzmq receives between two looks at its commands (100) */
#define PATIENCE_MS 60000

TestSuite(sender, .timeout = 120);

struct rig {
    void *context, *router;
    char address[64];
    struct sender *sender;
    unsigned rejected;
};

static void step(struct rig *rig)
{
    struct err err;
    cr_assert_eq(sender_step(rig->sender, &err), 0, "%s", err.text);
}

static zmq_pollitem_t monitor_of(const struct rig *rig)
{
    zmq_pollitem_t items[SENDER_POLL_ITEMS];
    sender_poll_items(rig->sender, items);
    return items[1];
}

static void listen_at(struct rig *rig, const char *address)
{
    int patience_ms = PATIENCE_MS, all = -1;
    rig->router = zmq_socket(rig->context, ZMQ_ROUTER);
    zmq_setsockopt(rig->router, ZMQ_RCVTIMEO, &patience_ms, sizeof(patience_ms));
    zmq_setsockopt(rig->router, ZMQ_LINGER, &all, sizeof(all));
    while (zmq_bind(rig->router, address) != 0)
        cr_assert_eq(errno, EADDRINUSE, "%s: %s", address, zmq_strerror(errno));
}

/* Takes events from the sender until this one comes. */
static void wait_for_event(struct rig *rig, uint16_t wanted)
{
    zmq_pollitem_t monitor = monitor_of(rig);
    uint16_t event = 0;
    while (event != wanted) {
        char frame[256];
        cr_assert_eq(zmq_poll(&monitor, 1, PATIENCE_MS), 1);
        cr_assert_geq(zmq_recv(monitor.socket, frame, sizeof(frame), 0), (int)sizeof(event));
        memcpy(&event, frame, sizeof(event));
        cr_assert_geq(zmq_recv(monitor.socket, frame, sizeof(frame), 0), 0);
    }
}

/* The first of the replies, all of which have come: the daemon dies and comes back, while the sender is in the middle
 * of reading them. */
static void on_rejected(void *ctx, uint64_t number, struct str why)
{
    (void)number, (void)why;
    struct rig *rig = ctx;
    if (rig->rejected++ > 0)
        return;
    zmq_close(rig->router);
    wait_for_event(rig, ZMQ_EVENT_DISCONNECTED);
    listen_at(rig, rig->address);
    wait_for_event(rig, ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
}

static void add_alerts(struct rig *rig)
{
    for (uint64_t i = 0; i < ALERTS; i++) {
        char payload[256];
        int len =
            snprintf(payload, sizeof(payload),
                     "{\"specversion\":\"1.0\",\"id\":\"a\",\"source\":\"/s\",\"type\":\"mobeye.alert.v1\",\"data\":{"
                     "\"device\":\"d\",\"kind\":\"motion\"}}");
        sender_add(rig->sender, &(struct sender_message){.payload = {payload, (size_t)len}, .number = i});
    }
}

/* Reads an alert and replies to it, in three frames and so many more. */
static void reject_one(struct rig *rig, unsigned more)
{
    char from[256], payload[1024];
    int len = zmq_recv(rig->router, from, sizeof(from), 0);
    cr_assert_gt(len, 0);
    cr_assert_gt(zmq_recv(rig->router, payload, sizeof(payload), 0), 0);
    zmq_send(rig->router, from, (size_t)len, ZMQ_SNDMORE);
    zmq_send(rig->router, "REJECT", 6, ZMQ_SNDMORE);
    zmq_send(rig->router, "a", 1, ZMQ_SNDMORE);
    zmq_send(rig->router, "forbidden: data.device: no", 26, more > 0 ? ZMQ_SNDMORE : 0);
    for (; more > 0; more--)
        zmq_send(rig->router, "", 0, more > 1 ? ZMQ_SNDMORE : 0);
}

/* more: decides in which frame of a reply libzmq looks. */
static void lose_the_daemon(unsigned more)
{
    struct rig rig = {.context = zmq_ctx_new()};
    size_t size = sizeof(rig.address);
    listen_at(&rig, "tcp://127.0.0.1:*");
    zmq_getsockopt(rig.router, ZMQ_LAST_ENDPOINT, rig.address, &size);
    struct sender_endpoint endpoint = {.to = rig.address};
    struct sender_options options = {.endpoints = &endpoint, .n_endpoints = 1, .rejected = on_rejected, .ctx = &rig};
    struct err err;
    rig.sender = sender_new(&options, &err);
    cr_assert_not_null(rig.sender);
    add_alerts(&rig);
    while (sender_link(rig.sender) != SENDER_CONNECTED) {
        zmq_pollitem_t monitor = monitor_of(&rig);
        cr_assert_eq(zmq_poll(&monitor, 1, PATIENCE_MS), 1);
        step(&rig);
    }
    for (unsigned i = 0; i < ALERTS; i++)
        reject_one(&rig, i == 0 ? more : 0);
    zmq_pollitem_t items[SENDER_POLL_ITEMS];
    sender_poll_items(rig.sender, items);
    cr_assert_eq(zmq_poll(items, 1, PATIENCE_MS), 1);
    step(&rig);
    cr_expect_gt(rig.rejected, 0u);
    sender_free(&rig.sender);
    zmq_close(rig.router);
    zmq_ctx_term(rig.context);
}

Test(sender, survives_a_daemon_that_dies_while_its_replies_are_read)
{
    for (unsigned more = 0; more < 3; more++)
        lose_the_daemon(more);
}
