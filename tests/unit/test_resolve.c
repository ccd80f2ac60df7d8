/* The look-up of a server's name, with simulated name servers: what is passed on, and that freed callers are not called
 * back. */
#include <criterion/criterion.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/resolve.h"

/* ---- libevent's resolver ---- */

/* What was asked for one family. */
struct question {
    evdns_getaddrinfo_cb done;
    void *ctx;
    int family, flags;
    bool cancelled;
};

static struct {
    struct question question[2];
    unsigned asked, bases;
    int options, servers;
    char attempts[16], timeout[16], probe[16];
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
    (void)base, (void)path;
    dns.options = flags;
    strcpy(dns.attempts, "of resolv.conf");
    strcpy(dns.timeout, "of resolv.conf");
    strcpy(dns.probe, "of resolv.conf");
    return 0;
}

int evdns_base_count_nameservers(struct evdns_base *base)
{
    (void)base;
    return dns.servers;
}

int evdns_base_set_option(struct evdns_base *base, const char *option, const char *value)
{
    (void)base;
    if (strcmp(option, "attempts:") == 0)
        strcpy(dns.attempts, value);
    else if (strcmp(option, "timeout:") == 0)
        strcpy(dns.timeout, value);
    else if (strcmp(option, "initial-probe-timeout:") == 0)
        strcpy(dns.probe, value);
    else
        cr_expect_fail("%s", option);
    return 0;
}

struct evdns_getaddrinfo_request *evdns_getaddrinfo(struct evdns_base *base, const char *host, const char *service,
                                                    const struct evutil_addrinfo *hints, evdns_getaddrinfo_cb done,
                                                    void *ctx)
{
    (void)base, (void)service, (void)host;
    cr_assert_lt(dns.asked, 2u, "once for each family");
    struct question *question = &dns.question[dns.asked++];
    *question = (struct question){done, ctx, hints->ai_family, hints->ai_flags, false};
    return (struct evdns_getaddrinfo_request *)question;
}

