/* Which peers are cut off when memory runs short, and which endpoints are bound again: with simulated connections and
 * memory. With real ones: integration/test_flood.py. */
#include <malloc.h>

#include "ingest/connections.h"
#include "ingest/memory_watch.h"
#include "played_time.h"

#define MIB ((uint64_t)1 << 20)

enum { ENDPOINTS = 3, LOADS = 4 };

struct connections {
    struct connection_load loads[LOADS]; /* cookie 0: it is gone */
    size_t n, count;
    unsigned suspected, rebased;
};

struct endpoint {
    struct conf_endpoint conf;
    struct connections connections;
    bool open, fails; /* to be bound again */
    unsigned rebound;
    uint64_t frees; /* bytes, by that */
};

struct endpoint_set {
    struct endpoint endpoints[ENDPOINTS];
    size_t n;
};

static struct endpoint_set set;
static struct memory_watch *watch;
static struct loop *loop;
static uint64_t resident, trims;
static unsigned freed, freed_by_rebinding;

/* ---- what it sees and does ---- */

size_t endpoint_set_count(const struct endpoint_set *s)
{
    return s->n;
}

struct endpoint *endpoint_set_at(const struct endpoint_set *s, size_t i)
{
    cr_assert_lt(i, s->n);
    return &set.endpoints[i];
}

const struct conf_endpoint *endpoint_conf(const struct endpoint *endpoint)
{
    return &endpoint->conf;
}

struct connections *endpoint_connections(const struct endpoint *endpoint)
{
    bool zmq = endpoint->open && endpoint->conf.socket != CONF_TCP;
    return zmq ? &((struct endpoint *)endpoint)->connections : NULL;
}

bool endpoint_is_open(const struct endpoint *endpoint)
{
    return endpoint->open;
}

int endpoint_rebind(struct endpoint *endpoint, struct err *err)
{
    cr_assert(endpoint->conf.socket != CONF_TCP || !endpoint->open);
    endpoint->rebound++;
    endpoint->connections = (struct connections){0};
    endpoint->open = !endpoint->fails;
    resident -= endpoint->frees;
    endpoint->frees = 0;
    return endpoint->fails ? err_set(err, "endpoint %s: cannot bind", endpoint->conf.name) : 0;
}

size_t connections_count(const struct connections *connections)
{
    return connections->count;
}

void connections_rebase(struct connections *connections)
{
    connections->rebased++;
}

void connections_suspect(struct connections *connections)
{
    connections->suspected++;
}

size_t connections_loads(struct connections *connections, void *owner, struct connection_load *ret)
{
    for (size_t i = 0; i < connections->n; i++) {
        ret[i] = connections->loads[i];
        ret[i].owner = owner;
    }
    return connections->n;
}

/* What it held is free at once. */
bool connections_cut(struct connections *connections, const struct connection_load *load,
                     char ret_address[PEER_ADDRESS_SIZE])
{
    size_t i = 0;
    while (connections->loads[i].fd != load->fd)
        i++;
    bool connected = connections->loads[i].cookie != 0;
    if (connected)
        resident -= load->counted ? load->held_bytes : 0;
    snprintf(ret_address, PEER_ADDRESS_SIZE, "peer %d", load->fd);
    connections->loads[i] = connections->loads[--connections->n];
    return connected;
}

/* Of /proc/self/statm. */
ssize_t pread(int fd, void *out, size_t len, off_t offset)
{
    (void)fd, (void)offset;
    return snprintf(out, len, "1 %llu", (unsigned long long)resident / (unsigned long long)sysconf(_SC_PAGESIZE));
}

int malloc_trim(size_t keep)
{
    (void)keep;
    resident -= trims;
    trims = 0;
    return 1;
}

static void on_freed(void *ctx, struct endpoint *endpoint, bool rebound)
{
    (void)ctx, (void)endpoint;
    freed++;
    freed_by_rebinding += rebound;
}

/* Two routers and raw TCP; 100 MiB in use, and 100 more for peers. */
static void setup(void)
{
    static char names[ENDPOINTS][8] = {"one", "two", "raw"};
    cr_redirect_stderr();
    loop = open_played_loop();
    log_open(LOG_LEVEL_INFO);
    set.n = ENDPOINTS;
    for (size_t i = 0; i < ENDPOINTS; i++)
        set.endpoints[i] = (struct endpoint){.conf = {.name = names[i]}, .open = true};
    set.endpoints[2].conf.socket = CONF_TCP;
    resident = 100 * MIB;
    watch = memory_watch_new(loop, &set, 100 * MIB, on_freed, NULL);
}

static void teardown(void)
{
    memory_watch_free(&watch);
    memory_watch_free(&watch);
    loop_free(&loop);
}

