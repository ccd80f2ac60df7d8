#include "base/address.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

static int copy_host(struct address *ret, const char *host, size_t len, struct err *err)
{
    if (len == 0)
        return err_set(err, "has no host");
    if (len > ADDRESS_HOST_MAX)
        return err_set(err, "has a host longer than %d characters", ADDRESS_HOST_MAX);
    memcpy(ret->host, host, len);
    ret->host[len] = '\0';
    return 0;
}

static int parse_port(const char *text, int *ret, struct err *err)
{
    size_t len = strlen(text);
    if (len == 0)
        return err_set(err, "has no port");
    if (text[strspn(text, "0123456789")] || (text[0] == '0' && len > 1))
        return err_set(err, "has a port that is not a number");
    *ret = len > 5 ? 65536 : atoi(text);
    return *ret <= 65535 ? 0 : err_set(err, "has a port above 65535");
}

static bool is_ipv6(const char *host)
{
    struct in6_addr addr;
    char text[ADDRESS_HOST_MAX + 1];
    memcpy(text, host, strlen(host) + 1);
    /* A scope, as in fe80::1%eth0. */
    char *scope = strchr(text, '%');
    if (scope && (scope[1] == '\0' || strlen(scope + 1) >= IFNAMSIZ))
        return false;
    if (scope)
        *scope = '\0';
    return inet_pton(AF_INET6, text, &addr) == 1;
}

/* Whether the host could name a machine or an interface. A mistyped IPv4 address such as 1.2.3 could not. */
static bool is_name(const char *host)
{
    bool letter = false;
    for (const char *p = host; *p; p++) {
        if (!isalnum((unsigned char)*p) && !strchr("-._", *p))
            return false;
        letter = letter || isalpha((unsigned char)*p);
    }
    return letter && host[0] != '-' && host[0] != '.';
}

/* HOST:PORT, where PORT may be *, which gives -1. */
static int parse_host_port(const char *text, struct address *ret, struct err *err)
{
    struct in_addr addr;
    const char *colon = strrchr(text, ':'), *bracket = strchr(text, ']');
    if (strstr(text, "://"))
        return err_set(err, "begins with a scheme");
    if (*text && !text[strspn(text, "0123456789")])
        return err_set(err, "is a port without an address");
    if (!colon || (text[0] == '[' && bracket && bracket > colon))
        return err_set(err, "has no port");
    if (text[0] == '[') {
        if (colon[-1] != ']' || copy_host(ret, text + 1, (size_t)(colon - text - 2), err) != 0 || !is_ipv6(ret->host))
            return err_set(err, "does not have an IPv6 address in its brackets");
    } else {
        if (copy_host(ret, text, (size_t)(colon - text), err) != 0)
            return -1;
        if (strchr(ret->host, ':'))
            return err_set(err, "has an IPv6 address without brackets");
        ret->name = strcmp(ret->host, "*") != 0 && inet_pton(AF_INET, ret->host, &addr) != 1;
        if (ret->name && !is_name(ret->host))
            return err_set(err, "has a host that is neither an address nor a name");
    }
    if (strcmp(colon + 1, "*") == 0)
        ret->port = -1;
    else if (parse_port(colon + 1, &ret->port, err) != 0)
        return -1;
    return 0;
}

static int parse_ipc(const char *path, struct address *ret, struct err *err)
{
    struct sockaddr_un un;
    ret->kind = ADDRESS_IPC;
    if (path[0] != '/' || path[1] == '\0')
        return err_set(err, "has no absolute path");
    if (strlen(path) > sizeof(un.sun_path) - 1)
        return err_set(err, "has a path longer than %zu bytes", sizeof(un.sun_path) - 1);
    memcpy(ret->host, path, strlen(path) + 1);
    return 0;
}

static int parse_zmq(const char *text, struct address *ret, struct err *err)
{
    *ret = (struct address){0};
    if (strncmp(text, "ipc://", 6) == 0)
        return parse_ipc(text + 6, ret, err);
    if (strncmp(text, "tcp://", 6) == 0)
        return parse_host_port(text + 6, ret, err);
    return err_set(err, "is not a ZeroMQ address");
}

int address_bind(const char *text, struct address *ret, struct err *err)
{
    if (parse_zmq(text, ret, err) != 0)
        return -1;
    if (ret->name && (strcmp(ret->host, "localhost") == 0 || strlen(ret->host) >= IFNAMSIZ))
        return err_set(err, "has a host name, which ZeroMQ does not resolve when binding");
    if (ret->port == -1)
        ret->port = 0;
    return 0;
}

