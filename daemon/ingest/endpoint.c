#include "ingest/endpoint.h"

#include <stdlib.h>

#include <xxhash.h>

#include "base/mem.h"
#include "ingest/endpoint_transport.h"

struct endpoint *endpoint_new_closed(struct loop *loop, void *context, const struct conf_endpoint *conf,
                                     const struct endpoint_calls *calls, void *ctx)
{
    struct endpoint *endpoint = mem_zalloc(sizeof(*endpoint));
    *endpoint = (struct endpoint){.loop = loop, .context = context, .conf = conf, .calls = *calls, .ctx = ctx};
    endpoint->kind = conf->socket == CONF_TCP ? &endpoint_tcp : &endpoint_zmq;
    endpoint->transport = endpoint->kind->create(endpoint);
    return endpoint;
}

struct endpoint *endpoint_new(struct loop *loop, void *context, const struct conf_endpoint *conf,
                              const struct endpoint_calls *calls, void *ctx, struct err *err)
{
    struct endpoint *endpoint = endpoint_new_closed(loop, context, conf, calls, ctx);
    if (endpoint_rebind(endpoint, err) != 0)
        endpoint_free(&endpoint);
    return endpoint;
}

void endpoint_free(struct endpoint **endpoint)
{
    if (!*endpoint)
        return;
    (*endpoint)->kind->close((*endpoint)->transport);
    free(*endpoint);
    *endpoint = NULL;
}

bool endpoint_drain(struct endpoint *endpoint, unsigned budget)
{
    return endpoint->kind->drain(endpoint->transport, budget);
}

bool endpoint_reply(struct endpoint *endpoint, const struct endpoint_peer *peer, struct str word, struct str id,
                    struct str detail, const struct str *flags)
{
    return endpoint->kind->reply(endpoint->transport, peer, word, id, detail, flags);
}

uint64_t endpoint_peer_hash(const struct endpoint *endpoint, const struct endpoint_peer *peer)
{
    return XXH3_64bits_withSeed(peer->id, peer->id_len, (uintptr_t)endpoint);
}

void endpoint_replied(struct endpoint *endpoint)
{
    endpoint->kind->replied(endpoint->transport);
}

bool endpoint_is_ready(const struct endpoint *endpoint)
{
    return endpoint->kind->is_ready(endpoint->transport);
}

int endpoint_rebind(struct endpoint *endpoint, struct err *err)
{
    return endpoint->kind->rebind(endpoint->transport, err);
}

bool endpoint_is_open(const struct endpoint *endpoint)
{
    return endpoint->kind->is_open(endpoint->transport);
}

struct connections *endpoint_connections(const struct endpoint *endpoint)
{
    return endpoint->kind->connections(endpoint->transport);
}

void endpoint_reconfigure(struct endpoint *endpoint, const struct conf_endpoint *conf)
{
    endpoint->conf = conf;
    endpoint->kind->reconfigure(endpoint->transport);
}

const struct conf_endpoint *endpoint_conf(const struct endpoint *endpoint)
{
    return endpoint->conf;
}

struct endpoint_state *endpoint_state_of(const struct endpoint *endpoint)
{
    return endpoint->state;
}

void endpoint_set_state(struct endpoint *endpoint, struct endpoint_state *state)
{
    endpoint->state = state;
}
