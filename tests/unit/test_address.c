/* Addresses and networks as text: what each form accepts, what is wrong with others, and which binds collide. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "base/address.h"

/* The interfaces of this machine: lo; and six, which has no IPv4 address. */
int getifaddrs(struct ifaddrs **ret)
{
    static struct sockaddr_in four = {.sin_family = AF_INET}, other = {.sin_family = AF_INET};
    static struct sockaddr_in6 local = {.sin6_family = AF_INET6};
    static char lo[] = "lo", six[] = "six";
    static struct ifaddrs all[] = {{.ifa_next = &all[1], .ifa_name = lo},
                                   {.ifa_next = &all[2], .ifa_name = six, .ifa_addr = (struct sockaddr *)&local},
                                   {.ifa_next = &all[3], .ifa_name = lo, .ifa_addr = (struct sockaddr *)&local},
                                   {.ifa_next = &all[4], .ifa_name = lo, .ifa_addr = (struct sockaddr *)&four},
                                   {.ifa_name = lo, .ifa_addr = (struct sockaddr *)&other}};
    local.sin6_addr = in6addr_loopback;
    four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    other.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
    *ret = all;
    return 0;
}

void freeifaddrs(struct ifaddrs *all)
{
    (void)all;
}

typedef int (*parse_fn)(const char *text, struct address *ret, struct err *err);

static void expect_host(parse_fn parse, const char *text, const char *host, int port, bool name)
{
    struct address address;
    struct err err = {""};
    cr_assert_eq(parse(text, &address, &err), 0, "%s: %s", text, err.text);
    cr_expect_eq(address.kind, ADDRESS_TCP);
    cr_expect_str_eq(address.host, host);
    cr_expect_eq(address.port, port, "%s: %d", text, address.port);
    cr_expect_eq(address.name, name, "%s", text);
}

static void expect_error(parse_fn parse, const char *text, const char *why)
{
    struct address address;
    struct err err = {""};
    cr_assert_eq(parse(text, &address, &err), -1, "%s", text);
    cr_expect_not_null(strstr(err.text, why), "%s: %s", text, err.text);
    cr_expect_eq(parse(text, &address, NULL), -1, "%s", text);
}

Test(address, bind_takes_addresses_interfaces_and_free_ports)
{
    expect_host(address_bind, "tcp://10.0.0.1:5555", "10.0.0.1", 5555, false);
    expect_host(address_bind, "tcp://[::1]:65535", "::1", 65535, false);
    expect_host(address_bind, "tcp://[fe80::1%eth0]:5555", "fe80::1%eth0", 5555, false);
    expect_host(address_bind, "tcp://*:*", "*", 0, false);
    expect_host(address_bind, "tcp://eth0:0", "eth0", 0, true);
    expect_error(address_bind, "10.0.0.1:5555", "is not a ZeroMQ address");
    expect_error(address_bind, "tcp://localhost:5555", "has a host name");
    expect_error(address_bind, "tcp://10.0.0.1", "has no port");
    expect_error(address_bind, "tcp://10.0.0.1:65536", "has a port above 65535");
    expect_error(address_bind, "tcp://10.0.0.1:05", "has a port that is not a number");
    expect_error(address_bind, "tcp://10.0.0:5555", "neither an address nor a name");
    expect_error(address_bind, "tcp://::1:5555", "without brackets");
    expect_error(address_bind, "tcp://[10.0.0.1]:5555", "in its brackets");
}

Test(address, paths_are_absolute_and_fit_a_socket)
{
    struct address address;
    char text[200] = "ipc:///run/mobeyed/alerts";
    cr_assert_eq(address_bind(text, &address, NULL), 0);
    cr_expect(address.kind == ADDRESS_IPC && strcmp(address.host, "/run/mobeyed/alerts") == 0);
    cr_assert_eq(address_connect(text, &address, NULL), 0);
    expect_error(address_bind, "ipc://alerts", "has no absolute path");
    memset(text + 7, 'a', 120);
    expect_error(address_bind, text, "has a path longer than");
}

