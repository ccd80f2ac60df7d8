/*
 * Time that passes when a test says so, in place of the system's clocks and libevent's timers; and what was logged
 * meanwhile.
 */
#ifndef MOBEYE_TESTS_PLAYED_TIME_H
#define MOBEYE_TESTS_PLAYED_TIME_H

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <event2/event_struct.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"

static struct {
    bool plays; /* in a test; Criterion's own time is real */
    int64_t passed_us;
    struct {
        struct event *event;
        int64_t due_us; /* of passed_us */
    } timers[8];
    size_t n;
} played_time;

int clock_gettime(clockid_t id, struct timespec *ret)
{
    if (!played_time.plays)
        return (int)syscall(SYS_clock_gettime, id, ret);
    int64_t us = played_time.passed_us + (id == CLOCK_REALTIME ? INT64_C(1795467851) : INT64_C(1000)) * CLOCK_SECOND;
    *ret = (struct timespec){.tv_sec = us / CLOCK_SECOND, .tv_nsec = us % CLOCK_SECOND * 1000};
    return 0;
}

int event_del(struct event *event)
{
    for (size_t i = 0; i < played_time.n; i++)
        if (played_time.timers[i].event == event)
            played_time.timers[i] = played_time.timers[--played_time.n];
    return 0;
}

/* Of timers only. */
int event_add(struct event *event, const struct timeval *after)
{
    event_del(event);
    cr_assert_lt(played_time.n, sizeof(played_time.timers) / sizeof(played_time.timers[0]));
    played_time.timers[played_time.n].event = event;
    played_time.timers[played_time.n++].due_us = played_time.passed_us + after->tv_sec * CLOCK_SECOND + after->tv_usec;
    return 0;
}

int event_pending(const struct event *event, short what, struct timeval *ret)
{
    (void)ret;
    for (size_t i = 0; i < played_time.n; i++)
        if (played_time.timers[i].event == event)
            return what;
    return 0;
}

/* Lets time pass; timers fire in the order in which they are due. */
static __attribute__((unused)) void pass(struct loop *loop, int64_t us)
{
    int64_t until_us = played_time.passed_us + us;
    for (;;) {
        size_t first = played_time.n;
        for (size_t i = 0; i < played_time.n; i++)
            if (played_time.timers[i].due_us <= until_us &&
                (first == played_time.n || played_time.timers[i].due_us < played_time.timers[first].due_us))
                first = i;
        if (first == played_time.n)
            break;
        struct event *event = played_time.timers[first].event;
        played_time.passed_us = played_time.timers[first].due_us;
        event_del(event);
        loop_refresh(loop);
        event_get_callback(event)(-1, EV_TIMEOUT, event_get_callback_arg(event));
    }
    played_time.passed_us = until_us;
    loop_refresh(loop);
}

/* What was logged since the last call. */
static __attribute__((unused)) const char *take_log(void)
{
    static char text[16384];
    fflush(stderr);
    FILE *file = cr_get_redirected_stderr();
    size_t n = fread(text, 1, sizeof(text) - 1, file);
    text[n] = '\0';
    return text;
}

static struct loop *open_played_loop(void)
{
    struct err err;
    log_open(LOG_LEVEL_WARNING);
    memset(&played_time, 0, sizeof(played_time));
    played_time.plays = true;
    struct loop *loop = loop_new(&err);
    cr_assert_not_null(loop, "%s", err.text);
    return loop;
}

#endif