static int check_peer(const struct address *address, struct err *err)
{
    if (address->kind == ADDRESS_TCP && (address->port <= 0 || strcmp(address->host, "*") == 0))
        return err_set(err, "does not name a peer to connect to");
    return 0;
}

/* zmq_connect() refuses others. zmq_bind() looks for an interface of any name. */
static bool is_taken_by_libzmq(const char *host)
{
    bool taken = isalnum((unsigned char)host[0]) || host[0] == ':';
    for (; *host; host++)
        taken = taken && (isalnum((unsigned char)*host) || strchr(".-:%;[]_*", *host));
    return taken;
}

int address_connect(const char *text, struct address *ret, struct err *err)
{
    if (parse_zmq(text, ret, err) != 0 || check_peer(ret, err) != 0)
        return -1;
    if (ret->kind == ADDRESS_TCP && !is_taken_by_libzmq(ret->host))
        return err_set(err, "has a host that ZeroMQ does not connect to");
    return 0;
}

int address_peer(const char *text, struct address *ret, struct err *err)
{
    *ret = (struct address){0};
    return parse_host_port(text, ret, err) == 0 ? check_peer(ret, err) : -1;
}

int address_listen(const char *text, struct address *ret, struct err *err)
{
    *ret = (struct address){0};
    if (parse_host_port(text, ret, err) != 0)
        return -1;
    if (ret->name || strcmp(ret->host, "*") == 0 || strchr(ret->host, '%'))
        return err_set(err, "has a host that is not an address");
    if (ret->port == -1)
        return err_set(err, "has a port that is not a number");
    return 0;
}

/* Whether all bits of the address after the prefix are 0. */
static bool has_only_prefix(const uint8_t address[16], unsigned bits)
{
    for (unsigned bit = bits; bit < 128; bit++)
        if (address[bit / 8] & (0x80 >> (bit % 8)))
            return false;
    return true;
}

int address_network(const char *text, struct network *ret, struct err *err)
{
    static const uint8_t mapped[12] = {[10] = 0xFF, [11] = 0xFF};
    char host[INET6_ADDRSTRLEN];
    size_t len = strcspn(text, "/");
    if (len >= sizeof(host))
        return err_set(err, "is not a network");
    memcpy(host, text, len);
    host[len] = '\0';
    bool four = inet_pton(AF_INET, host, ret->address + 12) == 1;
    if (four)
        memcpy(ret->address, mapped, sizeof(mapped));
    else if (inet_pton(AF_INET6, host, ret->address) != 1)
        return err_set(err, "is not a network");
    ret->bits = 128;
    if (text[len] == '\0')
        return 0;
    const char *bits = text + len + 1;
    unsigned max = four ? 32 : 128;
    if (!*bits || strlen(bits) > 3 || bits[strspn(bits, "0123456789")] || (unsigned)atoi(bits) > max)
        return err_set(err, "has a prefix length that is not a number from 0 to %u", max);
    ret->bits = (unsigned)atoi(bits) + (four ? 96 : 0);
    return has_only_prefix(ret->address, ret->bits) ? 0 : err_set(err, "has bits set after its prefix");
}

bool address_is_free_port(const char *text)
{
    struct address address;
    return address_bind(text, &address, NULL) == 0 && address.kind == ADDRESS_TCP && address.port == 0;
}

bool address_is_loopback(const struct address *address)
{
    struct in_addr four;
    struct in6_addr six;
    if (address->kind == ADDRESS_IPC)
        return true;
    if (address->name)
        return strcmp(address->host, "lo") == 0;
    if (inet_pton(AF_INET, address->host, &four) == 1)
        return ntohl(four.s_addr) >> 24 == 127;
    if (inet_pton(AF_INET6, address->host, &six) != 1)
        return false;
    return IN6_IS_ADDR_LOOPBACK(&six) || (IN6_IS_ADDR_V4MAPPED(&six) && six.s6_addr[12] == 127);
}

struct numeric {
    struct in6_addr ip;   /* an IPv4 address is mapped */
    char scope[IFNAMSIZ]; /* the interface, as in fe80::1%eth0; "": none */
};

