#include "ingest/memory_watch.h"

#include <malloc.h>
#include <stdlib.h>

#include <event2/event_struct.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "ingest/connections.h"

/* On loopback up to 1 GB arrives per second: 50 MB between two checks. */
#define CHECK_EVERY_US (50 * CLOCK_MS)
/* If rebinding every endpoint has freed nothing, the memory is not held for peers. Endpoints are rebound again only
 * when it has grown by this much: an endpoint that is rebound continually could not be used. */
#define GROWTH_BYTES ((size_t)64 * 1024 * 1024)
/* Memory of an idle connection with CURVE, measured over 10,000. */
#define CONNECTION_BYTES ((size_t)24 * 1024)
/* For complete messages in the queues of pull and sub: they wait there while the journal is full, and their senders,
 * which may have disconnected by then, are not to blame. */
#define QUEUES_BYTES ((size_t)256 * 1024 * 1024)
/* A connection that holds less is not cut: it may be receiving a single message. */
#define CUT_MIN_BYTES ((uint64_t)256 * 1024)
/* libzmq's I/O thread frees what a connection held some time after the cut; until then no endpoint is rebound. */
#define FREEING_US CLOCK_SECOND
/* Endpoints are rebound only after this long over the limit without a connection to blame: it takes several checks to
 * see which ipc connections are suspect. */
#define SEARCH_US (200 * CLOCK_MS)
/* How often an endpoint that could not be bound is tried again. */
#define REOPEN_EVERY_US CLOCK_SECOND
/* How often connections are assumed to hold nothing, while little memory is in use. */
#define REBASE_EVERY_US CLOCK_MINUTE

struct memory_watch {
    struct loop *loop;
    struct endpoint_set *set;
    void (*on_freed)(void *ctx, struct endpoint *endpoint, bool rebound);
    void *ctx;
    struct event timer;
    size_t start_bytes; /* resident at the start */
    size_t room_bytes;  /* for peers */
    size_t own_bytes;
    size_t extra_bytes;        /* allowed beyond the limit after rebinding every endpoint freed nothing */
    size_t next;               /* number of the endpoint to be rebound next, modulo their count */
    size_t tried;              /* endpoints rebound in this pass over all of them */
    int64_t since_us;          /* monotonic, like the next two lines: over the limit since then; 0: it is not */
    int64_t cut_us, rebase_us; /* of the last cut and rebase */
    int64_t reopen_us;         /* of the last try to open the closed ones */
    struct rate_limiter over, unbound;
};

static void rebind_endpoint(struct memory_watch *watch, struct endpoint *endpoint)
{
    struct err err;
    bool was_closed = !endpoint_is_open(endpoint);
    if (endpoint_rebind(endpoint, &err) != 0) {
        log_limited(&watch->unbound, loop_mono_us(watch->loop), LOG_LEVEL_ERROR, "endpoints", "%s; trying again",
                    err.text);
        return;
    }
    if (was_closed)
        log_info("endpoints", "endpoint %s is open again", endpoint_conf(endpoint)->name);
    watch->unbound = (struct rate_limiter){0};
}

static void reopen_closed(struct memory_watch *watch)
{
    int64_t now_us = loop_mono_us(watch->loop);
    if (now_us - watch->reopen_us < REOPEN_EVERY_US)
        return;
    watch->reopen_us = now_us;
    for (size_t i = 0; i < endpoint_set_count(watch->set); i++)
        if (!endpoint_is_open(endpoint_set_at(watch->set, i)))
            rebind_endpoint(watch, endpoint_set_at(watch->set, i));
}

/* Over all ZeroMQ endpoints. */
static size_t count_connections(struct memory_watch *watch)
{
    size_t n = 0;
    for (size_t i = 0; i < endpoint_set_count(watch->set); i++) {
        const struct connections *connections = endpoint_connections(endpoint_set_at(watch->set, i));
        n += connections ? connections_count(connections) : 0;
    }
    return n;
}

static void for_each_connections(struct memory_watch *watch, void (*call)(struct connections *connections))
{
    for (size_t i = 0; i < endpoint_set_count(watch->set); i++) {
        struct connections *connections = endpoint_connections(endpoint_set_at(watch->set, i));
        if (connections)
            call(connections);
    }
}

