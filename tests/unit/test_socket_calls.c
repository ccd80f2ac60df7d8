/* Each call by which an endpoint gets its socket and its options fails once: the endpoint is not opened, since without
 * CURVE it would be open to anybody; and nothing remains that would keep it from being opened the next time. Also how
 * long it waits for an address in use. */
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <zmq.h>

#include "ingest/endpoint_set.h"

static struct {
    unsigned at, calls; /* which one fails, from 1; 0: none */
    const char *failed; /* its name */
    const char *in_use; /* this address is; NULL: none */
    unsigned waits;     /* for it */
    bool no_address;    /* bind() fails: no interface has it */
} sim;

static bool fails(const char *name)
{
    if (sim.at == 0 || ++sim.calls != sim.at)
        return false;
    sim.failed = name;
    errno = EINVAL;
    return true;
}

static void *real(const char *name)
{
    void *function = dlsym(RTLD_NEXT, name);
    cr_assert_not_null(function, "%s", name);
    return function;
}

void *zmq_socket(void *context, int type)
{
    void *(*call)(void *, int) = (void *(*)(void *, int))real("zmq_socket");
    return fails("zmq_socket") ? NULL : call(context, type);
}

int zmq_setsockopt(void *socket, int option, const void *value, size_t len)
{
    int (*call)(void *, int, const void *, size_t) = (int (*)(void *, int, const void *, size_t))real("zmq_setsockopt");
    return fails("zmq_setsockopt") ? -1 : call(socket, option, value, len);
}

int zmq_getsockopt(void *socket, int option, void *value, size_t *len)
{
    int (*call)(void *, int, void *, size_t *) = (int (*)(void *, int, void *, size_t *))real("zmq_getsockopt");
    return fails("zmq_getsockopt") ? -1 : call(socket, option, value, len);
}

int zmq_bind(void *socket, const char *address)
{
    int (*call)(void *, const char *) = (int (*)(void *, const char *))real("zmq_bind");
    if (sim.in_use && strcmp(address, sim.in_use) == 0) {
        errno = EADDRINUSE;
        return -1;
    }
    return fails("zmq_bind") ? -1 : call(socket, address);
}

int bind(int fd, const struct sockaddr *address, socklen_t len)
{
    if (sim.no_address && address->sa_family == AF_INET) {
        errno = EADDRNOTAVAIL;
        return -1;
    }
    return (int)syscall(SYS_bind, fd, address, len);
}

int zmq_poll(zmq_pollitem_t *items, int n, long timeout_ms)
{
    int (*call)(zmq_pollitem_t *, int, long) = (int (*)(zmq_pollitem_t *, int, long))real("zmq_poll");
    sim.waits++;
    return sim.in_use ? 0 : call(items, n, timeout_ms);
}

int zmq_connect(void *socket, const char *address)
{
    int (*call)(void *, const char *) = (int (*)(void *, const char *))real("zmq_connect");
    return fails("zmq_connect") ? -1 : call(socket, address);
}

int zmq_socket_monitor(void *socket, const char *address, int events)
{
    int (*call)(void *, const char *, int) = (int (*)(void *, const char *, int))real("zmq_socket_monitor");
    return address && fails("zmq_socket_monitor") ? -1 : call(socket, address, events);
}

static void on_ready(void *ctx, struct endpoint *endpoint)
{
    (void)ctx, (void)endpoint;
}

static bool on_message(void *ctx, struct endpoint *endpoint, const struct endpoint_message *message)
{
    (void)ctx, (void)endpoint, (void)message;
    return true;
}

static void on_refused(void *ctx, const struct security_refused *refused)
{
    (void)ctx, (void)refused;
}

/* Returns how many calls it takes, if all of them succeed. */
static unsigned open_endpoint(struct loop *loop, const struct conf *conf, unsigned at)
{
    static const struct endpoint_calls calls = {.on_ready = on_ready, .on_message = on_message};
    struct err err = {""};
    sim.at = at;
    sim.calls = 0;
    sim.failed = NULL;
    struct endpoint_set *set = endpoint_set_new(loop, &calls, on_refused, NULL, &err);
    if (!set) {
        cr_assert_not_null(strstr(err.text, "ZAP handler"), "%s", err.text);
        return sim.calls;
    }
    int rc = endpoint_set_apply(set, conf, &err);
    unsigned n = sim.calls;
    sim.at = 0;
    if (at == 0 || n < at) {
        cr_assert_eq(rc, 0, "%s", err.text);
        cr_assert(endpoint_is_open(endpoint_set_at(set, 0)));
    } else {
        cr_assert_eq(rc, -1, "call %u, %s, failed and the endpoint is open", at, sim.failed);
        cr_assert_not_null(strstr(err.text, "endpoint door"), "%s", err.text);
        cr_assert_eq(endpoint_set_count(set), 0);
        cr_assert_eq(endpoint_set_apply(set, conf, &err), 0, "the next time: %s", err.text);
    }
    endpoint_set_free(&set);
    return n;
}

static void assert_each_call_counts(struct conf_endpoint *endpoint, unsigned least)
{
    struct err err;
    char name[] = "door";
    struct loop *loop = loop_new(&err);
    struct conf conf = {.endpoints = endpoint, .n_endpoints = 1};
    endpoint->name = name;
    endpoint->format = ALERT_CLOUDEVENTS;
    unsigned n = open_endpoint(loop, &conf, 10000);
    cr_assert_geq(n, least, "%u calls", n);
    for (unsigned at = 1; at <= n; at++) {
        open_endpoint(loop, &conf, at);
        cr_assert_not_null(sim.failed, "call %u was made", at);
    }
    loop_free(&loop);
}

TestSuite(socket_calls, .timeout = 120);