static const struct numeric any_mapped = {.ip.s6_addr = {[10] = 0xFF, [11] = 0xFF}}; /* 0.0.0.0 */

static bool parse_numeric(const char *host, struct numeric *ret)
{
    char text[ADDRESS_HOST_MAX + 1];
    size_t len = strcspn(host, "%");
    *ret = any_mapped;
    snprintf(text, sizeof(text), "%.*s", (int)len, host);
    snprintf(ret->scope, sizeof(ret->scope), "%s", host + len + (host[len] == '%'));
    return inet_pton(AF_INET, text, ret->ip.s6_addr + 12) == 1 || inet_pton(AF_INET6, text, &ret->ip) == 1;
}

static bool is_any(const char *host)
{
    struct numeric address;
    if (strcmp(host, "*") == 0)
        return true;
    if (!parse_numeric(host, &address))
        return false;
    return IN6_IS_ADDR_UNSPECIFIED(&address.ip) || IN6_ARE_ADDR_EQUAL(&address.ip, &any_mapped.ip);
}

/* The address of an interface of this machine that libzmq binds: the first of IPv4, as long as ZMQ_IPV6 is off. */
static bool find_interface(const char *name, struct numeric *ret)
{
    struct ifaddrs *all = NULL;
    if (getifaddrs(&all) < 0)
        return false;
    const struct ifaddrs *at = all;
    while (at && (!at->ifa_addr || at->ifa_addr->sa_family != AF_INET || strcmp(at->ifa_name, name) != 0))
        at = at->ifa_next;
    bool found = at;
    *ret = any_mapped;
    if (found)
        memcpy(ret->ip.s6_addr + 12, &((const struct sockaddr_in *)(const void *)at->ifa_addr)->sin_addr, 4);
    freeifaddrs(all);
    return found;
}

static bool find_address(const struct address *address, struct numeric *ret)
{
    return address->name ? find_interface(address->host, ret) : parse_numeric(address->host, ret);
}

/* Whether the hosts are one address in two spellings, or an interface and its address. */
static bool is_same_host(const struct address *a, const struct address *b)
{
    struct numeric one, other;
    return find_address(a, &one) && find_address(b, &other) && memcmp(&one.ip, &other.ip, sizeof(one.ip)) == 0 &&
           strcmp(one.scope, other.scope) == 0;
}

bool address_collides(const struct address *a, const struct address *b)
{
    if (a->kind != b->kind)
        return false;
    if (a->kind == ADDRESS_TCP && (a->port == 0 || a->port != b->port))
        return false;
    return strcmp(a->host, b->host) == 0 ||
           (a->kind == ADDRESS_TCP && (is_any(a->host) || is_any(b->host) || is_same_host(a, b)));
}

bool address_within(const struct network *inner, const struct network *outer)
{
    unsigned whole = outer->bits / 8, rest = outer->bits % 8;
    return inner->bits >= outer->bits && memcmp(inner->address, outer->address, whole) == 0 &&
           (rest == 0 || (inner->address[whole] ^ outer->address[whole]) >> (8 - rest) == 0);
}

socklen_t address_to_socket(const struct address *address, struct sockaddr_storage *ret)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV}, *found = NULL;
    const char *host = strcmp(address->host, "*") == 0 ? "::" : address->host;
    char port[16];
    snprintf(port, sizeof(port), "%d", address->port);
    if (address->kind != ADDRESS_TCP || address->name || getaddrinfo(host, port, &hints, &found) != 0)
        return 0;
    socklen_t len = found->ai_addrlen;
    memcpy(ret, found->ai_addr, len);
    freeaddrinfo(found);
    return len;
}

void address_tcp(const char *number, int port, char ret[ADDRESS_TCP_SIZE])
{
    snprintf(ret, ADDRESS_TCP_SIZE, strchr(number, ':') ? "tcp://[%s]:%d" : "tcp://%s:%d", number, port);
}

uint16_t address_port(const struct sockaddr_storage *of)
{
    if (of->ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)(const void *)of)->sin6_port);
    return of->ss_family == AF_INET ? ntohs(((const struct sockaddr_in *)(const void *)of)->sin_port) : 0;
}

uint16_t address_bound_port(int fd)
{
    struct sockaddr_storage own = {0};
    socklen_t len = sizeof(own);
    return getsockname(fd, (struct sockaddr *)&own, &len) == 0 ? address_port(&own) : 0;
}
