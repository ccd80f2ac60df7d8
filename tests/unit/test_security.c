/* Which peers are admitted over CURVE, with real peers; above all, if there is no handler. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "ingest/allow.h"
#include "ingest/endpoint_set.h"
#include "ingest/security.h"

static struct loop *loop;
static void *context, *outside;
static int received;
static int refused[SECURITY_REFUSALS];
static char server_public[41], server_secret[41], client_public[41], client_secret[41],
    name[] = "door", client_name[] = "gateway", address[256], any[] = "*", narrow[] = "NL-0307-*";
static char *devices[] = {narrow, NULL}, *sources[] = {any};
static struct conf_client client = {
    .name = client_name, .key = client_public, .devices = devices, .n_devices = 1, .sources = sources, .n_sources = 1};
static struct conf_endpoint conf_endpoint;
static struct conf conf = {.endpoints = &conf_endpoint, .n_endpoints = 1, .clients = &client, .n_clients = 1};
static char user[128], from[64];

static void on_ready(void *ctx, struct endpoint *endpoint)
{
    (void)ctx;
    (void)endpoint;
}

static bool on_message(void *ctx, struct endpoint *endpoint, const struct endpoint_message *message)
{
    (void)ctx;
    (void)endpoint;
    received++;
    snprintf(user, sizeof(user), "%s", message->user ? message->user : "");
    snprintf(from, sizeof(from), "%s", message->address ? message->address : "");
    return true;
}

static void on_refused(void *ctx, const struct security_refused *what)
{
    (void)ctx;
    cr_assert_str_eq(what->endpoint, "door");
    cr_assert_not_null(strstr(what->address, "127.0.0.1"));
    refused[what->reason]++;
}

static const struct endpoint_calls calls = {.on_ready = on_ready, .on_message = on_message};

static void setup(void)
{
    struct err err;
    loop = loop_new(&err);
    context = zmq_ctx_new();
    outside = zmq_ctx_new();
    zmq_curve_keypair(server_public, server_secret);
    zmq_curve_keypair(client_public, client_secret);
    void *probe = zmq_socket(outside, ZMQ_ROUTER);
    size_t size = sizeof(address);
    cr_assert_eq(zmq_bind(probe, "tcp://127.0.0.1:*"), 0);
    zmq_getsockopt(probe, ZMQ_LAST_ENDPOINT, address, &size);
    zmq_unbind(probe, address);
    zmq_close(probe);
    conf_endpoint = (struct conf_endpoint){.name = name,
                                           .address = address,
                                           .bind = true,
                                           .curve = true,
                                           .secret = server_secret,
                                           .format = ALERT_CLOUDEVENTS};
}

static void teardown(void)
{
    zmq_ctx_term(outside);
    zmq_ctx_term(context);
    loop_free(&loop);
}

TestSuite(security, .init = setup, .fini = teardown, .timeout = 120);

/* A DEALER with the client's keys, or without CURVE, and the events of its connection. */
struct peer {
    void *socket, *monitor;
};

static struct peer peer_open(bool curve)
{
    static int monitors;
    struct peer peer = {.socket = zmq_socket(outside, ZMQ_DEALER)};
    int zero = 0;
    char at[32];
    zmq_setsockopt(peer.socket, ZMQ_LINGER, &zero, sizeof(zero));
    if (curve) {
        zmq_setsockopt(peer.socket, ZMQ_CURVE_SERVERKEY, server_public, 40);
        zmq_setsockopt(peer.socket, ZMQ_CURVE_PUBLICKEY, client_public, 40);
        zmq_setsockopt(peer.socket, ZMQ_CURVE_SECRETKEY, client_secret, 40);
    }
    snprintf(at, sizeof(at), "inproc://monitor-%d", monitors++);
    cr_assert_eq(zmq_socket_monitor(peer.socket, at,
                                    ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                                        ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |
                                        ZMQ_EVENT_DISCONNECTED),
                 0);
    peer.monitor = zmq_socket(outside, ZMQ_PAIR);
    zmq_connect(peer.monitor, at);
    cr_assert_eq(zmq_connect(peer.socket, address), 0);
    zmq_send(peer.socket, "hello", 5, 0);
    return peer;
}

static void peer_close(struct peer *peer)
{
    zmq_close(peer->socket);
    zmq_close(peer->monitor);
}

