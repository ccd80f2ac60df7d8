#include "base/resolve.h"

#include <event2/dns.h>
#include <event2/event_struct.h>
#include <netdb.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/mem.h"

struct resolve {
    struct evdns_base *dns;
    struct evdns_getaddrinfo_request *request; /* NULL: none is on its way */
    struct event over;                         /* the result is in, outside evdns's own dispatch */
    resolve_fn done;                           /* NULL: freed by the caller */
    void *ctx;
    int error;
    size_t n;
    char addresses[RESOLVE_MAX][64];
};

static void destroy_request(struct resolve *resolve)
{
    event_del(&resolve->over);
    evdns_base_free(resolve->dns, 0);
    free(resolve);
}

static void on_over(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct resolve *resolve = arg;
    if (!resolve->done) {
        destroy_request(resolve);
        return;
    }
    const char *addresses[RESOLVE_MAX];
    for (size_t i = 0; i < resolve->n; i++)
        addresses[i] = resolve->addresses[i];
    const char *why = resolve->error ? evutil_gai_strerror(resolve->error) : "it has no address";
    resolve->done(resolve->ctx, addresses, resolve->n, why);
}

static void on_resolved(int error, struct evutil_addrinfo *list, void *arg)
{
    struct resolve *resolve = arg;
    resolve->request = NULL;
    resolve->error = error;
    for (struct evutil_addrinfo *at = list; at && resolve->n < RESOLVE_MAX; at = at->ai_next) {
        char *text = resolve->addresses[resolve->n];
        if (getnameinfo(at->ai_addr, (socklen_t)at->ai_addrlen, text, sizeof(resolve->addresses[0]), NULL, 0,
                        NI_NUMERICHOST) == 0)
            resolve->n++;
    }
    if (list)
        evutil_freeaddrinfo(list);
    event_active(&resolve->over, 0, 0);
}

struct resolve *resolve_start(struct loop *loop, const char *host, resolve_fn done, void *ctx)
{
    struct resolve *resolve = mem_zalloc(sizeof(*resolve));
    resolve->done = done;
    resolve->ctx = ctx;
    evtimer_assign(&resolve->over, loop_base(loop), on_over, resolve);
    resolve->dns = evdns_base_new(loop_base(loop), EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    if (!resolve->dns)
        abort(); /* out of memory, the only reason without EVDNS_BASE_INITIALIZE_NAMESERVERS */
    /* Read again each time, since networks change. Without the file /etc/hosts is still used. */
    evdns_base_resolv_conf_parse(resolve->dns, DNS_OPTIONS_ALL, "/etc/resolv.conf");
    struct evutil_addrinfo hints = {.ai_family = AF_UNSPEC,
                                    .ai_socktype = SOCK_STREAM,
                                    .ai_protocol = IPPROTO_TCP,
                                    .ai_flags = EVUTIL_AI_ADDRCONFIG};
    /* NULL where it has called back already. */
    resolve->request = evdns_getaddrinfo(resolve->dns, host, NULL, &hints, on_resolved, resolve);
    return resolve;
}

/* A cancelled request still calls back, and evdns uses its base until then. */
void resolve_free(struct resolve **resolve)
{
    struct resolve *r = *resolve;
    *resolve = NULL;
    if (!r)
        return;
    r->done = NULL;
    if (r->request)
        evdns_getaddrinfo_cancel(r->request);
    else
        destroy_request(r);
}
