/* The address of a peer, for the log: from its socket, and from what libzmq says about it. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ingest/peer_address.h"

/* What is said of the accepted end of a connection to that address. false: the machine has no such addresses. */
static bool describe(const struct sockaddr *address, socklen_t len, char ret[PEER_ADDRESS_SIZE])
{
    struct sockaddr_storage bound = {0};
    int listener = socket(address->sa_family, SOCK_STREAM, 0), client = socket(address->sa_family, SOCK_STREAM, 0);
    memcpy(&bound, address, len);
    bool ok = listener >= 0 && bind(listener, (struct sockaddr *)&bound, len) == 0 && listen(listener, 1) == 0 &&
              getsockname(listener, (struct sockaddr *)&bound, &len) == 0 &&
              connect(client, (struct sockaddr *)&bound, len) == 0;
    if (ok) {
        int accepted = accept(listener, NULL, NULL);
        cr_assert_geq(accepted, 0);
        peer_address_of_socket(accepted, ret);
        close(accepted);
    }
    close(listener);
    close(client);
    return ok;
}

Test(peer_address, of_a_socket)
{
    char text[PEER_ADDRESS_SIZE], expected[PEER_ADDRESS_SIZE];
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    unsigned port;
    cr_assert(describe((struct sockaddr *)&four, sizeof(four), text));
    cr_expect_eq(sscanf(text, "127.0.0.1:%u", &port), 1, "%s", text);
    if (describe((struct sockaddr *)&six, sizeof(six), text))
        cr_expect_eq(sscanf(text, "[::1]:%u", &port), 1, "%s", text);

    int pair[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    peer_address_of_socket(pair[0], text);
    snprintf(expected, sizeof(expected), "uid %u, pid %d", getuid(), (int)getpid());
    cr_expect_str_eq(text, expected);
    close(pair[0]);
    close(pair[1]);
    peer_address_of_socket(pair[0], text);
    cr_expect_str_eq(text, "an unknown address", "it is closed");
}

Test(peer_address, of_a_property)
{
    char text[PEER_ADDRESS_SIZE];
    peer_address_of_property("localhost:1000:1001:42", text);
    cr_expect_str_eq(text, "uid 1000, pid 42");
    peer_address_of_property("localhost:1000:1001:42x", text);
    cr_expect_str_eq(text, "localhost:1000:1001:42x");
    peer_address_of_property("10.0.0.1", text);
    cr_expect_str_eq(text, "10.0.0.1");
    peer_address_of_property(NULL, text);
    cr_expect_str_eq(text, "an unknown address");
}
