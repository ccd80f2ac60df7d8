#include "ingest/remote.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event_struct.h>
#include <zmq.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/resolve.h"

/* How often the connection is checked. */
#define CHECK_EVERY_US CLOCK_SECOND
/* Without a connection for this long, the name is looked up again. */
#define NEXT_US (5 * CLOCK_SECOND)
/* The same if a peer has accepted a connection, so that libzmq's limit of 5 s for a handshake expires first. */
#define HANDSHAKE_US (10 * CLOCK_SECOND)

struct remote {
    struct remote_socket of;
    char *address; /* of the configuration */
    char subject[80];
    struct address host;
    char target[ADDRESS_TCP_SIZE]; /* what libzmq is connecting to; "": nothing yet */
    struct event check;            /* armed if the host is a name */
    struct resolve *resolve;       /* NULL: no look-up is running */
    bool reached_when_asked;       /* a peer had accepted a connection when that began */
    int64_t waiting_since_us;      /* monotonic: there was a connection, or a look-up has ended, whichever is later */
    struct rate_limiter limiter;
};

static bool disconnect(struct remote *remote)
{
    if (remote->of.has_waiting(remote->of.ctx))
        return false;
    zmq_disconnect(remote->of.socket, remote->target);
    connections_forget(remote->of.connections);
    return true;
}

static void warn_unconnected(struct remote *remote, const char *what, const char *why)
{
    log_limited(&remote->limiter, loop_mono_us(remote->of.loop), LOG_LEVEL_WARNING, remote->subject,
                "cannot connect to %s: %s: %s", remote->address, what, why);
}

/* A minute after the last failure was logged: name servers may fail every other time. */
static void recover(struct remote *remote)
{
    log_recover_if_quiet(&remote->limiter, loop_mono_us(remote->of.loop), remote->subject, "the name of %s is resolved",
                         remote->address);
}

/* The target after the present one, which name servers may return twice; the first one if the present one is not among
 * them. */
static void next_target(const struct remote *remote, const char *const *numbers, size_t n, char ret[ADDRESS_TCP_SIZE])
{
    bool passed = false;
    for (size_t i = 0; i < n; i++) {
        address_tcp(numbers[i], remote->host.port, ret);
        bool present = strcmp(ret, remote->target) == 0;
        if (passed && !present)
            return;
        passed = passed || present;
    }
    address_tcp(numbers[0], remote->host.port, ret);
}

/* If that cannot be done now, another attempt follows the next look-up. */
static void move_to(struct remote *remote, const char *target)
{
    bool has_target = remote->target[0] != '\0';
    if (strcmp(target, remote->target) == 0)
        return;
    if (has_target && !disconnect(remote))
        return;
    if (zmq_connect(remote->of.socket, target) == 0) {
        snprintf(remote->target, sizeof(remote->target), "%s", target);
        return;
    }
    warn_unconnected(remote, target, zmq_strerror(zmq_errno()));
    remote->target[0] = '\0';
}

/* Whether there is a connection, or one has reached its handshake since the name was looked up. */
static bool is_reached(const struct remote *remote)
{
    connections_refresh(remote->of.connections);
    return connections_established(remote->of.connections) ||
           (!remote->reached_when_asked && connections_count(remote->of.connections) > 0);
}

static void on_resolved(void *ctx, const char *const *numbers, size_t n, const char *why)
{
    struct remote *remote = ctx;
    char target[ADDRESS_TCP_SIZE];
    remote->waiting_since_us = loop_mono_us(remote->of.loop);
    if (n == 0)
        warn_unconnected(remote, "the name cannot be resolved", why);
    else
        recover(remote);
    if (n > 0 && !is_reached(remote)) {
        next_target(remote, numbers, n, target);
        move_to(remote, target);
    }
    resolve_free(&remote->resolve);
}

static void look_up(struct remote *remote)
{
    remote->reached_when_asked = connections_count(remote->of.connections) > 0;
    remote->resolve = resolve_start(remote->of.loop, remote->host.host, on_resolved, remote);
}

static void on_check(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct remote *remote = arg;
    int64_t now_us = loop_mono_us(remote->of.loop);
    bool reached = connections_count(remote->of.connections) > 0;
    if (connections_established(remote->of.connections)) {
        remote->waiting_since_us = now_us;
        recover(remote);
    } else if (!remote->resolve && now_us - remote->waiting_since_us >= (reached ? HANDSHAKE_US : NEXT_US)) {
        look_up(remote);
    }
    loop_arm(&remote->check, CHECK_EVERY_US);
}

struct remote *remote_new(const struct remote_socket *socket, const char *name, const char *address, struct err *err)
{
    struct remote *remote = mem_zalloc(sizeof(*remote));
    remote->of = *socket;
    remote->address = mem_strdup(address);
    snprintf(remote->subject, sizeof(remote->subject), "endpoint %s", name);
    evtimer_assign(&remote->check, loop_base(socket->loop), on_check, remote);
    if (address_connect(address, &remote->host, NULL) == 0 && remote->host.name) {
        look_up(remote);
        loop_arm(&remote->check, CHECK_EVERY_US);
    } else if (zmq_connect(socket->socket, address) == 0) {
        snprintf(remote->target, sizeof(remote->target), "%s", address);
    } else {
        err_set(err, "endpoint %s: cannot connect to %s: %s", name, address, zmq_strerror(zmq_errno()));
        remote_free(&remote);
    }
    return remote;
}

void remote_free(struct remote **remote)
{
    struct remote *r = *remote;
    *remote = NULL;
    if (!r)
        return;
    event_del(&r->check);
    resolve_free(&r->resolve);
    free(r->address);
    free(r);
}

bool remote_reconnect(struct remote *remote)
{
    return disconnect(remote) && zmq_connect(remote->of.socket, remote->target) == 0;
}
