#include "base/loop.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

struct loop {
    struct event_base *base;
    int64_t mono_us, wall_us;
    bool read; /* the clocks have been read in this turn */
    bool stop;
};

/* libevent has one log for the whole process, and may repeat a message about a descriptor endlessly. */
static void on_libevent_log(int severity, const char *text)
{
    static struct rate_limiter limiter;
    if (severity >= EVENT_LOG_WARN)
        log_limited(&limiter, clock_mono_us(), severity == EVENT_LOG_ERR ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING,
                    "libevent", "%s", text);
}

struct loop *loop_new(struct err *err)
{
    event_set_log_callback(on_libevent_log);
    struct event_base *base = event_base_new();
    if (!base) {
        err_set(err, "libevent has no usable event backend on this system");
        return NULL;
    }
    struct loop *loop = mem_zalloc(sizeof(*loop));
    loop->base = base;
    return loop;
}

void loop_free(struct loop **loop)
{
    if (!*loop)
        return;
    event_base_loop((*loop)->base, EVLOOP_NONBLOCK);
    event_base_free((*loop)->base);
    free(*loop);
    *loop = NULL;
}

struct event_base *loop_base(const struct loop *loop)
{
    return loop->base;
}

void loop_turn(struct loop *loop)
{
    loop->read = false;
    event_base_loop(loop->base, EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY);
}

void loop_run(struct loop *loop)
{
    loop->stop = false;
    while (!loop->stop)
        loop_turn(loop);
}

void loop_stop(struct loop *loop)
{
    loop->stop = true;
}

void loop_refresh(struct loop *loop)
{
    loop->mono_us = clock_mono_us();
    loop->wall_us = clock_wall_us();
    loop->read = true;
}

int64_t loop_mono_us(struct loop *loop)
{
    if (!loop->read)
        loop_refresh(loop);
    return loop->mono_us;
}

int64_t loop_wall_us(struct loop *loop)
{
    if (!loop->read)
        loop_refresh(loop);
    return loop->wall_us;
}

void loop_arm(struct event *timer, int64_t us)
{
    if (us < 0)
        us = 0;
    struct timeval tv = {.tv_sec = us / CLOCK_SECOND, .tv_usec = us % CLOCK_SECOND};
    evtimer_add(timer, &tv);
}
