/* Each call by which a raw TCP endpoint begins to listen fails once: it does not listen with only some of its options,
 * and the error says why. */
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/address.h"
#include "ingest/endpoint.h"
#include "ingest/tcp.h"

static struct {
    unsigned at, calls;
    int error;
    unsigned waits; /* for an address that is in use */
} sim;

int poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
    sim.waits += n == 0;
    return n == 0 ? 0 : (int)syscall(SYS_poll, fds, n, timeout_ms);
}

static bool fails(void)
{
    if (sim.at == 0 || ++sim.calls != sim.at)
        return false;
    errno = sim.error;
    return true;
}

int socket(int domain, int type, int protocol)
{
    return fails() ? -1 : (int)syscall(SYS_socket, domain, type, protocol);
}

int setsockopt(int fd, int level, int option, const void *value, socklen_t len)
{
    return fails() ? -1 : (int)syscall(SYS_setsockopt, fd, level, option, value, len);
}

int bind(int fd, const struct sockaddr *address, socklen_t len)
{
    return fails() ? -1 : (int)syscall(SYS_bind, fd, address, len);
}

int listen(int fd, int backlog)
{
    return fails() ? -1 : (int)syscall(SYS_listen, fd, backlog);
}

/* How many calls it took; it listens only if none of them failed. */
static unsigned listen_once(struct loop *loop, const char *address, unsigned at, int error)
{
    static const struct tcp_calls calls;
    struct conf_endpoint conf = {.name = (char *)"portal", .address = (char *)address, .connections = 4};
    struct err err = {""};
    sim.at = at;
    sim.calls = 0;
    sim.error = error;
    struct tcp *tcp = tcp_new(loop, &conf, 0, &calls, NULL, &err);
    unsigned n = sim.calls;
    sim.at = 0;
    cr_assert_eq(tcp != NULL, n < at, "call %u: %s", at, err.text);
    if (!tcp)
        cr_assert_not_null(strstr(err.text, "endpoint portal: cannot bind"), "%s", err.text);
    tcp_free(&tcp);
    return n;
}

TestSuite(listen_calls, .timeout = 60);

Test(listen_calls, it_listens_with_all_options_or_not_at_all)
{
    struct err err;
    struct loop *loop = loop_new(&err);
    unsigned n = listen_once(loop, "tcp://127.0.0.1:*", 1000, EACCES);
    cr_assert_geq(n, 8, "%u", n);
    for (unsigned at = 1; at <= n; at++)
        listen_once(loop, "tcp://127.0.0.1:*", at, EACCES);
    loop_free(&loop);
}

Test(listen_calls, a_machine_without_ipv6_listens_by_ipv4)
{
    static const struct tcp_calls calls;
    struct err err = {""};
    struct loop *loop = loop_new(&err);
    struct conf_endpoint conf = {.name = (char *)"portal", .address = (char *)"tcp://*:*", .connections = 4};
    sim.at = 1;
    sim.calls = 0;
    sim.error = EAFNOSUPPORT;
    struct tcp *tcp = tcp_new(loop, &conf, 0, &calls, NULL, &err);
    cr_expect_not_null(tcp, "%s", err.text);
    tcp_free(&tcp);
    loop_free(&loop);
}

/* The memory watch tries it each second, within the loop. */
Test(listen_calls, an_address_in_use_is_waited_for_once)
{
    static const struct endpoint_calls calls;
    struct err err = {""};
    struct loop *loop = loop_new(&err);
    int holder = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(listen(holder, 1), 0);
    char taken[40];
    snprintf(taken, sizeof(taken), "tcp://0.0.0.0:%d", address_bound_port(holder));
    struct conf_endpoint conf = {
        .name = (char *)"portal", .address = taken, .bind = true, .socket = CONF_TCP, .connections = 4};
    struct endpoint *endpoint = endpoint_new_closed(loop, NULL, &conf, &calls, NULL);
    cr_expect_eq(endpoint_rebind(endpoint, &err), -1);
    cr_expect_gt(sim.waits, 0, "another endpoint may just have left it");
    sim.waits = 0;
    cr_expect_eq(endpoint_rebind(endpoint, &err), -1);
    cr_expect_eq(sim.waits, 0);
    close(holder);
    cr_expect_eq(endpoint_rebind(endpoint, &err), 0, "%s", err.text);
    endpoint_free(&endpoint);
    loop_free(&loop);
}
