#include "ingest/endpoint_set.h"

#include <stdlib.h>
#include <string.h>

#include <zmq.h>

#include "base/address.h"
#include "base/log.h"
#include "base/mem.h"

/* 256 endpoints of three sockets each, twice in a reload that changes them all, and some more. libzmq allows 1023. */
#define SOCKETS_MAX 4096

struct endpoint_set {
    struct loop *loop;
    void *context;
    struct security *security;
    struct endpoint_calls calls;
    void *ctx;
    struct endpoint **endpoints;
    size_t n;
};

struct endpoint_set *endpoint_set_new(struct loop *loop, const struct endpoint_calls *calls,
                                      void (*refused)(void *ctx, const struct security_refused *refused), void *ctx,
                                      struct err *err)
{
    void *context = zmq_ctx_new();
    if (!context) {
        err_set(err, "cannot create a ZeroMQ context: %s", zmq_strerror(zmq_errno()));
        return NULL;
    }
    zmq_ctx_set(context, ZMQ_MAX_SOCKETS, SOCKETS_MAX);
    struct endpoint_set *set = mem_zalloc(sizeof(*set));
    *set = (struct endpoint_set){.loop = loop, .context = context, .calls = *calls, .ctx = ctx};
    set->calls.on_refused = refused;
    set->security = security_new(loop, context, refused, ctx, err);
    if (!set->security)
        endpoint_set_free(&set);
    return set;
}

