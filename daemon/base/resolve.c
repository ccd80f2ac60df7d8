#include "base/resolve.h"

#include <event2/dns.h>
#include <event2/event_struct.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"

/* How long the other family may still take once one has addresses. */
#define OTHER_FAMILY_US (3 * CLOCK_SECOND)

enum { IPV4, IPV6, FAMILIES };

/* The look-up of the addresses of one family. Each has an evdns_base and a request of its own: a base asks its name
 * servers in turn, and with one request for both families evdns would abandon the query sent to a silent server soon
 * after another server has answered the other query, even with "no address". */
struct family {
    struct resolve *resolve;
    struct evdns_base *dns;
    struct evdns_getaddrinfo_request *request; /* NULL: not begun, or over */
    int error;
    size_t n;
    char addresses[RESOLVE_MAX][64];
};

struct resolve {
    struct family family[FAMILIES];
    unsigned running;  /* families without a result */
    struct event over; /* the results are in, outside evdns's own dispatch; or the time for more is up */
    struct loop *loop;
    resolve_fn done; /* NULL: freed by the caller */
    void *ctx;
};

static void destroy(struct resolve *resolve)
{
    event_del(&resolve->over);
    for (int i = 0; i < FAMILIES; i++)
        evdns_base_free(resolve->family[i].dns, 0);
    free(resolve);
}

/* A cancelled request still calls back, and evdns uses its base until then. */
static void cancel(struct resolve *resolve)
{
    for (int i = 0; i < FAMILIES; i++)
        if (resolve->family[i].request)
            evdns_getaddrinfo_cancel(resolve->family[i].request);
}

/* Why a name has no addresses. "None" for one family says less than why the other one is not known. */
static const char *reason(const struct resolve *resolve)
{
    int error = resolve->family[IPV4].error;
    if (error == 0 || error == EVUTIL_EAI_NODATA || error == EVUTIL_EAI_NONAME)
        error = resolve->family[IPV6].error ? resolve->family[IPV6].error : error;
    if (error == EVUTIL_EAI_FAIL)
        return "the name servers fail or do not answer, or their answer is too long for UDP";
    if (error == EVUTIL_EAI_CANCEL)
        return "the name servers do not answer";
    return error ? evutil_gai_strerror(error) : "it has no address";
}

static void on_over(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct resolve *resolve = arg;
    const char *addresses[RESOLVE_MAX];
    size_t n = 0;
    if (resolve->running > 0) {
        cancel(resolve);
        return;
    }
    if (!resolve->done) {
        destroy(resolve);
        return;
    }
    for (int i = 0; i < FAMILIES; i++)
        for (size_t k = 0; k < resolve->family[i].n && n < RESOLVE_MAX; k++)
            addresses[n++] = resolve->family[i].addresses[k];
    resolve->done(resolve->ctx, addresses, n, reason(resolve));
}

static void on_resolved(int error, struct evutil_addrinfo *list, void *arg)
{
    struct family *family = arg;
    struct resolve *resolve = family->resolve;
    family->request = NULL;
    family->error = error;
    for (struct evutil_addrinfo *at = list; at && family->n < RESOLVE_MAX; at = at->ai_next) {
        char *text = family->addresses[family->n];
        if (getnameinfo(at->ai_addr, (socklen_t)at->ai_addrlen, text, sizeof(family->addresses[0]), NULL, 0,
                        NI_NUMERICHOST) == 0)
            family->n++;
    }
    if (list)
        evutil_freeaddrinfo(list);
    if (--resolve->running == 0)
        event_active(&resolve->over, 0, 0);
    else if (family->n > 0)
        loop_arm(&resolve->over, OTHER_FAMILY_US);
}

/* Each server is asked TRIES times in the longest look-up, whatever resolv.conf says: evdns counts the attempts of all
 * servers together, and repeats a query that failed without waiting. */
static void set_options(struct evdns_base *dns)
{
    enum { TRIES = 4 };
    int servers = evdns_base_count_nameservers(dns), tries = TRIES * (servers > 0 ? servers : 1);
    char text[32];
    snprintf(text, sizeof(text), "%d", tries + 1); /* silence is ended by the limit, not by them */
    evdns_base_set_option(dns, "attempts:", text);
    snprintf(text, sizeof(text), "%.3f", (double)RESOLVE_LIMIT_US / CLOCK_SECOND / tries);
    evdns_base_set_option(dns, "timeout:", text);
    /* Not within a look-up: evdns would ask for google.com to see whether a server is back. 3600 s is its most. */
    evdns_base_set_option(dns, "initial-probe-timeout:", "3600");
}

/* Without EVUTIL_AI_ADDRCONFIG: libevent looks once in the life of a process which families the machine has, and does
 * not count local addresses. */
static void ask(struct family *family, const char *host, int af)
{
    struct evutil_addrinfo hints = {.ai_family = af, .ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP};
    /* evdns would accept the addresses of another host, HOST.DOMAIN, if HOST has none of this family. */
    int options = strchr(host, '.') ? DNS_OPTIONS_ALL & ~DNS_OPTION_SEARCH : DNS_OPTIONS_ALL;
    family->dns = evdns_base_new(loop_base(family->resolve->loop), EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    if (!family->dns)
        abort(); /* out of memory, the only reason without EVDNS_BASE_INITIALIZE_NAMESERVERS */
    /* Read again each time, since networks change. Without the file /etc/hosts is still used. */
    evdns_base_resolv_conf_parse(family->dns, options, "/etc/resolv.conf");
    set_options(family->dns);
    /* NULL where it has called back already. */
    family->request = evdns_getaddrinfo(family->dns, host, NULL, &hints, on_resolved, family);
}

struct resolve *resolve_start(struct loop *loop, const char *host, resolve_fn done, void *ctx)
{
    static const int af[FAMILIES] = {[IPV4] = AF_INET, [IPV6] = AF_INET6};
    struct resolve *resolve = mem_zalloc(sizeof(*resolve));
    resolve->loop = loop;
    resolve->done = done;
    resolve->ctx = ctx;
    resolve->running = FAMILIES;
    evtimer_assign(&resolve->over, loop_base(loop), on_over, resolve);
    loop_arm(&resolve->over, RESOLVE_LIMIT_US);
    for (int i = 0; i < FAMILIES; i++) {
        resolve->family[i].resolve = resolve;
        ask(&resolve->family[i], host, af[i]);
    }
    return resolve;
}

void resolve_free(struct resolve **resolve)
{
    struct resolve *r = *resolve;
    *resolve = NULL;
    if (!r)
        return;
    r->done = NULL;
    if (r->running > 0)
        cancel(r);
    else
        destroy(r);
}
