#include "ingest/memory_watch.h"

#include <malloc.h>
#include <stdlib.h>

#include <event2/event_struct.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

/* On loopback up to 1 GB arrives a second, so every look later is 50 MB more. */
#define LOOK_EVERY_US (50 * CLOCK_MS)
/* Where a round over all endpoints has freed nothing the memory is not the peers'. The next round begins when there is
 * this much more of it: an endpoint that is closed again and again would answer nobody. */
#define GROWTH_BYTES ((size_t)64 * 1024 * 1024)

struct memory_watch {
    struct loop *loop;
    struct endpoint_set *set;
    void (*rebound)(void *ctx, struct endpoint *endpoint);
    void *ctx;
    struct event timer;
    size_t start_bytes; /* what the process had then, and the room for peers */
    size_t limit_bytes; /* that, and what it has taken for itself */
    size_t act_bytes;   /* above this: the limit, or more after a round that freed nothing */
    size_t turn;        /* whose turn it is to be closed */
    size_t tried;       /* endpoints that were closed in this round */
};

static void rebind(struct memory_watch *watch, struct endpoint *endpoint)
{
    struct err err;
    if (endpoint_rebind(endpoint, &err) != 0)
        log_error("memory", "%s; trying again", err.text);
    watch->rebound(watch->ctx, endpoint);
}

static void reopen_closed(struct memory_watch *watch)
{
    for (size_t i = 0; i < endpoint_set_count(watch->set); i++)
        if (!endpoint_is_open(endpoint_set_at(watch->set, i)))
            rebind(watch, endpoint_set_at(watch->set, i));
}

/* Whose turn it is; NULL: none is of ZeroMQ. */
static struct endpoint *next_endpoint(struct memory_watch *watch)
{
    size_t n = endpoint_set_count(watch->set);
    for (size_t i = 0; i < n; i++) {
        struct endpoint *endpoint = endpoint_set_at(watch->set, watch->turn++ % n);
        if (endpoint_conf(endpoint)->socket != CONF_TCP)
            return endpoint;
    }
    return NULL;
}

/* The memory is over the limit. What a closed socket held is freed by libzmq's I/O thread in its own time, as a rule
 * before the next look. */
static void cut_off(struct memory_watch *watch, size_t resident)
{
    struct endpoint *endpoint = next_endpoint(watch);
    if (!endpoint || watch->tried == endpoint_set_count(watch->set)) {
        watch->act_bytes = resident + GROWTH_BYTES;
        watch->tried = 0;
        log_warning("memory", "%zu MiB resident, and no endpoint gave any of it back", resident >> 20);
        return;
    }
    log_warning("memory",
                "%zu MiB resident, over the limit of %zu MiB: endpoint %s is closed and opened anew, to cut off a peer "
                "that sends without end",
                resident >> 20, watch->limit_bytes >> 20, endpoint_conf(endpoint)->name);
    rebind(watch, endpoint);
    watch->tried++;
}

static void look(struct memory_watch *watch)
{
    reopen_closed(watch);
    size_t resident = mem_resident_bytes();
    if (resident > watch->act_bytes) {
        malloc_trim(0);
        resident = mem_resident_bytes();
    }
    if (resident > watch->act_bytes)
        cut_off(watch, resident);
    else if (resident <= watch->limit_bytes) {
        watch->act_bytes = watch->limit_bytes;
        watch->tried = 0;
    }
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct memory_watch *watch = arg;
    look(watch);
    loop_arm(&watch->timer, LOOK_EVERY_US);
}

struct memory_watch *memory_watch_new(struct loop *loop, struct endpoint_set *set, size_t room_bytes,
                                      void (*rebound)(void *ctx, struct endpoint *endpoint), void *ctx)
{
    struct memory_watch *watch = mem_zalloc(sizeof(*watch));
    watch->loop = loop;
    watch->set = set;
    watch->rebound = rebound;
    watch->ctx = ctx;
    watch->start_bytes = watch->limit_bytes = watch->act_bytes = mem_resident_bytes() + room_bytes;
    evtimer_assign(&watch->timer, loop_base(loop), on_timer, watch);
    loop_arm(&watch->timer, LOOK_EVERY_US);
    return watch;
}

void memory_watch_own(struct memory_watch *watch, size_t bytes)
{
    bool at_limit = watch->act_bytes <= watch->limit_bytes;
    watch->limit_bytes = watch->start_bytes + bytes;
    if (at_limit || watch->act_bytes < watch->limit_bytes)
        watch->act_bytes = watch->limit_bytes;
}

void memory_watch_free(struct memory_watch **watch)
{
    if (!*watch)
        return;
    evtimer_del(&(*watch)->timer);
    free(*watch);
    *watch = NULL;
}