/* The next event of the peer's connection; 0: none for now. */
static int next_event(const struct peer *peer)
{
    zmq_msg_t msg;
    uint16_t event = 0;
    zmq_msg_init(&msg);
    if (zmq_msg_recv(&msg, peer->monitor, ZMQ_DONTWAIT) >= 0) {
        memcpy(&event, zmq_msg_data(&msg), sizeof(event));
        while (zmq_msg_more(&msg))
            zmq_msg_recv(&msg, peer->monitor, 0);
    }
    zmq_msg_close(&msg);
    return event;
}

/* One turn of the daemon's loop, which a timer keeps from waiting indefinitely. */
static void wake(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
}

static void turn(struct endpoint *endpoint)
{
    struct timeval soon = {.tv_usec = 5000};
    event_base_once(loop_base(loop), -1, EV_TIMEOUT, wake, NULL, &soon);
    loop_turn(loop);
    if (endpoint_is_ready(endpoint))
        endpoint_drain(endpoint, 100);
}

/* Turns the loop until the peer's connection has failed or its message has arrived. */
static bool gets_in(struct endpoint *endpoint, const struct peer *peer)
{
    int before = received, event = 0;
    do {
        turn(endpoint);
        event = next_event(peer);
    } while (received == before && (event == 0 || event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED));
    return received > before;
}

/* The handler is dead: it was never bound, or it is gone. */
Test(security, nobody_gets_in_without_the_handler)
{
    struct err err;
    struct endpoint *endpoint = endpoint_new(loop, context, &conf_endpoint, &calls, NULL, &err);
    cr_assert_not_null(endpoint, "%s", err.text);
    struct peer peer = peer_open(true);
    cr_expect_not(gets_in(endpoint, &peer));
    peer_close(&peer);

    struct security *security = security_new(loop, context, on_refused, NULL, &err);
    security_use(security, &conf);
    peer = peer_open(true);
    cr_expect(gets_in(endpoint, &peer), "with the handler it does");
    peer_close(&peer);

    security_free(&security);
    peer = peer_open(true);
    cr_expect_not(gets_in(endpoint, &peer));
    peer_close(&peer);
    cr_expect_eq(received, 1);
    endpoint_free(&endpoint);
}

Test(security, nobody_gets_in_past_allow_from_without_the_handler)
{
    struct err err;
    struct network everything = {.bits = 0};
    conf_endpoint.curve = false;
    conf_endpoint.allow_from = &everything;
    conf_endpoint.n_allow_from = 1;
    struct endpoint *endpoint = endpoint_new(loop, context, &conf_endpoint, &calls, NULL, &err);
    struct peer peer = peer_open(false);
    cr_expect_not(gets_in(endpoint, &peer));
    peer_close(&peer);
    endpoint_free(&endpoint);
}

Test(security, a_message_tells_the_key_and_the_name_that_its_client_has_on_the_list)
{
    struct err err;
    char expected[128];
    struct endpoint_set *set = endpoint_set_new(loop, &calls, on_refused, NULL, &err);
    cr_assert_eq(endpoint_set_apply(set, &conf, &err), 0, "%s", err.text);
    struct peer peer = peer_open(true);
    cr_assert(gets_in(endpoint_set_at(set, 0), &peer));
    snprintf(expected, sizeof(expected), "%s gateway", client_public);
    cr_expect_str_eq(user, expected);
    cr_expect_not_null(strstr(from, "127.0.0.1"));
    peer_close(&peer);
    endpoint_set_free(&set);
}

Test(security, a_key_that_is_not_listed_is_counted_and_not_let_in)
{
    struct err err;
    struct endpoint_set *set = endpoint_set_new(loop, &calls, on_refused, NULL, &err);
    conf.n_clients = 0;
    cr_assert_eq(endpoint_set_apply(set, &conf, &err), 0, "%s", err.text);
    struct peer peer = peer_open(true);
    while (refused[SECURITY_UNKNOWN] == 0)
        turn(endpoint_set_at(set, 0));
    cr_expect_eq(received, 0);
    peer_close(&peer);
    endpoint_set_free(&set);
}

/* A configuration that was never completed must not fall back to plain text. */
Test(security, an_endpoint_without_its_secret_is_not_opened)
{
    struct err err;
    conf_endpoint.secret = NULL;
    cr_assert_null(endpoint_new(loop, context, &conf_endpoint, &calls, NULL, &err));
    cr_expect_not_null(strstr(err.text, "endpoint door: "), "%s", err.text);
}

/* ---- messages ---- */

static struct security *judge(void *in)
{
    struct err err;
    struct security *security = security_new(loop, in, on_refused, NULL, &err);
    cr_assert_not_null(security, "%s", err.text);
    security_use(security, &conf);
    return security;
}

