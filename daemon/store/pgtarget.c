#include "store/pgtarget.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "store/conninfo.h"

#define TIMEOUT_US (10 * CLOCK_SECOND)

static const char *option_value(const PQconninfoOption *options, const char *keyword)
{
    for (; options->keyword; options++)
        if (strcmp(options->keyword, keyword) == 0)
            return options->val && *options->val ? options->val : NULL;
    return NULL;
}

static size_t count_elements(const char *list)
{
    size_t n = list ? 1 : 0;
    for (; list && *list; list++)
        n += *list == ',';
    return n;
}

/* Element i of a comma-separated list; NULL if the list or the element is empty. */
static char *list_element(const char *list, size_t i)
{
    if (!list)
        return NULL;
    while (i-- > 0)
        list = strchr(list, ',') + 1;
    size_t len = strcspn(list, ",");
    return len > 0 ? mem_strndup(list, len) : NULL;
}

static int split_hosts(struct pgtargets *targets, const PQconninfoOption *options, struct err *err)
{
    const char *host = option_value(options, "host");
    const char *hostaddr = option_value(options, "hostaddr");
    const char *port = option_value(options, "port");
    size_t hosts = count_elements(host), addresses = count_elements(hostaddr), ports = count_elements(port);
    if (hosts > 0 && addresses > 0 && hosts != addresses)
        return err_set(err, "%zu hosts and %zu values of hostaddr (expected as many of both, or one of them only)",
                       hosts, addresses);
    size_t n = hosts > addresses ? hosts : addresses;
    targets->n = n > 0 ? n : 1;
    if (ports > 1 && ports != targets->n)
        return err_set(err, "%zu hosts and %zu ports (expected one port, or one per host)", targets->n, ports);
    if (targets->n > PGTARGET_MAX)
        return err_set(err, "%zu hosts (expected at most %d)", targets->n, PGTARGET_MAX);
    for (size_t i = 0; i < targets->n; i++) {
        targets->target[i].host = list_element(host, i);
        targets->target[i].hostaddr = list_element(hostaddr, i);
        targets->target[i].port = list_element(port, ports == 1 ? 0 : i);
    }
    return port ? conninfo_check_ports(port, err) : 0;
}

static PQconninfoOption *parse_alone(const char *conninfo, struct err *err)
{
    PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
    if (!options)
        err_set(err, "not a conninfo (expected \"key=value ...\" or \"postgresql://...\", as in the manual of libpq)");
    else if (conninfo_check(conninfo, err) == 0)
        return options;
    PQconninfoFree(options);
    return NULL;
}

int pgtargets_check(const char *conninfo, struct err *err)
{
    struct pgtargets targets = {0};
    PQconninfoOption *options = parse_alone(conninfo, err);
    int ret = options ? split_hosts(&targets, options, err) : -1;
    PQconninfoFree(options);
    pgtargets_free(&targets);
    return ret;
}

/* With what libpq would take from the environment and a service: it blocks where it looks a name up itself. */
static PQconninfoOption *parse_complete(const char *conninfo, struct err *err)
{
    struct buf complete = {0};
    PQconninfoOption *options = parse_alone(conninfo, err);
    if (!options)
        return NULL;
    PQconninfoFree(options);
    conninfo_complete(&complete, conninfo);
    buf_append(&complete, "", 1);
    options = PQconninfoParse(complete.data, NULL);
    if (!options)
        err_set(err, "libpq cannot read what they add");
    buf_free(&complete);
    return options;
}

int pgtargets_parse(struct pgtargets *ret, const char *conninfo, struct err *err)
{
    *ret = (struct pgtargets){.timeout_us = TIMEOUT_US};
    ret->options = parse_complete(conninfo, err);
    if (!ret->options)
        return -1;
    const char *timeout = option_value(ret->options, "connect_timeout");
    if (timeout && atoi(timeout) > 0)
        ret->timeout_us = atoi(timeout) * CLOCK_SECOND;
    if (split_hosts(ret, ret->options, err) < 0) {
        pgtargets_free(ret);
        return -1;
    }
    return 0;
}