TestSuite(memory_watch, .init = setup, .fini = teardown, .timeout = 60);

/* A connection of the endpoint, whose descriptor is its number. */
static void load(size_t endpoint, int fd, bool counted, uint64_t bytes)
{
    struct connections *connections = &set.endpoints[endpoint].connections;
    connections->count++;
    connections->loads[connections->n++] =
        (struct connection_load){.cookie = 1, .fd = fd, .counted = counted, .held_bytes = bytes};
}

static void check(void)
{
    pass(loop, 50 * CLOCK_MS);
}

static unsigned rebound(void)
{
    return set.endpoints[0].rebound + set.endpoints[1].rebound;
}

Test(memory_watch, the_connections_that_account_for_the_excess_are_cut_and_no_others)
{
    load(0, 3, true, 30 * MIB);
    load(0, 4, true, 1 * MIB);
    load(1, 5, true, 70 * MIB);
    resident = 201 * MIB;
    check();
    cr_expect_eq(freed, 1);
    cr_expect_eq(set.endpoints[1].connections.n, 0, "the one that holds most");
    cr_expect_not_null(strstr(take_log(), "201 MiB resident, over the limit of 200 MiB: endpoint two: cut the "
                                          "connection from peer 5, which holds 70 MiB"));
    load(1, 6, true, 20 * MIB);
    resident = 235 * MIB;
    check();
    cr_expect_eq(freed, 3, "the two that together are enough");
    cr_expect_eq(set.endpoints[0].connections.n, 1);
    cr_expect_eq(set.endpoints[0].connections.loads[0].fd, 4);
    cr_expect_eq(set.endpoints[1].connections.n, 0);
    pass(loop, CLOCK_MINUTE);
    cr_expect_eq(freed, 3);
    cr_expect_not_null(strstr(take_log(), "185 MiB resident, below the limit"));
    cr_expect_eq(rebound(), 0);
}

Test(memory_watch, a_connection_that_has_gone_is_not_taken_for_one_that_was_cut)
{
    load(0, 3, true, 90 * MIB);
    load(0, 4, true, 20 * MIB);
    set.endpoints[0].connections.loads[0].cookie = 0;
    resident = 210 * MIB;
    check();
    cr_expect_eq(freed, 1, "the next one is");
    cr_expect_eq(resident, 190 * MIB);
}

Test(memory_watch, what_the_allocator_gives_back_costs_no_peer)
{
    load(0, 3, true, 90 * MIB);
    resident = 210 * MIB;
    trims = 20 * MIB;
    pass(loop, CLOCK_SECOND);
    cr_expect_eq(freed, 0);
    cr_expect_str_eq(take_log(), "");
}

Test(memory_watch, the_most_suspect_of_those_that_cannot_be_counted_is_cut_if_the_others_hold_little)
{
    load(0, 3, false, 5000);
    load(0, 4, false, 9000);
    load(1, 5, true, 10 * MIB);
    resident = 210 * MIB;
    check();
    cr_expect_eq(freed, 1);
    cr_expect_eq(set.endpoints[0].connections.n, 1);
    cr_expect_eq(set.endpoints[0].connections.loads[0].fd, 3);
    cr_expect_not_null(strstr(take_log(), "peer 4, which is sending a message that does not end"));
    load(1, 6, true, 60 * MIB);
    resident = 210 * MIB;
    check();
    cr_expect_eq(freed, 2);
    cr_expect_eq(set.endpoints[1].connections.n, 1, "the one that holds most of what is counted");
    cr_expect_eq(set.endpoints[1].connections.loads[0].fd, 5);
}

Test(memory_watch, without_a_connection_to_blame_endpoints_are_bound_again_one_by_one)
{
    load(0, 3, true, 100 * 1024); /* it may be receiving a message */
    set.endpoints[1].frees = 20 * MIB;
    resident = 210 * MIB;
    pass(loop, 200 * CLOCK_MS);
    cr_expect_eq(rebound(), 0, "first it looks for a connection");
    check();
    cr_expect_eq(set.endpoints[0].rebound, 1);
    cr_expect_not_null(strstr(take_log(), "no connection accounts for it: closing endpoint one and binding it again"));
    check();
    cr_expect_eq(set.endpoints[1].rebound, 1);
    pass(loop, CLOCK_MINUTE);
    cr_expect_eq(rebound(), 2, "that was enough");
    cr_expect_eq(freed_by_rebinding, 2);
}

