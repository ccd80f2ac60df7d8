/* The sender against a router of this test, through its own interface: what mobeyectl send and the camera bridge build
 * on. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
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

/* secret_key: of a router that requires CURVE; NULL: of one that does not. */
static void listen_with(struct rig *rig, const char *address, const char *secret_key)
{
    int patience_ms = PATIENCE_MS, all = -1, yes = 1;
    rig->router = zmq_socket(rig->context, ZMQ_ROUTER);
    if (secret_key) {
        zmq_setsockopt(rig->router, ZMQ_CURVE_SERVER, &yes, sizeof(yes));
        zmq_setsockopt(rig->router, ZMQ_CURVE_SECRETKEY, secret_key, CONF_KEY_LEN);
    }
    zmq_setsockopt(rig->router, ZMQ_RCVTIMEO, &patience_ms, sizeof(patience_ms));
    zmq_setsockopt(rig->router, ZMQ_LINGER, &all, sizeof(all));
    while (zmq_bind(rig->router, address) != 0)
        cr_assert_eq(errno, EADDRINUSE, "%s: %s", address, zmq_strerror(errno));
    size_t size = sizeof(rig->address);
    zmq_getsockopt(rig->router, ZMQ_LAST_ENDPOINT, rig->address, &size);
}

static void listen_at(struct rig *rig, const char *address)
{
    listen_with(rig, address, NULL);
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

/* The first of the replies, all of which have arrived: the daemon dies and comes back while the sender is reading
 * them. */
static void on_rejected(void *ctx, uint64_t number, struct str why)
{
    (void)number, (void)why;
    struct rig *rig = ctx;
    if (rig->rejected++ > 0)
        return;
    char address[sizeof(rig->address)];
    snprintf(address, sizeof(address), "%s", rig->address);
    zmq_close(rig->router);
    wait_for_event(rig, ZMQ_EVENT_DISCONNECTED);
    listen_at(rig, address);
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

/* Reads an alert and replies to it, in three frames and this many more. */
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
    listen_at(&rig, "tcp://127.0.0.1:*");
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

/* Like its owners: steps when something arrives or is due, and only then. */
static void step_until_connected(struct rig *rig)
{
    while (sender_link(rig->sender) != SENDER_CONNECTED) {
        zmq_pollitem_t items[SENDER_POLL_ITEMS];
        int64_t due_us = sender_due_us(rig->sender), left_us = due_us - clock_mono_us();
        bool timed = due_us != INT64_MAX;
        sender_poll_items(rig->sender, items);
        int n = zmq_poll(items, SENDER_POLL_ITEMS, !timed ? PATIENCE_MS : left_us > 0 ? left_us / CLOCK_MS + 1 : 0);
        cr_assert(n > 0 || timed, "it waits for nothing, and is not connected");
        step(rig);
    }
}

/* The daemon speaks CURVE and the sender does not, or the reverse, until the daemon is configured as the sender is.
 * Nothing is held: that it connects is seen by those who watch it. */
static void correct_the_daemon(bool curve)
{
    struct rig rig = {.context = zmq_ctx_new()};
    struct curve own;
    char public_key[CONF_KEY_LEN + 1], secret_key[CONF_KEY_LEN + 1], address[sizeof(rig.address)];
    zmq_curve_keypair(own.public_key, own.secret_key);
    zmq_curve_keypair(public_key, secret_key);
    listen_with(&rig, "tcp://127.0.0.1:*", curve ? NULL : secret_key);
    snprintf(address, sizeof(address), "%s", rig.address);
    struct sender_endpoint endpoint = {.to = address, .server_key = curve ? public_key : NULL};
    struct sender_options options = {.endpoints = &endpoint, .n_endpoints = 1, .curve = &own};
    struct err err;
    rig.sender = sender_new(&options, &err);
    cr_assert_not_null(rig.sender);
    wait_for_event(&rig, ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL); /* after which libzmq makes no other attempt */
    zmq_close(rig.router);
    listen_with(&rig, address, curve ? secret_key : NULL);
    step_until_connected(&rig);
    sender_free(&rig.sender);
    zmq_close(rig.router);
    zmq_ctx_term(rig.context);
}

Test(sender, connects_once_the_daemon_speaks_curve_as_it_does)
{
    correct_the_daemon(true);
}

Test(sender, connects_once_the_daemon_requires_no_curve_as_it_does)
{
    correct_the_daemon(false);
}