void pgtargets_free(struct pgtargets *targets)
{
    for (size_t i = 0; i < PGTARGET_MAX; i++) {
        free(targets->target[i].host);
        free(targets->target[i].hostaddr);
        free(targets->target[i].port);
    }
    PQconninfoFree(targets->options);
    *targets = (struct pgtargets){0};
}

const char *pgtarget_name(const struct pgtarget *target)
{
    unsigned char address[sizeof(struct in6_addr)];
    const char *host = target->host;
    if (target->hostaddr || conninfo_is_socket(host))
        return NULL;
    /* An IPv6 address may carry a zone (fe80::1%eth0), which inet_pton() does not know. */
    return strchr(host, ':') || inet_pton(AF_INET, host, address) == 1 ? NULL : host;
}

void pgtarget_describe(const struct pgtarget *target, char *out, size_t size)
{
    const char *host = target->host ? target->host : target->hostaddr ? target->hostaddr : "the default host";
    snprintf(out, size, "%s%s%s", host, target->port ? " port " : "", target->port ? target->port : "");
}

/* The parameters of libpq, as its two arrays. */
struct params {
    const char *keys[64], *values[64];
    size_t n;
};

static void add_param(struct params *params, const char *key, const char *value)
{
    if (!value)
        return;
    if (params->n + 1 == ARRAY_LEN(params->keys))
        abort(); /* libpq 15 knows 41 keys */
    params->keys[params->n] = key;
    params->values[params->n++] = value;
}

/* Defaults for what the conninfo does not set. Keepalives detect a dead server while nothing is being sent to it,
 * tcp_user_timeout while something is. */
static void add_defaults(struct params *params, const PQconninfoOption *options, const char *application_name)
{
    const char *const defaults[][2] = {
        {"target_session_attrs", "read-write"}, {"keepalives_idle", "30"},
        {"keepalives_interval", "10"},          {"keepalives_count", "3"},
        {"tcp_user_timeout", "30000"},          {"application_name", application_name},
    };
    for (size_t i = 0; i < ARRAY_LEN(defaults); i++)
        if (!option_value(options, defaults[i][0]))
            add_param(params, defaults[i][0], defaults[i][1]);
    add_param(params, "client_encoding", "UTF8");
}

/* Appends to a comma-separated list. */
static void list_add(struct buf *list, const char *value)
{
    buf_printf(list, "%s%s", list->len > 0 ? "," : "", value);
}

PGconn *pgtarget_connect(const struct pgtargets *targets, const struct pgtarget *target, const char *const *addresses,
                         size_t n, unsigned turn, const char *application_name)
{
    static const char *const ours[] = {"host", "hostaddr", "port", "client_encoding"};
    struct params params = {0};
    struct buf hosts = {0}, hostaddrs = {0};
    for (const PQconninfoOption *at = targets->options; at->keyword; at++) {
        bool left_out = false;
        for (size_t i = 0; i < ARRAY_LEN(ours); i++)
            left_out |= strcmp(at->keyword, ours[i]) == 0;
        if (!left_out)
            add_param(&params, at->keyword, at->val);
    }
    /* The name once an address: libpq tries them one after the other, and checks certificates against the name. */
    for (size_t i = 0; i < n; i++) {
        list_add(&hosts, target->host);
        list_add(&hostaddrs, addresses[(turn + i) % n]);
    }
    add_param(&params, "host", n > 0 ? hosts.data : target->host);
    add_param(&params, "hostaddr", n > 0 ? hostaddrs.data : target->hostaddr);
    add_param(&params, "port", target->port);
    add_defaults(&params, targets->options, application_name);
    PGconn *conn = PQconnectStartParams(params.keys, params.values, 0);
    if (!conn)
        abort(); /* out of memory, the only reason */
    buf_free(&hosts);
    buf_free(&hostaddrs);
    return conn;
}
