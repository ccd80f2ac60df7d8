/* An endpoint on raw TCP: ingest/tcp.h, whose connections are the peers. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ingest/endpoint_transport.h"
#include "ingest/tcp.h"

struct endpoint_tcp {
    struct endpoint *endpoint;
    struct tcp *tcp; /* NULL: closed */
    bool failed;     /* the last try to open it */
};

static void on_ready(void *ctx)
{
    struct endpoint *endpoint = ctx;
    endpoint->calls.on_ready(endpoint->ctx, endpoint);
}

static bool on_frame(void *ctx, uint64_t connection, const char *address, enum dc09_result result,
                     const struct dc09_frame *frame)
{
    struct endpoint *endpoint = ctx;
    struct endpoint_message message = {
        .peer.id_len = sizeof(connection), .payload = frame->raw, .frame = frame, .result = result, .address = address};
    memcpy(message.peer.id, &connection, sizeof(connection));
    return endpoint->calls.on_message(endpoint->ctx, endpoint, &message);
}

static void on_cut(void *ctx)
{
    struct endpoint *endpoint = ctx;
    endpoint->calls.on_cut(endpoint->ctx, endpoint);
}

static void close_tcp(void *transport)
{
    struct endpoint_tcp *t = transport;
    tcp_free(&t->tcp);
    free(t);
}

static void *create_tcp(struct endpoint *endpoint)
{
    struct endpoint_tcp *t = mem_zalloc(sizeof(*t));
    t->endpoint = endpoint;
    return t;
}

static bool drain(void *transport, unsigned budget)
{
    struct tcp *tcp = ((struct endpoint_tcp *)transport)->tcp;
    return tcp && tcp_drain(tcp, budget);
}

static bool reply(void *transport, const struct endpoint_peer *peer, struct str word, struct str id, struct str detail,
                  const struct str *flags)
{
    struct tcp *tcp = ((struct endpoint_tcp *)transport)->tcp;
    uint64_t connection;
    (void)word, (void)id, (void)flags;
    memcpy(&connection, peer->id, sizeof(connection));
    return tcp && tcp_reply(tcp, connection, detail);
}

static void replied(void *transport)
{
    struct tcp *tcp = ((struct endpoint_tcp *)transport)->tcp;
    if (tcp)
        tcp_replied(tcp);
}

static bool is_ready(const void *transport)
{
    const struct tcp *tcp = ((const struct endpoint_tcp *)transport)->tcp;
    return tcp && tcp_is_ready(tcp);
}

static bool is_open(const void *transport)
{
    return ((const struct endpoint_tcp *)transport)->tcp;
}

/* Must be closed. TCP endpoints limit their own queues, so the memory watch rebinds no other. */
static int rebind(void *transport, struct err *err)
{
    static const struct tcp_calls calls = {.on_ready = on_ready, .on_frame = on_frame, .on_cut = on_cut};
    struct endpoint_tcp *t = transport;
    assert(!t->tcp);
    int patience_ms = t->failed ? 0 : BIND_PATIENCE_MS;
    t->tcp = tcp_new(t->endpoint->loop, t->endpoint->conf, patience_ms, &calls, t->endpoint, err);
    t->failed = !t->tcp;
    return t->failed ? -1 : 0;
}

static struct connections *connections_of(const void *transport)
{
    (void)transport;
    return NULL;
}

static void reconfigure(void *transport)
{
    const struct endpoint_tcp *t = transport;
    if (t->tcp)
        tcp_reconfigure(t->tcp, t->endpoint->conf);
}

const struct endpoint_transport endpoint_tcp = {
    .create = create_tcp,
    .close = close_tcp,
    .drain = drain,
    .reply = reply,
    .replied = replied,
    .is_ready = is_ready,
    .is_open = is_open,
    .rebind = rebind,
    .connections = connections_of,
    .reconfigure = reconfigure,
};