void endpoint_set_free(struct endpoint_set **set)
{
    if (!*set)
        return;
    for (size_t i = 0; i < (*set)->n; i++)
        endpoint_free(&(*set)->endpoints[i]);
    free((*set)->endpoints);
    security_free(&(*set)->security);
    zmq_ctx_term((*set)->context);
    free(*set);
    *set = NULL;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_security(const struct conf_endpoint *a, const struct conf_endpoint *b)
{
    return a->socket == CONF_TCP || (a->curve == b->curve && security_checks_peers(a) == security_checks_peers(b) &&
                                     same_text(a->secret, b->secret) && same_text(a->server_key, b->server_key));
}

/* Whether two configurations open the same socket. */
static bool same_endpoint(const struct conf_endpoint *a, const struct conf_endpoint *b)
{
    if (strcmp(a->name, b->name) != 0 || strcmp(a->address, b->address) != 0 || a->bind != b->bind ||
        a->socket != b->socket || a->n_topics != b->n_topics || !same_security(a, b))
        return false;
    for (size_t i = 0; i < a->n_topics; i++)
        if (strcmp(a->topics[i], b->topics[i]) != 0)
            return false;
    return true;
}

static struct endpoint *find_same(const struct endpoint_set *set, const struct conf_endpoint *conf)
{
    for (size_t i = 0; i < set->n; i++)
        if (same_endpoint(endpoint_conf(set->endpoints[i]), conf))
            return set->endpoints[i];
    return NULL;
}

static bool holds(struct endpoint *const *list, size_t n, const struct endpoint *endpoint)
{
    for (size_t i = 0; i < n; i++)
        if (list[i] == endpoint)
            return true;
    return false;
}

static bool collides(const char *a, const char *b)
{
    struct address one, other;
    return address_bind(a, &one, NULL) == 0 && address_bind(b, &other, NULL) == 0 && address_collides(&one, &other);
}

/* Index of the running endpoint that is going away and whose address conf takes over; -1: none. */
static int taken_over(const struct endpoint_set *set, struct endpoint *const *next, size_t n_next,
                      const struct conf_endpoint *conf)
{
    for (size_t i = 0; conf->bind && i < set->n; i++) {
        if (!set->endpoints[i] || holds(next, n_next, set->endpoints[i]))
            continue;
        const struct conf_endpoint *old = endpoint_conf(set->endpoints[i]);
        if (old->bind && collides(old->address, conf->address))
            return (int)i;
    }
    return -1;
}

static struct endpoint *open_one(struct endpoint_set *set, const struct conf_endpoint *conf, struct err *err)
{
    return endpoint_new(set->loop, set->context, conf, &set->calls, set->ctx, err);
}

/* An endpoint that had to be closed before its successor could be bound. */
struct closed {
    const struct conf_endpoint *conf;
    size_t at;
};

/* Opens the new endpoints of conf that bind, or those that connect, and that take over no address. */
static int open_free(struct endpoint_set *set, const struct conf *conf, bool bind, struct endpoint **next,
                     struct err *err)
{
    for (size_t i = 0; i < conf->n_endpoints; i++) {
        if (next[i] || conf->endpoints[i].bind != bind ||
            taken_over(set, next, conf->n_endpoints, &conf->endpoints[i]) >= 0)
            continue;
        next[i] = open_one(set, &conf->endpoints[i], err);
        if (!next[i])
            return -1;
    }
    return 0;
}

/* Opens the others that bind. An endpoint whose address is taken over is closed just before and recorded in closed. */
static int open_taken_over(struct endpoint_set *set, const struct conf *conf, struct endpoint **next,
                           struct closed *closed, size_t *n_closed, struct err *err)
{
    for (size_t i = 0; i < conf->n_endpoints; i++) {
        if (next[i] || !conf->endpoints[i].bind)
            continue;
        for (int old; (old = taken_over(set, next, conf->n_endpoints, &conf->endpoints[i])) >= 0;) {
            closed[(*n_closed)++] = (struct closed){.conf = endpoint_conf(set->endpoints[old]), .at = (size_t)old};
            endpoint_free(&set->endpoints[old]);
        }
        next[i] = open_one(set, &conf->endpoints[i], err);
        if (!next[i])
            return -1;
    }
    return 0;
}

/* Undoes them: closes what they opened, reopens what they closed. */
static void go_back(struct endpoint_set *set, struct endpoint **next, size_t n_next, const struct closed *closed,
                    size_t n_closed)
{
    for (size_t i = 0; i < n_next; i++)
        if (next[i] && !holds(set->endpoints, set->n, next[i]))
            endpoint_free(&next[i]);
    for (size_t i = 0; i < n_closed; i++) {
        struct err err;
        struct endpoint *endpoint = endpoint_new_closed(set->loop, set->context, closed[i].conf, &set->calls, set->ctx);
        if (endpoint_rebind(endpoint, &err) != 0)
            log_error("reload", "%s; trying again", err.text);
        set->endpoints[closed[i].at] = endpoint;
    }
}

/* Before anything is closed: detects a key that is not accessible. */
static int check_secrets(const struct conf *conf, struct err *err)
{
    for (size_t i = 0; i < conf->n_endpoints; i++)
        if (conf->endpoints[i].curve && !conf->endpoints[i].secret)
            return err_set(err, "endpoint %s: cannot use CURVE: %s is out of reach", conf->endpoints[i].name,
                           conf->endpoints[i].secret_key ? conf->endpoints[i].secret_key : conf->security.server_key);
    return 0;
}

int endpoint_set_apply(struct endpoint_set *set, const struct conf *conf, struct err *err)
{
    if (check_secrets(conf, err) != 0)
        return -1;
    struct endpoint **next = mem_zalloc(conf->n_endpoints * sizeof(struct endpoint *));
    struct closed *closed = mem_zalloc(set->n * sizeof(*closed));
    size_t n_closed = 0;
    for (size_t i = 0; i < conf->n_endpoints; i++)
        next[i] = find_same(set, &conf->endpoints[i]);
    /* If an address is not free, nothing has been closed; and if it cannot be taken over either, nothing has been
     * connected: a connected sender may hand over messages at once, which would be lost with the set. */
    int rc = open_free(set, conf, true, next, err);
    if (rc == 0)
        rc = open_taken_over(set, conf, next, closed, &n_closed, err);
    if (rc == 0)
        rc = open_free(set, conf, false, next, err);
    if (rc != 0) {
        go_back(set, next, conf->n_endpoints, closed, n_closed);
        free(next);
    } else {
        for (size_t i = 0; i < set->n; i++)
            if (set->endpoints[i] && !holds(next, conf->n_endpoints, set->endpoints[i]))
                endpoint_free(&set->endpoints[i]);
        for (size_t i = 0; i < conf->n_endpoints; i++)
            endpoint_reconfigure(next[i], &conf->endpoints[i]);
        free(set->endpoints);
        set->endpoints = next;
        set->n = conf->n_endpoints;
        security_use(set->security, conf);
    }
    free(closed);
    return rc;
}

int endpoint_set_check_open(const struct endpoint_set *set, struct err *err)
{
    for (size_t i = 0; i < set->n; i++)
        if (!endpoint_is_open(set->endpoints[i]))
            return err_set(err, "endpoint %s is not open", endpoint_conf(set->endpoints[i])->name);
    return 0;
}

struct security *endpoint_set_security(const struct endpoint_set *set)
{
    return set->security;
}

size_t endpoint_set_count(const struct endpoint_set *set)
{
    return set->n;
}

struct endpoint *endpoint_set_at(const struct endpoint_set *set, size_t i)
{
    return set->endpoints[i];
}
