/*
 * The event loop and its time: each turn reads the monotonic and the wall clock once.
 */
#ifndef MOBEYE_BASE_LOOP_H
#define MOBEYE_BASE_LOOP_H

#include <stdint.h>

#include <event2/event.h>

#include "base/err.h"

struct loop;

/* NULL with err set if libevent has no usable backend. libevent's own messages are logged, limited in rate. */
struct loop *loop_new(struct err *err);

/* To be called once everything that uses the loop has been freed. Anything that calls back one last time, such as a
 * cancelled look-up, does so now. Safe on NULL, like every _free here. */
void loop_free(struct loop **loop);

/* For event_assign() and similar functions. Owned by the loop. */
struct event_base *loop_base(const struct loop *loop);

/* Runs until loop_stop(), which may be called from any callback; the current turn is completed first. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* Runs one turn: for tests and command-line programs that wait for a condition. */
void loop_turn(struct loop *loop);

/* The time of this turn, read at the first call in it. */
int64_t loop_mono_us(struct loop *loop);
int64_t loop_wall_us(struct loop *loop);

/* Reads the clocks again within a turn: after an operation that took long, such as fdatasync(). */
void loop_refresh(struct loop *loop);

/* Arms a one-shot timer (initialised with evtimer_assign) for `us` microseconds from now. 0: in the next turn, after
 * the loop has polled for other events. libevent rounds other values up to milliseconds. */
void loop_arm(struct event *timer, int64_t us);

#endif
