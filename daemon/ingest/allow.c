#include "ingest/allow.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static bool is_listed(const struct conf_endpoint *conf, const struct network *peer)
{
    for (size_t i = 0; i < conf->n_allow_from; i++)
        if (address_within(peer, &conf->allow_from[i]))
            return true;
    return false;
}

bool allow_sockaddr(const struct conf_endpoint *conf, const struct sockaddr *peer)
{
    struct network address = {.address = {[10] = 0xFF, [11] = 0xFF}, .bits = 128};
    if (conf->n_allow_from == 0)
        return true;
    if (peer->sa_family == AF_INET)
        memcpy(address.address + 12, &((const struct sockaddr_in *)(const void *)peer)->sin_addr, 4);
    else if (peer->sa_family == AF_INET6)
        memcpy(address.address, &((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr, 16);
    else
        return false;
    return is_listed(conf, &address);
}

bool allow_text(const struct conf_endpoint *conf, const char *peer)
{
    char text[INET6_ADDRSTRLEN];
    struct network address;
    if (conf->n_allow_from == 0)
        return true;
    if (!peer)
        return false;
    /* Without the scope of a link-local address. */
    snprintf(text, sizeof(text), "%.*s", (int)strcspn(peer, "%"), peer);
    return address_network(text, &address, NULL) == 0 && is_listed(conf, &address);
}