/* It calls back later, as libevent says. */
void evdns_getaddrinfo_cancel(struct evdns_getaddrinfo_request *request)
{
    ((struct question *)request)->cancelled = true;
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

/* The only timer, which fires when a test says so. */
static struct {
    struct event *event;
    int64_t after_us;
} timer;

int event_add(struct event *event, const struct timeval *after)
{
    timer.event = event;
    timer.after_us = after->tv_sec * CLOCK_SECOND + after->tv_usec;
    return 0;
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

/* What is due, and nothing is waited for. */
static void turn(void)
{
    event_base_loop(loop_base(loop), EVLOOP_NONBLOCK);
}

static struct resolve *ask(const char *host)
{
    dns.asked = 0;
    return resolve_start(loop, host, on_done, NULL);
}

static void reply(int family, int error, struct evutil_addrinfo *list)
{
    for (unsigned i = 0; i < dns.asked; i++)
        if (dns.question[i].family == family)
            dns.question[i].done(error, list, dns.question[i].ctx);
}

/* There are addresses of IPv4 at most. */
static void answer(int error, struct evutil_addrinfo *list)
{
    struct resolve *resolve = ask("db1");
    reply(AF_INET, error, list);
    reply(AF_INET6, EVUTIL_EAI_NODATA, NULL);
    cr_expect_eq(called, 0, "not from within libevent's own callback");
    turn();
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
    cr_expect_str_eq(why, evutil_gai_strerror(EVUTIL_EAI_NODATA));
    called = 0;
    answer(EVUTIL_EAI_AGAIN, NULL);
    cr_expect_str_eq(why, evutil_gai_strerror(EVUTIL_EAI_AGAIN), "that there is none of IPv6 says less");
    called = 0;
    answer(EVUTIL_EAI_FAIL, NULL);
    cr_expect_str_eq(why, "the name servers fail or do not answer, or their answer is too long for UDP");
}

Test(resolve, a_name_whose_addresses_have_no_text_has_none)
{
    struct resolve *resolve = ask("db1");
    reply(AF_INET, 0, addresses(1, 1));
    reply(AF_INET6, 0, NULL);
    turn();
    cr_expect_eq(n_found, 0);
    cr_expect_str_eq(why, "it has no address");
    resolve_free(&resolve);
}

Test(resolve, a_family_without_an_address_takes_no_time_from_the_other)
{
    struct resolve *resolve = ask("db1");
    reply(AF_INET6, EVUTIL_EAI_NODATA, NULL);
    turn();
    cr_expect_eq(called, 0);
    cr_expect_eq(timer.after_us, RESOLVE_LIMIT_US, "it has all the time that there is");
    cr_expect_not(dns.question[0].cancelled);
    reply(AF_INET, 0, addresses(1, 0));
    turn();
    cr_expect_eq(called, 1);
    cr_expect_str_eq(first, "10.0.0.1");
    resolve_free(&resolve);
}

Test(resolve, addresses_of_one_family_wait_three_seconds_for_the_other)
{
    struct resolve *resolve = ask("db1");
    reply(AF_INET, 0, addresses(1, 0));
    turn();
    cr_expect_not(dns.question[1].cancelled);
    cr_assert_not_null(timer.event);
    cr_expect_eq(timer.after_us, 3 * CLOCK_SECOND);
    event_active(timer.event, EV_TIMEOUT, 0);
    turn();
    cr_expect(dns.question[1].cancelled);
    cr_expect_eq(called, 0, "libevent has not called back");
    reply(AF_INET6, EVUTIL_EAI_CANCEL, NULL);
    turn();
    cr_expect_eq(called, 1);
    cr_expect_eq(n_found, 1);
    resolve_free(&resolve);
}

Test(resolve, a_look_up_that_no_server_answers_ends_and_says_so)
{
    struct resolve *resolve = ask("db1");
    cr_expect_eq(timer.after_us, 20 * CLOCK_SECOND);
    event_active(timer.event, EV_TIMEOUT, 0);
    turn();
    cr_expect(dns.question[0].cancelled && dns.question[1].cancelled);
    reply(AF_INET6, EVUTIL_EAI_CANCEL, NULL);
    reply(AF_INET, EVUTIL_EAI_CANCEL, NULL);
    turn();
    cr_expect_eq(called, 1);
    cr_expect_eq(n_found, 0);
    cr_expect_str_eq(why, "the name servers do not answer");
    resolve_free(&resolve);
}

Test(resolve, addresses_of_ipv4_come_first)
{
    struct resolve *resolve = ask("db1");
    reply(AF_INET6, 0, addresses(RESOLVE_MAX, 0));
    reply(AF_INET, 0, addresses(RESOLVE_MAX + 5, RESOLVE_MAX));
    turn();
    cr_expect_eq(n_found, (size_t)RESOLVE_MAX);
    cr_expect_str_eq(last, "10.0.0.9", "of IPv4, of which one has no text");
    resolve_free(&resolve);
}

Test(resolve, families_are_asked_for_whatever_the_machine_had_once)
{
    struct resolve *resolve = ask("db1");
    cr_expect_eq(dns.asked, 2u);
    cr_expect_eq(dns.question[0].flags | dns.question[1].flags, 0);
    reply(AF_INET, 0, NULL);
    reply(AF_INET6, 0, NULL);
    resolve_free(&resolve);
}

Test(resolve, the_search_list_is_for_names_without_a_dot)
{
    static const char *const hosts[] = {"db1", "db1.example.nl"};
    static const int options[] = {DNS_OPTIONS_ALL, DNS_OPTIONS_ALL & ~DNS_OPTION_SEARCH};
    for (int i = 0; i < 2; i++) {
        struct resolve *resolve = ask(hosts[i]);
        cr_expect_eq(dns.options, options[i], "%s", hosts[i]);
        reply(AF_INET, 0, NULL);
        reply(AF_INET6, 0, NULL);
        resolve_free(&resolve);
    }
}

/* libevent counts the transmissions to all servers together, and repeats a query that failed without waiting. */
Test(resolve, each_server_is_asked_four_times_in_the_longest_look_up_and_once_more_ends_it)
{
    static const struct {
        int servers;
        const char *attempts, *timeout;
    } cases[] = {{0, "5", "5.000"}, {1, "5", "5.000"}, {2, "9", "2.500"}, {3, "13", "1.667"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        dns.servers = cases[i].servers;
        struct resolve *resolve = ask("db1");
        cr_expect_str_eq(dns.attempts, cases[i].attempts, "%d servers", dns.servers);
        cr_expect_str_eq(dns.timeout, cases[i].timeout, "%d servers", dns.servers);
        reply(AF_INET, 0, NULL);
        reply(AF_INET6, 0, NULL);
        resolve_free(&resolve);
    }
}

/* libevent asks a server that was silent for the address of a host of its own choice, to see whether it is back. */
Test(resolve, no_server_is_asked_for_another_name)
{
    struct resolve *resolve = ask("db1");
    cr_expect_str_eq(dns.probe, "3600");
    reply(AF_INET, 0, NULL);
    reply(AF_INET6, 0, NULL);
    resolve_free(&resolve);
}

Test(resolve, nobody_is_called_back_who_has_gone)
{
    struct resolve *resolve = ask("db1");
    resolve_free(&resolve);
    cr_expect(dns.question[0].cancelled && dns.question[1].cancelled);
    reply(AF_INET, EVUTIL_EAI_CANCEL, NULL);
    turn();
    cr_expect_eq(dns.bases, 2u, "libevent uses them until both have called back");
    reply(AF_INET6, EVUTIL_EAI_CANCEL, NULL);
    turn();
    cr_expect_eq(called, 0);

    resolve = ask("db1"); /* its answers have arrived, but have not been passed on yet */
    reply(AF_INET, 0, addresses(1, 0));
    reply(AF_INET6, 0, addresses(1, 0));
    resolve_free(&resolve);
    cr_expect_eq(called, 0);
    resolve_free(&resolve);
}
