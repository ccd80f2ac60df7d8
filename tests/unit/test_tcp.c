/* Raw TCP with real sockets: addresses, replies to connections that are gone or do not read, every way in which a
 * connection ends. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "base/clock.h"
#include "ingest/tcp.h"

#define FRAME "\nDBA30013\"NULL\"0001L0#1234[]\r"

static struct loop *loop;
static int frames, cuts;
static uint64_t last;
static bool wanted;

static void on_ready(void *ctx)
{
    (void)ctx;
}

static bool on_frame(void *ctx, uint64_t connection, const char *address, enum dc09_result result,
                     const struct dc09_frame *frame)
{
    (void)ctx;
    cr_assert(strncmp(address, "127.0.0.1:", 10) == 0, "%s", address);
    (void)frame;
    frames += result == DC09_COMPLETE;
    last = connection;
    return wanted;
}

static void on_cut(void *ctx)
{
    (void)ctx;
    cuts++;
}

static const struct tcp_calls calls = {.on_ready = on_ready, .on_frame = on_frame, .on_cut = on_cut};

static void setup(void)
{
    struct err err;
    loop = loop_new(&err);
    frames = cuts = 0;
    wanted = true;
}

static void teardown(void)
{
    loop_free(&loop);
}

TestSuite(tcp, .init = setup, .fini = teardown, .timeout = 60);

/* An endpoint at a loopback port chosen by the kernel, and its address. */
static struct tcp *open_at_loopback(struct conf_endpoint *conf, struct sockaddr_in *ret)
{
    static char address[64];
    socklen_t len = sizeof(*ret);
    *ret = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int probe = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(probe, (struct sockaddr *)ret, len), 0);
    cr_assert_eq(getsockname(probe, (struct sockaddr *)ret, &len), 0);
    close(probe);
    snprintf(address, sizeof(address), "tcp://127.0.0.1:%u", ntohs(ret->sin_port));
    *conf =
        (struct conf_endpoint){.name = (char *)"portal", .address = address, .connections = 4, .idle_us = CLOCK_DAY};
    struct err err;
    struct tcp *tcp = tcp_new(loop, conf, 0, &calls, NULL, &err);
    cr_assert_not_null(tcp, "%s", err.text);
    return tcp;
}

static int dial(const struct sockaddr_in *to)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(connect(fd, (const struct sockaddr *)to, sizeof(*to)), 0);
    return fd;
}