/* Whether an endpoint is pull or sub, whose senders get no RETRY. */
static bool has_queues(struct memory_watch *watch)
{
    for (size_t i = 0; i < endpoint_set_count(watch->set); i++) {
        enum conf_socket socket = endpoint_conf(endpoint_set_at(watch->set, i))->socket;
        if (socket == CONF_PULL || socket == CONF_SUB)
            return true;
    }
    return false;
}

static size_t limit_bytes(struct memory_watch *watch)
{
    return watch->start_bytes + watch->room_bytes + watch->own_bytes + count_connections(watch) * CONNECTION_BYTES +
           (has_queues(watch) ? QUEUES_BYTES : 0);
}

/* ---- cutting one connection ---- */

/* Counted loads before suspected ones, the largest first. */
static int compare_loads(const void *left, const void *right)
{
    const struct connection_load *a = left, *b = right;
    if (a->counted != b->counted)
        return a->counted ? -1 : 1;
    return a->held_bytes > b->held_bytes ? -1 : a->held_bytes < b->held_bytes;
}

static size_t gather_loads(struct memory_watch *watch, struct connection_load *ret)
{
    size_t n = 0;
    for (size_t i = 0; i < endpoint_set_count(watch->set); i++) {
        struct endpoint *endpoint = endpoint_set_at(watch->set, i);
        struct connections *connections = endpoint_connections(endpoint);
        n += connections ? connections_loads(connections, endpoint, ret + n) : 0;
    }
    qsort(ret, n, sizeof(*ret), compare_loads);
    return n;
}

/* Returns the bytes that it held; 0: it has already disconnected. */
static uint64_t cut_connection(struct memory_watch *watch, const struct connection_load *load, size_t resident,
                               size_t limit)
{
    char address[PEER_ADDRESS_SIZE], held[48] = "is sending a message that does not end";
    struct endpoint *endpoint = load->owner;
    if (!connections_cut(endpoint_connections(endpoint), load, address))
        return 0;
    if (load->counted)
        snprintf(held, sizeof(held), "holds %llu MiB", (unsigned long long)load->held_bytes >> 20);
    log_limited(&watch->over, loop_mono_us(watch->loop), LOG_LEVEL_WARNING, "memory",
                "%zu MiB resident, over the limit of %zu MiB: endpoint %s: cut the connection from %s, which %s",
                resident >> 20, limit >> 20, endpoint_conf(endpoint)->name, address, held);
    watch->on_freed(watch->ctx, endpoint, false);
    return load->held_bytes;
}

/* Cuts the connections whose load accounts for the memory over the limit; if the counted loads are small compared with
 * the allowance for peers, the most suspect one. Returns the number of connections cut. */
static size_t cut_heaviest(struct memory_watch *watch, size_t resident, size_t limit)
{
    struct connection_load *loads = mem_zalloc((count_connections(watch) + 1) * sizeof(*loads));
    size_t n = gather_loads(watch, loads), counted = 0, cuts = 0;
    uint64_t held = 0, freed = 0;
    for (; counted < n && loads[counted].counted; counted++)
        held += loads[counted].held_bytes;
    if (counted < n && held < watch->room_bytes / 2)
        cuts = cut_connection(watch, &loads[counted], resident, limit) > 0;
    else
        for (size_t i = 0; i < counted && freed < resident - limit && loads[i].held_bytes >= CUT_MIN_BYTES; i++) {
            uint64_t one = cut_connection(watch, &loads[i], resident, limit);
            freed += one;
            cuts += one > 0;
        }
    free(loads);
    return cuts;
}

/* ---- closing endpoints ---- */

static bool is_of_libzmq(const struct endpoint *endpoint)
{
    return endpoint_conf(endpoint)->socket != CONF_TCP;
}

/* The endpoint to be rebound next; NULL: none of libzmq's is left in this pass. */
static struct endpoint *next_endpoint(struct memory_watch *watch)
{
    size_t n = endpoint_set_count(watch->set), of_libzmq = 0;
    for (size_t i = 0; i < n; i++)
        of_libzmq += is_of_libzmq(endpoint_set_at(watch->set, i));
    if (watch->tried >= of_libzmq)
        return NULL;
    struct endpoint *endpoint;
    do
        endpoint = endpoint_set_at(watch->set, watch->next++ % n);
    while (!is_of_libzmq(endpoint));
    return endpoint;
}

