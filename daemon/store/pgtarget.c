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
    /* Without hosts, those of a service or the environment may be as many as the ports. */
    bool has_hosts = options && (option_value(options, "host") || option_value(options, "hostaddr"));
    int ret = has_hosts ? split_hosts(&targets, options, err) : options ? 0 : -1;
    PQconninfoFree(options);
    pgtargets_free(&targets);
    return ret;
}

/* With what libpq would take from the environment and a service: it blocks where it looks a name up itself. */
static PQconninfoOption *parse_complete(const char *conninfo, struct err *err)
{
    struct buf complete = {0};
    conninfo_complete(&complete, conninfo);
    buf_append(&complete, "", 1);
    PQconninfoOption *options = PQconninfoParse(complete.data, NULL);
    if (!options)
        err_set(err, "libpq cannot read what they add");
    buf_free(&complete);
    return options;
}

/* What is the same for all servers. The defaults are for what the conninfo itself does not set: PGAPPNAME and the like
 * are meant for programs that people start. Keepalives detect a dead server while nothing is being sent to it,
 * tcp_user_timeout while something is. */
static char *make_settings(const PQconninfoOption *options, const PQconninfoOption *own, const char *application_name)
{
    const char *const defaults[][2] = {
        {"target_session_attrs", "read-write"}, {"keepalives_idle", "30"},
        {"keepalives_interval", "10"},          {"keepalives_count", "3"},
        {"tcp_user_timeout", "30000"},          {"application_name", application_name},
    };
    struct buf out = {0};
    for (; options->keyword; options++)
        if (options->val)
            conninfo_append(&out, options->keyword, options->val);
    /* libpq takes the last of two values. */
    for (size_t i = 0; i < ARRAY_LEN(defaults); i++)
        if (!option_value(own, defaults[i][0]))
            conninfo_append(&out, defaults[i][0], defaults[i][1]);
    conninfo_append(&out, "client_encoding", "UTF8");
    buf_append(&out, "", 1);
    return out.data;
}

static int take_apart(struct pgtargets *ret, const PQconninfoOption *options, struct err *err)
{
    const char *timeout = option_value(options, "connect_timeout");
    ret->timeout_us = timeout && atoi(timeout) > 0 ? atoi(timeout) * CLOCK_SECOND : TIMEOUT_US;
    return split_hosts(ret, options, err);
}

int pgtargets_parse(struct pgtargets *ret, const char *conninfo, const char *application_name, struct err *err)
{
    *ret = (struct pgtargets){0};
    PQconninfoOption *own = parse_alone(conninfo, err);
    PQconninfoOption *options = own ? parse_complete(conninfo, err) : NULL;
    if (options)
        ret->settings = make_settings(options, own, application_name);
    if (!options || take_apart(ret, options, err) < 0)
        pgtargets_free(ret);
    PQconninfoFree(own);
    PQconninfoFree(options);
    return ret->n > 0 ? 0 : -1;
}

void pgtargets_free(struct pgtargets *targets)
{
    for (size_t i = 0; i < PGTARGET_MAX; i++) {
        free(targets->target[i].host);
        free(targets->target[i].hostaddr);
        free(targets->target[i].port);
    }
    free(targets->settings);
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

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

/* Appends to a comma-separated list. */
static void list_add(struct buf *list, const char *value)
{
    buf_printf(list, "%s%s", list->len > 0 ? "," : "", value);
}

/* Name servers may return an address twice. */
static size_t first_address(const char *const *addresses, size_t n, const char *failed)
{
    bool passed = false;
    for (size_t i = 0; i < n; i++) {
        bool same = strcmp(addresses[i], failed) == 0;
        if (passed && !same)
            return i;
        passed = passed || same;
    }
    return 0;
}

PGconn *pgtarget_connect(const struct pgtargets *targets, const struct pgtarget_turn *turn,
                         const char *const *addresses, size_t n)
{
    const struct pgtarget *target = &targets->target[turn->at];
    size_t first = first_address(addresses, n, turn->failed[turn->at]);
    struct buf conninfo = {0}, hosts = {0}, hostaddrs = {0};
    /* The name once an address: libpq tries them one after the other, and checks certificates against the name. */
    for (size_t i = 0; i < n; i++) {
        list_add(&hosts, target->host);
        list_add(&hostaddrs, addresses[(first + i) % n]);
    }
    buf_append_str(&conninfo, str_from(targets->settings));
    /* What is left out, not empty, libpq takes from the environment or the service file: a list, or a name. */
    conninfo_append(&conninfo, "host", or_empty(n > 0 ? hosts.data : target->host));
    conninfo_append(&conninfo, "hostaddr", or_empty(n > 0 ? hostaddrs.data : target->hostaddr));
    conninfo_append(&conninfo, "port", or_empty(target->port));
    buf_append(&conninfo, "", 1);
    PGconn *conn = PQconnectStart(conninfo.data);
    if (!conn)
        abort(); /* out of memory, the only reason */
    buf_free(&conninfo);
    buf_free(&hosts);
    buf_free(&hostaddrs);
    return conn;
}

/* libpq may have waited for one address alone, or have been refused by what answers there. */
void pgtarget_pass_over(struct pgtarget_turn *turn, const struct pgtargets *targets, const PGconn *conn)
{
    if (conn)
        snprintf(turn->failed[turn->at], sizeof(turn->failed[0]), "%s", PQhostaddr(conn));
    turn->at = (turn->at + 1) % targets->n;
}