static void say(int fd, const char *text)
{
    cr_assert_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Runs until this many frames have been taken. */
static void run_until(struct tcp *tcp, int count)
{
    while (frames < count) {
        if (!tcp_is_ready(tcp))
            loop_turn(loop);
        tcp_drain(tcp, 100);
        tcp_replied(tcp);
    }
}

/* Runs until the loop has done everything for this connection, which is closed in the end. */
static void run_until_closed(struct tcp *tcp, uint64_t connection)
{
    while (tcp_reply(tcp, connection, STR(""))) {
        if (!tcp_is_ready(tcp))
            loop_turn(loop);
        tcp_drain(tcp, 100);
        tcp_replied(tcp);
    }
}

/* By RST. */
static void reset(int fd)
{
    struct linger linger = {.l_onoff = 1};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close(fd);
}

Test(tcp, an_address_that_cannot_be_bound_is_an_error_that_names_it)
{
    static const struct {
        const char *address, *why;
    } bad[] = {
        {"ipc:///run/x", "not an address"},         {"tcp://127.0.0.1", "not an address"},
        {"tcp://nowhere.invalid:1", "not an addr"}, {"tcp://127.0.0.1:http", "not an address"},
        {"tcp://192.0.2.1:1", "Cannot assign"},     {"tcp://[2001:db8::1]:1", ""},
    };
    char endless[400] = "tcp://";
    memset(endless + 6, '1', sizeof(endless) - 7);
    for (size_t i = 0; i <= sizeof(bad) / sizeof(bad[0]); i++) {
        const char *address = i < sizeof(bad) / sizeof(bad[0]) ? bad[i].address : endless;
        struct conf_endpoint conf = {.name = (char *)"portal", .address = (char *)address, .connections = 4};
        struct err err = {""};
        cr_expect_null(tcp_new(loop, &conf, 0, &calls, NULL, &err), "%s", address);
        cr_expect_not_null(strstr(err.text, "endpoint portal: cannot bind"), "%s: %s", address, err.text);
        cr_expect_not_null(strstr(err.text, i < sizeof(bad) / sizeof(bad[0]) ? bad[i].why : "not an address"), "%s: %s",
                           address, err.text);
    }
}

Test(tcp, every_form_of_an_address_can_be_bound)
{
    static const char *const good[] = {"tcp://127.0.0.1:*", "tcp://*:*", "tcp://[::1]:*", "tcp://0.0.0.0:0"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct conf_endpoint conf = {.name = (char *)"portal", .address = (char *)good[i], .connections = 4};
        struct err err = {""};
        struct tcp *tcp = tcp_new(loop, &conf, 0, &calls, NULL, &err);
        bool no_ipv6 = strstr(good[i], "::1") && !tcp;
        cr_expect(no_ipv6 || tcp, "%s: %s", good[i], err.text);
        tcp_free(&tcp);
        cr_expect_null(tcp);
        tcp_free(&tcp);
    }
}

Test(tcp, a_reply_to_a_connection_that_is_gone_goes_nowhere_and_to_nobody_else)
{
    struct conf_endpoint conf;
    struct sockaddr_in at;
    struct tcp *tcp = open_at_loopback(&conf, &at);
    int first = dial(&at);
    say(first, FRAME);
    run_until(tcp, 1);
    uint64_t gone = last;
    cr_expect(tcp_reply(tcp, gone, STR("x")));
    close(first);
    run_until_closed(tcp, gone);
    int second = dial(&at); /* it has the place of the first */
    say(second, FRAME);
    run_until(tcp, 2);
    cr_expect_neq(last, gone);
    cr_expect_not(tcp_reply(tcp, gone, STR("not for you")));
    cr_expect(tcp_reply(tcp, last, STR("yours")));
    char got[32] = "";
    while (recv(second, got, sizeof(got) - 1, MSG_DONTWAIT) < 0 && errno == EAGAIN)
        loop_turn(loop);
    cr_expect_str_eq(got, "yours");
    close(second);
    tcp_free(&tcp);
}

Test(tcp, what_was_sent_before_a_reset_is_taken_and_cannot_be_answered)
{
    struct conf_endpoint conf;
    struct sockaddr_in at;
    struct tcp *tcp = open_at_loopback(&conf, &at);
    for (int i = 0; i < 20; i++) {
        int fd = dial(&at), before = frames;
        say(fd, FRAME);
        run_until(tcp, before + 1);
        uint64_t connection = last;
        say(fd, FRAME);
        reset(fd);
        run_until_closed(tcp, connection);
        cr_expect_not(tcp_reply(tcp, connection, STR("too late")));
    }
    cr_expect_eq(cuts, 0);
    tcp_free(&tcp);
}

Test(tcp, an_owner_that_wants_no_more_ends_the_drain_and_what_came_stays)
{
    struct conf_endpoint conf;
    struct sockaddr_in at;
    struct tcp *tcp = open_at_loopback(&conf, &at);
    int one = dial(&at), two = dial(&at);
    say(one, FRAME FRAME FRAME);
    say(two, FRAME FRAME);
    wanted = false;
    run_until(tcp, 1);
    cr_expect_eq(frames, 1);
    while (!tcp_is_ready(tcp))
        loop_turn(loop);
    wanted = true;
    run_until(tcp, 5);
    cr_expect_eq(frames, 5);
    close(one);
    close(two);
    tcp_free(&tcp);
}

Test(tcp, who_only_connects_replaces_nobody_who_has_sent_a_frame)
{
    struct conf_endpoint conf;
    struct sockaddr_in at;
    struct tcp *tcp = open_at_loopback(&conf, &at);
    int panel = dial(&at), others[12];
    say(panel, FRAME);
    run_until(tcp, 1);
    for (int i = 0; i < 12; i++)
        others[i] = dial(&at);
    while (cuts < 9)
        loop_turn(loop);
    say(panel, FRAME);
    run_until(tcp, 2);
    close(panel);
    for (int i = 0; i < 12; i++)
        close(others[i]);
    tcp_free(&tcp);
}

Test(tcp, connections_with_bytes_that_nobody_scans_can_be_closed)
{
    struct conf_endpoint conf, fewer, strangers;
    struct network elsewhere = {.address = {[10] = 0xFF, 0xFF, 10, 20}, .bits = 112};
    struct sockaddr_in at;
    struct tcp *tcp = open_at_loopback(&conf, &at);
    int fds[4];
    for (int i = 0; i < 4; i++) {
        fds[i] = dial(&at);
        say(fds[i], FRAME);
    }
    run_until(tcp, 4);
    for (int i = 0; i < 4; i++)
        say(fds[i], FRAME);
    while (!tcp_is_ready(tcp))
        loop_turn(loop);
    fewer = conf;
    fewer.connections = 2;
    tcp_reconfigure(tcp, &fewer);
    cr_expect_eq(cuts, 2, "those whose last frame is the oldest");
    strangers = fewer;
    strangers.allow_from = &elsewhere;
    strangers.n_allow_from = 1;
    tcp_reconfigure(tcp, &strangers);
    cr_expect_eq(cuts, 4);
    cr_expect_not(tcp_drain(tcp, 100));
    cr_expect_eq(frames, 4);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    tcp_free(&tcp);
}

Test(tcp, replies_that_are_not_read_end_the_connection)
{
    struct conf_endpoint conf;
    struct sockaddr_in at;
    struct tcp *tcp = open_at_loopback(&conf, &at);
    char much[8000];
    memset(much, 'x', sizeof(much));
    int fd = dial(&at);
    say(fd, FRAME);
    run_until(tcp, 1);
    for (int i = 0; i < 2; i++)
        cr_expect(tcp_reply(tcp, last, (struct str){much, sizeof(much)}), "16 KiB are kept for it");
    cr_expect_eq(cuts, 0);
    cr_expect_not(tcp_reply(tcp, last, (struct str){much, sizeof(much)}));
    cr_expect_eq(cuts, 1);
    cr_expect_not(tcp_reply(tcp, last, STR("x")));
    close(fd);
    tcp_free(&tcp);
}

/* libevent's listener accepts as long as peers wait. */
Test(tcp, peers_that_keep_connecting_leave_others_their_turn)
{
    enum { DIALS = 200 };
    struct conf_endpoint conf;
    struct sockaddr_in at;
    struct tcp *tcp = open_at_loopback(&conf, &at);
    int fds[DIALS];
    for (int i = 0; i < DIALS; i++)
        fds[i] = dial(&at);
    loop_turn(loop);
    cr_assert(cuts > 0 && cuts <= 64, "%d in one turn", cuts);
    while (cuts < DIALS - (int)conf.connections)
        loop_turn(loop);
    for (int i = 0; i < DIALS; i++)
        close(fds[i]);
    tcp_free(&tcp);
}