Test(memory_watch, an_endpoint_is_not_bound_again_while_what_was_cut_is_being_freed)
{
    load(0, 3, true, 30 * MIB);
    resident = 240 * MIB;
    check();
    cr_expect_eq(freed, 1);
    pass(loop, 900 * CLOCK_MS);
    cr_expect_eq(rebound(), 0);
    pass(loop, 200 * CLOCK_MS);
    cr_expect_gt(rebound(), 0);
}

Test(memory_watch, memory_that_is_not_the_peers_lets_them_be_until_it_grows)
{
    resident = 210 * MIB;
    pass(loop, CLOCK_SECOND);
    cr_expect_eq(rebound(), 2, "each once, raw TCP never: %u", rebound());
    cr_expect_not_null(strstr(take_log(), "neither connections nor endpoints account for it"));
    pass(loop, CLOCK_MINUTE);
    resident = 270 * MIB;
    pass(loop, CLOCK_MINUTE);
    cr_expect_eq(rebound(), 2);
    resident = 280 * MIB;
    pass(loop, CLOCK_SECOND);
    cr_expect_gt(rebound(), 2);
}

Test(memory_watch, raw_tcp_alone_is_left)
{
    set.endpoints[0].conf.socket = set.endpoints[1].conf.socket = CONF_TCP;
    resident = 210 * MIB;
    pass(loop, CLOCK_SECOND);
    cr_expect_eq(freed, 0);
    cr_expect_not_null(strstr(take_log(), "neither connections nor endpoints account for it"));
}

Test(memory_watch, an_endpoint_that_could_not_be_bound_is_tried_once_a_second)
{
    set.endpoints[0].fails = true;
    resident = 210 * MIB;
    pass(loop, 250 * CLOCK_MS);
    cr_expect_not(set.endpoints[0].open);
    cr_expect_eq(freed_by_rebinding, 1);
    resident = 110 * MIB;
    take_log();
    pass(loop, CLOCK_SECOND);
    unsigned tries = set.endpoints[0].rebound;
    cr_expect_gt(tries, 1);
    pass(loop, 10 * CLOCK_SECOND);
    cr_expect_eq(set.endpoints[0].rebound, tries + 10, "%u after %u", set.endpoints[0].rebound, tries);
    set.endpoints[0].fails = false;
    pass(loop, CLOCK_SECOND);
    cr_expect(set.endpoints[0].open);
    cr_expect_not_null(strstr(take_log(), "endpoint one is open again"));
    pass(loop, CLOCK_MINUTE);
    cr_expect_eq(set.endpoints[0].rebound, tries + 11);
    cr_expect_eq(set.endpoints[1].rebound, 0);
    cr_expect_eq(freed_by_rebinding, 1, "once, however often it was tried");
}

Test(memory_watch, an_endpoint_that_others_left_closed_is_opened_and_was_not_closed_for_want_of_memory)
{
    set.endpoints[2].open = false; /* raw TCP */
    pass(loop, 2 * CLOCK_SECOND);
    cr_expect(set.endpoints[2].open);
    cr_expect_not_null(strstr(take_log(), "endpoint raw is open again"));
    cr_expect_eq(freed_by_rebinding, 0);
}

Test(memory_watch, connections_queues_and_what_the_process_holds_itself_are_allowed_for)
{
    memory_watch_own(watch, 50 * MIB);
    set.endpoints[0].connections.count = 2048; /* 48 MiB */
    resident = 297 * MIB;
    pass(loop, CLOCK_SECOND);
    cr_expect_eq(rebound(), 0);
    set.endpoints[0].conf.socket = CONF_PULL;
    resident = 553 * MIB;
    pass(loop, CLOCK_SECOND);
    cr_expect_eq(rebound(), 0, "whole messages wait while the journal is full");
    set.endpoints[0].conf.socket = CONF_SUB;
    pass(loop, CLOCK_SECOND);
    cr_expect_eq(rebound(), 0);
    resident = 555 * MIB;
    pass(loop, CLOCK_SECOND);
    cr_expect_gt(rebound(), 0);
}

Test(memory_watch, loads_count_from_when_little_was_in_use)
{
    const struct connections *connections = &set.endpoints[0].connections;
    pass(loop, 59 * CLOCK_SECOND);
    cr_expect_eq(connections->rebased, 0);
    pass(loop, CLOCK_MINUTE);
    cr_expect_eq(connections->rebased, 1, "once a minute: %u", connections->rebased);
    resident = 130 * MIB;
    pass(loop, 5 * CLOCK_MINUTE);
    cr_expect_eq(connections->rebased, 1);
    cr_expect_eq(connections->suspected, 0);
    resident = 160 * MIB;
    pass(loop, CLOCK_SECOND);
    cr_expect_eq(connections->suspected, 20, "at each check: %u", connections->suspected);
}