/* libzmq's I/O thread frees what the closed socket held, usually before the next check. */
static void rebind_next(struct memory_watch *watch, size_t resident, size_t limit)
{
    struct endpoint *endpoint = next_endpoint(watch);
    int64_t now_us = loop_mono_us(watch->loop);
    if (!endpoint) {
        watch->extra_bytes = resident + GROWTH_BYTES - limit;
        watch->tried = 0;
        log_limited(&watch->over, now_us, LOG_LEVEL_WARNING, "memory",
                    "%zu MiB resident, over the limit of %zu MiB; neither connections nor endpoints account for it",
                    resident >> 20, limit >> 20);
        return;
    }
    log_limited(&watch->over, now_us, LOG_LEVEL_WARNING, "memory",
                "%zu MiB resident, over the limit of %zu MiB, and no connection accounts for it: closing endpoint %s "
                "and binding it again",
                resident >> 20, limit >> 20, endpoint_conf(endpoint)->name);
    rebind_endpoint(watch, endpoint);
    watch->on_freed(watch->ctx, endpoint, true);
    watch->tried++;
}

static void cut_or_rebind(struct memory_watch *watch, size_t resident, size_t limit)
{
    int64_t now_us = loop_mono_us(watch->loop);
    if (cut_heaviest(watch, resident, limit) > 0)
        watch->cut_us = now_us;
    else if (now_us - watch->since_us >= SEARCH_US && now_us - watch->cut_us >= FREEING_US)
        rebind_next(watch, resident, limit);
}

static void note_recovery(struct memory_watch *watch, size_t resident)
{
    watch->extra_bytes = watch->tried = 0;
    watch->since_us = 0;
    log_recover_if_quiet(&watch->over, loop_mono_us(watch->loop), "memory", "%zu MiB resident, below the limit",
                         resident >> 20);
}

static void check_memory(struct memory_watch *watch)
{
    reopen_closed(watch);
    size_t resident = mem_resident_bytes(), limit = limit_bytes(watch), act = limit + watch->extra_bytes;
    int64_t now_us = loop_mono_us(watch->loop);
    if (resident > act) {
        malloc_trim(0);
        resident = mem_resident_bytes();
    }
    if (resident > act) {
        if (watch->since_us == 0)
            watch->since_us = now_us;
        cut_or_rebind(watch, resident, limit);
    } else if (resident <= limit) {
        note_recovery(watch, resident);
    }
    if (resident + watch->room_bytes / 2 > limit)
        for_each_connections(watch, connections_suspect);
    else if (resident + watch->room_bytes / 4 * 3 < limit && now_us - watch->rebase_us >= REBASE_EVERY_US) {
        watch->rebase_us = now_us;
        for_each_connections(watch, connections_rebase);
    }
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct memory_watch *watch = arg;
    check_memory(watch);
    loop_arm(&watch->timer, CHECK_EVERY_US);
}

struct memory_watch *memory_watch_new(struct loop *loop, struct endpoint_set *set, size_t room_bytes,
                                      void (*on_freed)(void *ctx, struct endpoint *endpoint, bool rebound), void *ctx)
{
    struct memory_watch *watch = mem_zalloc(sizeof(*watch));
    watch->loop = loop;
    watch->set = set;
    watch->on_freed = on_freed;
    watch->ctx = ctx;
    watch->start_bytes = mem_resident_bytes();
    watch->room_bytes = room_bytes;
    watch->cut_us = loop_mono_us(loop) - CLOCK_HOUR;
    watch->rebase_us = watch->reopen_us = loop_mono_us(loop);
    evtimer_assign(&watch->timer, loop_base(loop), on_timer, watch);
    loop_arm(&watch->timer, CHECK_EVERY_US);
    return watch;
}

void memory_watch_own(struct memory_watch *watch, size_t bytes)
{
    watch->own_bytes = bytes;
}

void memory_watch_free(struct memory_watch **watch)
{
    if (!*watch)
        return;
    evtimer_del(&(*watch)->timer);
    free(*watch);
    *watch = NULL;
}