Test(address, connect_and_peer_name_a_peer)
{
    expect_host(address_connect, "tcp://hub.example:5555", "hub.example", 5555, true);
    expect_host(address_connect, "tcp://[::1]:1", "::1", 1, false);
    expect_error(address_connect, "tcp://*:5555", "does not name a peer");
    expect_error(address_connect, "tcp://hub:0", "does not name a peer");
    expect_error(address_connect, "tcp://hub:*", "does not name a peer");
    expect_host(address_connect, "tcp://[fe80::1%eth0.7]:5", "fe80::1%eth0.7", 5, false);
    expect_host(address_connect, "tcp://hub_2:5", "hub_2", 5, true);
    expect_error(address_connect, "tcp://_hub:5", "that ZeroMQ does not connect to");
    expect_error(address_connect, "tcp://[fe80::1%e+0]:5", "that ZeroMQ does not connect to");
    expect_host(address_peer, "_hub:5", "_hub", 5, true);
    expect_host(address_peer, "hub.example:5555", "hub.example", 5555, true);
    expect_host(address_peer, "[::1]:5555", "::1", 5555, false);
    expect_error(address_peer, "tcp://hub:5555", "begins with a scheme");
    expect_error(address_peer, "5555", "is a port without an address");
    expect_error(address_peer, "hub:0", "does not name a peer");
    expect_error(address_peer, ":5555", "has no host");
}

Test(address, listen_takes_addresses_alone)
{
    expect_host(address_listen, "127.0.0.1:0", "127.0.0.1", 0, false);
    expect_host(address_listen, "[::]:9464", "::", 9464, false);
    expect_error(address_listen, "localhost:9464", "has a host that is not an address");
    expect_error(address_listen, "*:9464", "has a host that is not an address");
    expect_error(address_listen, "127.0.0.1:*", "has a port that is not a number");
}

static bool is_within(const char *inner, const char *outer)
{
    struct network a, b;
    cr_assert_eq(address_network(inner, &a, NULL), 0, "%s", inner);
    cr_assert_eq(address_network(outer, &b, NULL), 0, "%s", outer);
    return address_within(&a, &b);
}

Test(address, a_network_holds_what_has_its_prefix)
{
    struct network network;
    struct err err;
    cr_expect(is_within("10.1.2.3", "10.0.0.0/8") && is_within("10.1.2.3", "10.1.2.3"));
    cr_expect(is_within("10.96.0.0/12", "10.96.0.0/11") && !is_within("10.96.0.0/11", "10.96.0.0/12"));
    cr_expect(is_within("10.0.0.1", "0.0.0.0/0") && is_within("10.0.0.1", "::/0") && !is_within("::1", "0.0.0.0/0"));
    cr_expect(is_within("2001:db8:8000::1", "2001:db8:8000::/33") && !is_within("2001:db8::1", "2001:db8:8000::/33"));
    cr_expect_eq(address_network("10.0.0.1/8", &network, &err), -1);
    cr_expect_str_eq(err.text, "has bits set after its prefix");
    cr_expect_eq(address_network("10.0.0.0/33", &network, &err), -1);
    cr_expect_str_eq(err.text, "has a prefix length that is not a number from 0 to 32");
    cr_expect_eq(address_network("hub", &network, &err), -1);
    cr_expect_str_eq(err.text, "is not a network");
}

static bool collide(const char *a, const char *b)
{
    struct address one, other;
    cr_assert_eq(address_bind(a, &one, NULL), 0, "%s", a);
    cr_assert_eq(address_bind(b, &other, NULL), 0, "%s", b);
    cr_expect_eq(address_collides(&one, &other), address_collides(&other, &one), "%s, %s", a, b);
    return address_collides(&one, &other);
}

