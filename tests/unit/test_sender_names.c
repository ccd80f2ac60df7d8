/* Which address a sender connects to and how long it waits for it, with simulated look-ups. With a name server that
 * does not answer: integration/test_names.py. */
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/resolve.h"
#include "ctl/lib/sender.h"

#define PATIENCE_MS 60000

/* ---- time, which passes by itself too unless a test stops it ---- */

static int64_t leap_us;
static bool stopped;

int clock_gettime(clockid_t id, struct timespec *ret)
{
    int rc = (int)syscall(SYS_clock_gettime, id, ret);
    if (id != CLOCK_REALTIME && stopped)
        *ret = (struct timespec){.tv_sec = 1000};
    if (id != CLOCK_REALTIME)
        ret->tv_sec += leap_us / CLOCK_SECOND;
    return rc;
}

/* ---- look-ups ---- */

static struct lookup {
    resolve_fn done; /* NULL: it is not running */
    void *ctx;
} lookups[2]; /* of "one" and "two" */
static unsigned asked;

struct resolve *resolve_start(struct loop *loop, const char *host, resolve_fn done, void *ctx)
{
    struct lookup *lookup = &lookups[strcmp(host, "one") != 0];
    cr_assert_not_null(loop);
    cr_assert_null(lookup->done, "one look-up of a name at a time");
    lookup->done = done;
    lookup->ctx = ctx;
    asked++;
    return (struct resolve *)lookup;
}

void resolve_free(struct resolve **resolve)
{
    if (*resolve)
        ((struct lookup *)*resolve)->done = NULL;
    *resolve = NULL;
}

static void answer(int i, const char *first, const char *second)
{
    const char *addresses[] = {first, second};
    cr_assert_not_null(lookups[i].done, "it is not being looked up");
    lookups[i].done(lookups[i].ctx, addresses, second ? 2 : first ? 1 : 0, "no such name");
}

/* ---- the sender and its peers ---- */

static void *context, *router;
static int silent, port; /* a socket that accepts connections in 127.0.0.3, and says nothing */
static char by_number[64], at_one[64], at_two[64];
static struct sender *sender;
static struct sender_endpoint endpoints[2];
static struct sender_options options = {.endpoints = endpoints};

static void setup(void)
{
    size_t size = sizeof(by_number);
    context = zmq_ctx_new();
    router = zmq_socket(context, ZMQ_ROUTER);
    cr_assert_eq(zmq_bind(router, "tcp://127.0.0.1:*"), 0);
    zmq_getsockopt(router, ZMQ_LAST_ENDPOINT, by_number, &size);
    port = atoi(strrchr(by_number, ':') + 1);
    snprintf(at_one, sizeof(at_one), "tcp://one:%d", port);
    snprintf(at_two, sizeof(at_two), "tcp://two:%d", port);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = {htonl(INADDR_LOOPBACK + 2)}};
    silent = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(silent, (struct sockaddr *)&address, sizeof(address)), 0);
    cr_assert_eq(listen(silent, 8), 0);
}

static void teardown(void)
{
    stopped = false;
    sender_free(&sender);
    cr_expect(!lookups[0].done && !lookups[1].done, "a look-up is left running");
    close(silent);
    zmq_close(router);
    zmq_ctx_term(context);
}

TestSuite(sender_names, .init = setup, .fini = teardown, .timeout = 120);

static void open_sender(const char *first, const char *second)
{
    struct err err;
    endpoints[0].to = first;
    endpoints[1].to = second;
    options.n_endpoints = second ? 2 : 1;
    sender = sender_new(&options, &err);
    cr_assert_not_null(sender, "%s", err.text);
}

static void step(void)
{
    struct err err;
    cr_assert_eq(sender_step(sender, &err), 0, "%s", err.text);
}

static void pass(int64_t seconds)
{
    leap_us += seconds * CLOCK_SECOND;
    step();
}