static void expect_forbidden(struct security *security, const char *as, const char *where, const char *field)
{
    const struct conf_client *who;
    struct reject reject;
    struct endpoint_message message = {.user = as, .address = where};
    cr_expect_not(security_admits(security, &conf_endpoint, &message, &who, &reject));
    cr_expect_eq(reject.code, REJECT_FORBIDDEN);
    cr_expect_str_eq(reject.field, field);
    cr_expect_null(strstr(reject.reason, client_public));
}

Test(security, a_message_of_nobody_or_of_a_stranger_is_forbidden)
{
    struct security *security = judge(context);
    const struct conf_client *who;
    struct reject reject;
    char own[64];
    snprintf(own, sizeof(own), "%s old-name", client_public);
    struct endpoint_message message = {.user = own, .address = "127.0.0.1"};
    cr_expect(security_admits(security, &conf_endpoint, &message, &who, &reject));
    cr_expect_eq(who, &client);
    expect_forbidden(security, NULL, "127.0.0.1", "client");
    expect_forbidden(security, "", "127.0.0.1", "client");
    expect_forbidden(security, "gateway", "127.0.0.1", "client");
    expect_forbidden(security, server_public, "127.0.0.1", "client");
    security_free(&security);
}

Test(security, a_message_from_elsewhere_is_forbidden)
{
    static struct network ten = {.address = {[10] = 0xFF, [11] = 0xFF, 10}, .bits = 104};
    struct security *security = judge(context);
    conf_endpoint.allow_from = &ten;
    conf_endpoint.n_allow_from = 1;
    expect_forbidden(security, client_public, "127.0.0.1", "address");
    expect_forbidden(security, client_public, NULL, "address");
    security_free(&security);
}

Test(security, the_last_day_is_included_in_the_time_zone_of_the_configuration)
{
    struct security *security = judge(context);
    time_t now = time(NULL);
    struct endpoint_message message = {.user = client_public};
    const struct conf_client *who;
    struct reject reject;
    /* Somewhere it is always another day: 26 hours apart. */
    static const char *const zones[] = {"UTC+12", "UTC-14"};
    uint32_t days[2];
    for (int i = 0; i < 2; i++) {
        struct tm tm;
        setenv("TZ", zones[i], 1);
        tzset();
        localtime_r(&now, &tm);
        days[i] = (uint32_t)((tm.tm_year + 1900) * 10000 + (tm.tm_mon + 1) * 100 + tm.tm_mday);
    }
    cr_assert_lt(days[0], days[1]);
    client.until = days[0];
    expect_forbidden(security, client_public, NULL, "client");
    client.until = days[1];
    cr_expect(security_admits(security, &conf_endpoint, &message, &who, &reject));
    security_free(&security);
    security = judge(outside);
    setenv("TZ", zones[0], 1);
    tzset();
    client.until = days[0];
    cr_expect(security_admits(security, &conf_endpoint, &message, &who, &reject));
    security_free(&security);
}

static bool allows(const struct conf_client *who, struct str device, struct str source, struct reject *ret)
{
    return security_allows(who, &(struct alert){.format = ALERT_CLOUDEVENTS, .device = device, .source = source}, ret);
}

Test(security, globs_say_which_devices)
{
    struct reject reject;
    cr_expect(allows(&client, STR("NL-0307-00042"), STR("/gw"), &reject));
    cr_expect(allows(NULL, STR("NL-9999-1"), STR("/gw"), &reject), "a plain endpoint asks nobody");
    cr_expect_not(allows(&client, STR("NL-0308-00042"), STR("/gw"), &reject));
    cr_expect_str_eq(reject.field, "device");
    cr_expect_str_eq(reject.reason, "gateway may not report for this device");
    cr_expect_not(allows(&client, (struct str){"NL-0307-1xNL-9999", 5}, STR("/gw"), &reject), "not beyond its end");
    devices[0] = any;
    cr_expect(allows(&client, STR("dc09:1234/1"), STR("/gw"), &reject));
}