Test(address, binds_collide_if_one_host_includes_the_other)
{
    cr_expect(collide("tcp://127.0.0.1:5555", "tcp://127.0.0.1:5555"));
    cr_expect(collide("tcp://127.0.0.1:5555", "tcp://*:5555"));
    cr_expect(collide("tcp://[::]:5555", "tcp://127.0.0.1:5555"));
    cr_expect(collide("tcp://[::ffff:127.0.0.1]:5555", "tcp://127.0.0.1:5555"));
    cr_expect(collide("tcp://[::ffff:0.0.0.0]:5555", "tcp://127.0.0.1:5555"));
    cr_expect(collide("ipc:///run/a", "ipc:///run/a"));
    cr_expect(collide("tcp://[fe80::1%eth0]:5555", "tcp://[fe80:0::1%eth0]:5555"));
    cr_expect_not(collide("tcp://[fe80::1%eth0]:5555", "tcp://[fe80:0::1%eth1]:5555"));
    cr_expect_not(collide("tcp://127.0.0.1:5555", "tcp://127.0.0.1:5556"));
    cr_expect_not(collide("tcp://127.0.0.1:5555", "tcp://127.0.0.2:5555"));
    cr_expect_not(collide("tcp://127.0.0.1:*", "tcp://127.0.0.1:0"));
    cr_expect_not(collide("ipc:///run/a", "ipc:///run/b"));
    cr_expect_not(collide("ipc:///run/a", "tcp://*:5555"));
}

/* As libzmq does, as long as ZMQ_IPV6 is off. */
Test(address, an_interface_stands_for_its_first_ipv4_address)
{
    cr_expect(collide("tcp://lo:5555", "tcp://127.0.0.1:5555"));
    cr_expect_not(collide("tcp://lo:5555", "tcp://127.0.0.2:5555"));
    cr_expect_not(collide("tcp://lo:5555", "tcp://[::1]:5555"));
    cr_expect_not(collide("tcp://six:5555", "tcp://[::1]:5555"));
    cr_expect_not(collide("tcp://none:5555", "tcp://127.0.0.1:5555"));
}

Test(address, the_system_chooses_a_free_port)
{
    cr_expect(address_is_free_port("tcp://127.0.0.1:*"));
    cr_expect(address_is_free_port("tcp://[::1]:0"));
    cr_expect_not(address_is_free_port("tcp://127.0.0.1:5555"));
    cr_expect_not(address_is_free_port("ipc:///run/a"));
    cr_expect_not(address_is_free_port("tcp://127.0.0.1"));
}

Test(address, only_this_machine_reaches_loopback)
{
    static const char *const local[] = {"tcp://127.9.9.9:1", "tcp://[::1]:1", "tcp://[::ffff:127.0.0.1]:1",
                                        "tcp://lo:1", "ipc:///run/a"};
    static const char *const open[] = {"tcp://10.0.0.1:1", "tcp://*:1", "tcp://[::]:1", "tcp://eth0:1"};
    struct address address;
    for (size_t i = 0; i < sizeof(local) / sizeof(local[0]); i++)
        cr_expect(address_bind(local[i], &address, NULL) == 0 && address_is_loopback(&address), "%s", local[i]);
    for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++)
        cr_expect(address_bind(open[i], &address, NULL) == 0 && !address_is_loopback(&address), "%s", open[i]);
}

Test(address, a_socket_is_bound_to_it)
{
    struct address address;
    struct sockaddr_storage at;
    cr_assert_eq(address_listen("127.0.0.1:0", &address, NULL), 0);
    socklen_t len = address_to_socket(&address, &at);
    int fd = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_expect_eq(address_bound_port(fd), 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&at, len), 0);
    cr_expect_gt(address_bound_port(fd), 0);
    close(fd);
    cr_expect_eq(address_bound_port(fd), 0, "it is closed");

    cr_assert_eq(address_bind("tcp://*:5555", &address, NULL), 0);
    cr_assert_gt(address_to_socket(&address, &at), 0);
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)&at;
    cr_expect(six->sin6_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&six->sin6_addr) &&
              ntohs(six->sin6_port) == 5555);
    cr_assert_eq(address_bind("tcp://eth0:5555", &address, NULL), 0);
    cr_expect_eq(address_to_socket(&address, &at), 0, "an interface is not resolved");
    cr_assert_eq(address_bind("ipc:///run/a", &address, NULL), 0);
    cr_expect_eq(address_to_socket(&address, &at), 0);
}