/* As its owners do. */
static void wait_until_connected(void)
{
    while (sender_link(sender) != SENDER_CONNECTED) {
        zmq_pollitem_t items[SENDER_POLL_ITEMS];
        int64_t due_us = sender_due_us(sender), left_us = due_us - clock_mono_us();
        sender_poll_items(sender, items);
        int n = zmq_poll(items, SENDER_POLL_ITEMS,
                         due_us == INT64_MAX ? PATIENCE_MS
                         : left_us > 0       ? left_us / 1000
                                             : 0);
        cr_assert(n > 0 || due_us != INT64_MAX, "it waits for nothing, and is not connected");
        step();
    }
}

Test(sender_names, libzmq_gets_the_number_when_it_is_known)
{
    open_sender(at_one, NULL);
    step();
    cr_expect_lt(sender_due_us(sender), clock_mono_us() + CLOCK_SECOND, "it comes back for the answer");
    answer(0, "127.0.0.1", NULL);
    wait_until_connected();
    cr_expect_eq(sender_sockets(sender), 1);
    cr_expect_str_eq(sender_at(sender), at_one, "messages name what is configured");
    cr_expect_eq(asked, 1);
}

Test(sender_names, a_look_up_that_lasts_opens_no_other_socket)
{
    open_sender(at_one, NULL);
    for (int i = 0; i < 100; i++)
        pass(10);
    cr_expect_eq(sender_sockets(sender), 1);
    cr_expect_eq(asked, 1);
}

Test(sender_names, a_name_that_cannot_be_resolved_is_looked_up_again_after_a_pause)
{
    open_sender(at_one, NULL);
    answer(0, NULL, NULL);
    step();
    step();
    cr_expect_eq(asked, 1, "not at once");
    pass(3);
    cr_expect_eq(asked, 2);
    answer(0, "127.0.0.1", NULL);
    wait_until_connected();
}

Test(sender_names, the_next_address_is_tried_where_one_does_not_answer)
{
    open_sender(at_one, NULL);
    answer(0, "127.0.0.2", "127.0.0.1");
    step();
    pass(3);
    wait_until_connected();
    cr_expect_eq(sender_sockets(sender), 2);
    cr_expect_eq(asked, 1);
}

Test(sender_names, another_endpoint_is_tried_while_a_name_is_looked_up_and_the_look_up_goes_on)
{
    open_sender(at_one, at_two);
    step();
    pass(3);
    cr_expect_str_eq(sender_at(sender), at_two);
    pass(3);
    cr_expect_str_eq(sender_at(sender), at_one);
    cr_expect_eq(asked, 2, "once each");
    pass(5);
    answer(0, "127.0.0.1", NULL);
    pass(5);
    wait_until_connected();
    cr_expect_str_eq(sender_at(sender), at_one);
}

Test(sender_names, an_endpoint_by_number_is_reached_although_the_other_is_never_resolved)
{
    open_sender(at_one, by_number);
    step();
    pass(3);
    wait_until_connected();
    cr_expect_str_eq(sender_at(sender), by_number);
}

Test(sender_names, after_a_connection_the_name_is_looked_up_anew)
{
    open_sender(at_one, NULL);
    answer(0, "127.0.0.1", "127.0.0.2");
    wait_until_connected();
    zmq_close(router);
    router = NULL;
    while (sender_link(sender) == SENDER_CONNECTED) {
        zmq_pollitem_t items[SENDER_POLL_ITEMS];
        sender_poll_items(sender, items);
        cr_assert_geq(zmq_poll(items, SENDER_POLL_ITEMS, PATIENCE_MS), 1);
        step();
    }
    cr_expect_eq(asked, 2);
    router = zmq_socket(context, ZMQ_ROUTER);
}

/* Over a line with a long round trip. */
Test(sender_names, a_peer_that_was_reached_has_time_for_the_handshake)
{
    char slow[ADDRESS_TCP_SIZE], nowhere[ADDRESS_TCP_SIZE];
    address_tcp("127.0.0.3", port, slow);
    address_tcp("127.0.0.2", port, nowhere);
    open_sender(slow, nowhere);
    int peer = accept(silent, NULL, NULL);
    cr_assert_geq(peer, 0);
    zmq_pollitem_t items[SENDER_POLL_ITEMS];
    sender_poll_items(sender, items);
    cr_assert_geq(zmq_poll(items, SENDER_POLL_ITEMS, PATIENCE_MS), 1, "the monitor says so");
    step();
    pass(3);
    cr_expect_eq(sender_sockets(sender), 1, "it waits for the peer that it has reached");
    pass(10);
    cr_expect_eq(sender_sockets(sender), 2);
    close(peer);
}

