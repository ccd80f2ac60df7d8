/* The lookup of a server's name, with name servers that are played: what is handed on, and that nobody is called back
 * who has gone. */
#include <criterion/criterion.h>
#include <event2/dns.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/resolve.h"

/* ---- libevent's resolver ---- */

static struct {
    evdns_getaddrinfo_cb done;
    void *ctx;
    unsigned bases;
    bool cancelled;
} dns;

struct evdns_base *evdns_base_new(struct event_base *base, int flags)
{
    (void)base, (void)flags;
    dns.bases++;
    return (struct evdns_base *)&dns;
}

void evdns_base_free(struct evdns_base *base, int fail)
{
    (void)base, (void)fail;
    dns.bases--;
}

int evdns_base_resolv_conf_parse(struct evdns_base *base, int flags, const char *path)
{
    (void)base, (void)flags, (void)path;
    return 0;
}

struct evdns_getaddrinfo_request *evdns_getaddrinfo(struct evdns_base *base, const char *host, const char *service,
                                                    const struct evutil_addrinfo *hints, evdns_getaddrinfo_cb done,
                                                    void *ctx)
{
    (void)base, (void)service, (void)hints;
    cr_assert_str_eq(host, "db1");
    dns.done = done;
    dns.ctx = ctx;
    return (struct evdns_getaddrinfo_request *)&dns;
}

/* It calls back later, as libevent says. */
void evdns_getaddrinfo_cancel(struct evdns_getaddrinfo_request *request)
{
    (void)request;
    dns.cancelled = true;
}

void evutil_freeaddrinfo(struct evutil_addrinfo *list)
{
    while (list) {
        struct evutil_addrinfo *next = list->ai_next;
        free(list->ai_addr);
        free(list);
        list = next;
    }
}

/* n addresses of IPv4, 10.0.0.1 and on, one of them of an unknown family. */
static struct evutil_addrinfo *addresses(unsigned n, unsigned unknown)
{
    struct evutil_addrinfo *list = NULL;
    for (unsigned i = n; i > 0; i--) {
        struct evutil_addrinfo *one = calloc(1, sizeof(*one));
        struct sockaddr_in *in = calloc(1, sizeof(*in));
        in->sin_family = i == unknown ? AF_UNSPEC : AF_INET;
        in->sin_addr.s_addr = htonl(0x0a000000 + i);
        one->ai_addr = (struct sockaddr *)in;
        one->ai_addrlen = sizeof(*in);
        one->ai_next = list;
        list = one;
    }
    return list;
}

/* ---- who asks ---- */

static struct loop *loop;
static unsigned called;
static size_t n_found;
static char first[64], last[64], why[100];

static void on_done(void *ctx, const char *const *found, size_t n, const char *reason)
{
    (void)ctx;
    called++;
    n_found = n;
    if (n > 0) {
        strcpy(first, found[0]);
        strcpy(last, found[n - 1]);
    }
    strcpy(why, reason);
}

static void setup(void)
{
    struct err err;
    loop = loop_new(&err);
}

static void teardown(void)
{
    cr_expect_eq(dns.bases, 0u, "nothing is left open");
    loop_free(&loop);
}

TestSuite(resolve, .init = setup, .fini = teardown, .timeout = 60);

static void answer(int error, struct evutil_addrinfo *list)
{
    struct resolve *resolve = resolve_start(loop, "db1", on_done, NULL);
    dns.done(error, list, dns.ctx);
    cr_expect_eq(called, 0, "not from within libevent's own callback");
    loop_turn(loop);
    cr_expect_eq(called, 1);
    resolve_free(&resolve);
    cr_expect_null(resolve);
}

Test(resolve, all_addresses_are_handed_on_up_to_a_bound)
{
    answer(0, addresses(3, 0));
    cr_expect_eq(n_found, 3);
    cr_expect_str_eq(first, "10.0.0.1");
    cr_expect_str_eq(last, "10.0.0.3");
    called = 0;
    answer(0, addresses(RESOLVE_MAX + 5, 0));
    cr_expect_eq(n_found, (size_t)RESOLVE_MAX);
}

Test(resolve, an_address_that_has_no_text_is_left_out)
{
    answer(0, addresses(3, 1));
    cr_expect_eq(n_found, 2);
    cr_expect_str_eq(first, "10.0.0.2");
}

Test(resolve, without_an_address_there_is_a_reason)
{
    answer(EVUTIL_EAI_NONAME, NULL);
    cr_expect_eq(n_found, 0);
    cr_expect_str_eq(why, evutil_gai_strerror(EVUTIL_EAI_NONAME));
    called = 0;
    answer(0, NULL);
    cr_expect_str_eq(why, "it has no address");
}

Test(resolve, nobody_is_called_back_who_has_gone)
{
    struct resolve *resolve = resolve_start(loop, "db1", on_done, NULL);
    resolve_free(&resolve);
    cr_expect(dns.cancelled);
    cr_expect_eq(dns.bases, 1u, "libevent uses it until it calls back");
    dns.done(EVUTIL_EAI_CANCEL, NULL, dns.ctx);
    loop_turn(loop);
    cr_expect_eq(called, 0);

    resolve = resolve_start(loop, "db1", on_done, NULL); /* its answer is in, and not handed on yet */
    dns.done(0, addresses(1, 0), dns.ctx);
    resolve_free(&resolve);
    cr_expect_eq(called, 0);
    resolve_free(&resolve);
}
