#include "ingest/allow.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

/* The IPv4-mapped IPv6 address. */
static void map_to_ipv6(const struct in_addr *four, uint8_t ret[16])
{
    static const uint8_t prefix[12] = {[10] = 0xFF, [11] = 0xFF};
    memcpy(ret, prefix, sizeof(prefix));
    memcpy(ret + 12, four, 4);
}

static bool in_network(const struct conf_network *network, const uint8_t address[16])
{
    unsigned whole = network->bits / 8, rest = network->bits % 8;
    return memcmp(network->address, address, whole) == 0 &&
           (rest == 0 || (network->address[whole] ^ address[whole]) >> (8 - rest) == 0);
}

static bool is_listed(const struct conf_endpoint *conf, const uint8_t address[16])
{
    for (size_t i = 0; i < conf->n_allow_from; i++)
        if (in_network(&conf->allow_from[i], address))
            return true;
    return false;
}

bool allow_sockaddr(const struct conf_endpoint *conf, const struct sockaddr *peer)
{
    uint8_t address[16];
    if (conf->n_allow_from == 0)
        return true;
    if (peer->sa_family == AF_INET)
        map_to_ipv6(&((const struct sockaddr_in *)(const void *)peer)->sin_addr, address);
    else if (peer->sa_family == AF_INET6)
        memcpy(address, &((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr, 16);
    else
        return false;
    return is_listed(conf, address);
}

bool allow_text(const struct conf_endpoint *conf, const char *peer)
{
    char text[INET6_ADDRSTRLEN];
    struct in_addr four;
    uint8_t address[16];
    if (conf->n_allow_from == 0)
        return true;
    if (!peer)
        return false;
    /* Without the scope of a link-local address. */
    snprintf(text, sizeof(text), "%.*s", (int)strcspn(peer, "%"), peer);
    if (inet_pton(AF_INET, text, &four) == 1)
        map_to_ipv6(&four, address);
    else if (inet_pton(AF_INET6, text, address) != 1)
        return false;
    return is_listed(conf, address);
}
