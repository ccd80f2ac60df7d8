#include "ctl/lib/sender_names.h"

#include <stdio.h>
#include <stdlib.h>

#include <event2/event.h>

#include "base/address.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/resolve.h"

struct sender_name {
    const char *to;
    struct address host;
    struct resolve *resolve; /* NULL: no look-up is running */
    size_t n, next;
    char why[160]; /* the last look-up failed; "": it did not */
    char found[RESOLVE_MAX][ADDRESS_TCP_SIZE];
};

struct sender_names {
    struct loop *loop; /* used only for look-ups */
    struct sender_name name[SENDER_ENDPOINTS_MAX];
    size_t n;
};

struct sender_names *sender_names_new(const struct sender_endpoint *endpoints, size_t n, struct err *err)
{
    struct loop *loop = loop_new(err);
    if (!loop)
        return NULL;
    struct sender_names *names = mem_zalloc(sizeof(*names));
    names->loop = loop;
    names->n = n;
    for (size_t i = 0; i < n; i++) {
        names->name[i].to = endpoints[i].to;
        if (address_connect(endpoints[i].to, &names->name[i].host, NULL) != 0)
            names->name[i].host.name = false; /* libzmq says what is wrong with it */
    }
    return names;
}

void sender_names_free(struct sender_names **names)
{
    struct sender_names *s = *names;
    *names = NULL;
    if (!s)
        return;
    for (size_t i = 0; i < s->n; i++)
        resolve_free(&s->name[i].resolve);
    loop_free(&s->loop);
    free(s);
}

static void on_resolved(void *ctx, const char *const *numbers, size_t n, const char *why)
{
    struct sender_name *name = ctx;
    name->n = n;
    name->next = 0;
    name->why[0] = '\0';
    if (n == 0)
        snprintf(name->why, sizeof(name->why), "the name cannot be resolved: %s", why);
    for (size_t i = 0; i < n; i++)
        address_tcp(numbers[i], name->host.port, name->found[i]);
    resolve_free(&name->resolve);
}

const char *sender_names_next(struct sender_names *names, size_t endpoint)
{
    struct sender_name *name = &names->name[endpoint];
    if (!name->host.name)
        return name->to;
    if (name->next < name->n)
        return name->found[name->next++];
    if (!name->resolve)
        name->resolve = resolve_start(names->loop, name->host.host, on_resolved, name);
    return NULL;
}

bool sender_names_has_more(const struct sender_names *names, size_t endpoint)
{
    return names->name[endpoint].next < names->name[endpoint].n;
}

void sender_names_forget(struct sender_names *names, size_t endpoint)
{
    names->name[endpoint].n = names->name[endpoint].next = 0;
}

bool sender_names_step(struct sender_names *names)
{
    bool running = false;
    for (size_t i = 0; i < names->n; i++)
        running |= names->name[i].resolve != NULL;
    if (running)
        event_base_loop(loop_base(names->loop), EVLOOP_NONBLOCK);
    return running;
}

bool sender_names_is_name(const struct sender_names *names, size_t endpoint)
{
    return names->name[endpoint].host.name;
}

const char *sender_names_why(const struct sender_names *names, size_t endpoint)
{
    const struct sender_name *name = &names->name[endpoint];
    if (name->why[0] != '\0')
        return name->why;
    return name->resolve && name->n == 0 ? "the name cannot be resolved: the name servers do not answer" : NULL;
}