Test(sender_names, each_round_without_a_connection_waits_longer_up_to_a_bound)
{
    char nowhere[2][ADDRESS_TCP_SIZE];
    address_tcp("127.0.0.2", port, nowhere[0]);
    address_tcp("127.0.0.4", port, nowhere[1]);
    static const int waits[] = {2, 2, 4, 4, 8, 8, 8, 8};
    stopped = true;
    open_sender(nowhere[0], nowhere[1]);
    for (unsigned i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
        cr_expect_eq(sender_sockets(sender), i + 1);
        pass(waits[i] - 1);
        cr_expect_eq(sender_sockets(sender), i + 1, "round %u", i);
        pass(1);
    }
}

Test(sender_names, all_addresses_of_a_name_are_one_round)
{
    stopped = true;
    open_sender(at_one, NULL);
    answer(0, "127.0.0.2", "127.0.0.4");
    step();
    pass(2);
    cr_expect_eq(sender_sockets(sender), 2);
    pass(2);
    cr_expect_eq(sender_sockets(sender), 3, "the second address has no more time than the first");
    answer(0, "127.0.0.2", "127.0.0.4");
    step();
    pass(3);
    cr_expect_eq(sender_sockets(sender), 3);
    pass(1);
    cr_expect_eq(sender_sockets(sender), 4);
}

static void expect_to_give_up(const char *why)
{
    struct err err;
    struct sender_message message = {.payload = {"{}", 2}};
    sender_add(sender, &message);
    step(); /* there is no connection to send it on */
    leap_us += 10 * CLOCK_SECOND;
    cr_assert_eq(sender_step(sender, &err), -1);
    cr_expect_not_null(strstr(err.text, why), "%s", err.text);
}

Test(sender_names, giving_up_says_why_there_is_no_address)
{
    stopped = true;
    options.timeout_us = 10 * CLOCK_SECOND;
    open_sender(at_one, NULL);
    step();
    expect_to_give_up("(the name cannot be resolved: the name servers do not answer)");
    sender_free(&sender);
    open_sender(at_one, NULL);
    answer(0, NULL, NULL);
    expect_to_give_up("(the name cannot be resolved: no such name)");
}

Test(sender_names, giving_up_blames_no_name_for_the_handshake_of_another_endpoint)
{
    char refuses[ADDRESS_TCP_SIZE];
    address_tcp("127.0.0.3", port, refuses);
    options.timeout_us = 10 * CLOCK_SECOND;
    open_sender(refuses, at_one);
    close(accept(silent, NULL, NULL));
    while (sender_link(sender) != SENDER_REFUSED) {
        zmq_pollitem_t items[SENDER_POLL_ITEMS];
        sender_poll_items(sender, items);
        cr_assert_geq(zmq_poll(items, SENDER_POLL_ITEMS, PATIENCE_MS), 1);
        step();
    }
    pass(8);
    cr_expect_str_eq(sender_at(sender), at_one);
    expect_to_give_up("(the name cannot be resolved: the name servers do not answer)");
}

/* The loop was busy for longer than a connection may take. */
Test(sender_names, a_connection_that_was_made_in_time_is_kept)
{
    open_sender(by_number, at_one);
    zmq_pollitem_t items[SENDER_POLL_ITEMS];
    sender_poll_items(sender, items);
    cr_assert_geq(zmq_poll(items, SENDER_POLL_ITEMS, PATIENCE_MS), 1);
    leap_us += 3 * CLOCK_SECOND;
    while (sender_link(sender) != SENDER_CONNECTED && sender_sockets(sender) == 1)
        step();
    cr_expect_eq(sender_sockets(sender), 1);
}