Test(security, globs_say_which_sources)
{
    static char one[] = "/gw-7/*", other[] = "/gw-8";
    static char *two[] = {one, other};
    static char longest[ALERT_SOURCE_MAX];
    struct conf_client own = client;
    struct reject reject;
    own.sources = two;
    own.n_sources = 2;
    cr_expect(allows(&own, STR("NL-0307-1"), STR("/gw-7/panel-3"), &reject));
    cr_expect(allows(&own, STR("NL-0307-1"), STR("/gw-8"), &reject));
    memset(longest, 'x', sizeof(longest));
    memcpy(longest, "/gw-7/", 6);
    cr_expect(allows(&own, STR("NL-0307-1"), (struct str){longest, sizeof(longest)}, &reject));
    cr_expect_not(allows(&own, STR("NL-0307-1"), STR("/gw-8/1"), &reject));
    cr_expect_not(allows(&own, STR("NL-0307-1"), STR("/gw-9"), &reject));
    cr_expect_str_eq(reject.field, "source");
    cr_expect_str_eq(reject.reason, "gateway may not use this source");
    struct alert frame = {.format = ALERT_SIA_DC09, .device = STR("NL-0307-1"), .source = STR("dc09:1234")};
    cr_expect(security_allows(&own, &frame, &reject), "of DC-09 the device says it");
}

Test(security, addresses_are_those_of_ip)
{
    struct network networks[] = {{.address = {[10] = 0xFF, [11] = 0xFF, 10, 20}, .bits = 112},
                                 {.address = {0xFE, 0x80}, .bits = 64}};
    struct conf_endpoint limited = {.allow_from = networks, .n_allow_from = 2};
    cr_expect(allow_text(&limited, "10.20.3.4") && allow_text(&limited, "::ffff:10.20.3.4"));
    cr_expect(allow_text(&limited, "fe80::1%eth0"));
    cr_expect_not(allow_text(&limited, "10.21.3.4") || allow_text(&limited, "fe81::1"));
    cr_expect_not(allow_text(&limited, "") || allow_text(&limited, "localhost") || allow_text(&limited, NULL));
    limited.n_allow_from = 0;
    cr_expect(allow_text(&limited, NULL));
}

static bool admits(struct network *network, const char *peer)
{
    struct sockaddr_in four = {.sin_family = AF_INET};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    struct conf_endpoint limited = {.allow_from = network, .n_allow_from = 1};
    if (inet_pton(AF_INET, peer, &four.sin_addr) == 1)
        return allow_sockaddr(&limited, (struct sockaddr *)&four);
    cr_assert_eq(inet_pton(AF_INET6, peer, &six.sin6_addr), 1);
    return allow_sockaddr(&limited, (struct sockaddr *)&six);
}

Test(security, a_network_ends_at_any_bit)
{
    struct network nineteen = {.address = {[10] = 0xFF, [11] = 0xFF, 10, 20, 0x60}, .bits = 96 + 19};
    cr_expect(admits(&nineteen, "10.20.96.0") && admits(&nineteen, "10.20.127.255"));
    cr_expect_not(admits(&nineteen, "10.20.95.255") || admits(&nineteen, "10.20.128.0") ||
                  admits(&nineteen, "10.21.96.1"));
    struct network one = {.address = {[10] = 0xFF, [11] = 0xFF, 10, 20, 0, 1}, .bits = 128};
    cr_expect(admits(&one, "10.20.0.1") && admits(&one, "::ffff:10.20.0.1"));
    cr_expect_not(admits(&one, "10.20.0.0") || admits(&one, "::1"));
    struct network six = {.address = {0x20, 0x01, 0x0D, 0xB8, 0x80}, .bits = 33};
    cr_expect(admits(&six, "2001:db8:ffff::1"));
    cr_expect_not(admits(&six, "2001:db8:7fff::1") || admits(&six, "10.20.0.1"));
    struct network all = {.bits = 0};
    cr_expect(admits(&all, "10.20.0.1") && admits(&all, "2001:db8::1"));
    struct conf_endpoint limited = {.allow_from = &all, .n_allow_from = 1};
    cr_expect_not(allow_sockaddr(&limited, &(struct sockaddr){.sa_family = AF_UNIX}), "no address of IP");
}

/* libzmq reports the denial of a peer by this side, and of this side by its peer, in the same way. */
Test(security, who_denied_a_peer_is_left_open_where_it_may_have_been_this_endpoint)
{
    struct network network = {.bits = 0};
    struct conf_endpoint limited = {.allow_from = &network, .n_allow_from = 1}, all = {0};
    cr_expect_str_eq(security_given_up(&limited, true), "denied by allow_from of this endpoint, or by its peer");
    limited.curve = true;
    cr_expect_str_eq(security_given_up(&limited, true), "denied by allow_from of this endpoint, or by its peer");
    cr_expect_str_eq(security_given_up(&all, true), "its peer does not admit this daemon");
    cr_expect_not_null(strstr(security_given_up(&limited, false), "ended in an error"));
}