static char server_public[41], server_secret[41];

/* A path that nobody else has. */
static char *ipc_address(void)
{
    static char address[128];
    snprintf(address, sizeof(address), "ipc:///tmp/mobeye-socket-calls-%d", (int)getpid());
    return address;
}

Test(socket_calls, a_server_with_curve_opens_whole_or_not_at_all)
{
    zmq_curve_keypair(server_public, server_secret);
    assert_each_call_counts(
        &(struct conf_endpoint){.address = ipc_address(), .bind = true, .curve = true, .secret = server_secret}, 20);
}

Test(socket_calls, a_client_with_curve_opens_whole_or_not_at_all)
{
    char topic[] = "alerts", other[] = "more", address[] = "tcp://127.0.0.1:9";
    char *topics[] = {topic, other};
    zmq_curve_keypair(server_public, server_secret);
    assert_each_call_counts(&(struct conf_endpoint){.address = address,
                                                    .socket = CONF_SUB,
                                                    .curve = true,
                                                    .secret = server_secret,
                                                    .server_key = server_public,
                                                    .topics = topics,
                                                    .n_topics = 2},
                            20);
}

Test(socket_calls, so_do_those_without_curve)
{
    char connected[] = "tcp://127.0.0.1:9";
    struct network everything = {.bits = 0};
    assert_each_call_counts(&(struct conf_endpoint){.address = connected, .socket = CONF_SUB}, 15);
    assert_each_call_counts(&(struct conf_endpoint){.address = connected, .socket = CONF_PULL}, 15);
    assert_each_call_counts(
        &(struct conf_endpoint){
            .address = ipc_address(), .bind = true, .socket = CONF_PULL, .allow_from = &everything, .n_allow_from = 1},
        15);
}

Test(socket_calls, an_address_in_use_is_waited_for_only_by_the_socket_that_has_just_left_it)
{
    static const struct endpoint_calls calls = {.on_ready = on_ready, .on_message = on_message};
    char name[] = "door";
    struct conf_endpoint door = {.name = name, .address = ipc_address(), .bind = true, .format = ALERT_CLOUDEVENTS};
    struct conf conf = {.endpoints = &door, .n_endpoints = 1};
    struct err err;
    struct loop *loop = loop_new(&err);
    struct endpoint_set *set = endpoint_set_new(loop, &calls, on_refused, NULL, &err);
    cr_assert_eq(endpoint_set_apply(set, &conf, &err), 0, "%s", err.text);
    struct endpoint *endpoint = endpoint_set_at(set, 0);
    sim.in_use = door.address;
    cr_expect_eq(endpoint_rebind(endpoint, &err), -1);
    cr_expect_gt(sim.waits, 0);
    sim.waits = 0;
    cr_expect_eq(endpoint_rebind(endpoint, &err), -1);
    cr_expect_eq(sim.waits, 0, "it was closed already: nothing is about to leave the address");
    endpoint_set_free(&set);
    loop_free(&loop);
}

/* The address disappears while another endpoint takes it over: neither can be bound. */
static void lose_the_address(struct conf_endpoint door)
{
    static const struct endpoint_calls calls = {.on_ready = on_ready, .on_message = on_message};
    char name[] = "door", other_name[] = "gate";
    struct conf_endpoint gate = door;
    struct conf conf = {.endpoints = &door, .n_endpoints = 1}, other = {.endpoints = &gate, .n_endpoints = 1};
    struct err err;
    door.name = name;
    gate.name = other_name;
    struct loop *loop = loop_new(&err);
    struct endpoint_set *set = endpoint_set_new(loop, &calls, on_refused, NULL, &err);
    cr_assert_eq(endpoint_set_apply(set, &conf, &err), 0, "%s", err.text);
    cr_expect_eq(endpoint_set_check_open(set, &err), 0);
    sim.no_address = true;
    cr_expect_eq(endpoint_set_apply(set, &other, &err), -1);
    cr_assert_eq(endpoint_set_count(set), 1, "the endpoint stays");
    struct endpoint *endpoint = endpoint_set_at(set, 0);
    cr_expect_str_eq(endpoint_conf(endpoint)->name, "door");
    cr_expect_not(endpoint_is_open(endpoint));
    cr_expect_not(endpoint_is_ready(endpoint));
    cr_expect_not(endpoint_drain(endpoint, 1));
    cr_expect_eq(endpoint_set_check_open(set, &err), -1);
    cr_expect_str_eq(err.text, "endpoint door is not open");
    cr_expect_eq(endpoint_rebind(endpoint, &err), -1);
    cr_expect_eq(endpoint_set_apply(set, &conf, &err), 0, "the same configuration again: %s", err.text);
    sim.no_address = false;
    while (endpoint_rebind(endpoint, &err) != 0) /* libzmq leaves the address a moment after it has closed the socket */
        cr_assert_not_null(strstr(err.text, "in use"), "%s", err.text);
    cr_expect(endpoint_is_open(endpoint));
    cr_expect_eq(endpoint_set_check_open(set, &err), 0);
    endpoint_set_free(&set);
    loop_free(&loop);
}

Test(socket_calls, an_endpoint_whose_address_went_away_during_a_reload_can_be_bound_later)
{
    char address[] = "tcp://127.0.9.1:27431";
    lose_the_address((struct conf_endpoint){.address = address, .bind = true, .format = ALERT_CLOUDEVENTS});
}

Test(socket_calls, so_can_one_of_raw_tcp)
{
    char address[] = "tcp://127.0.9.1:27432";
    lose_the_address((struct conf_endpoint){
        .address = address, .bind = true, .socket = CONF_TCP, .format = ALERT_SIA_DC09, .connections = 4});
}
