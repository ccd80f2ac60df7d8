/*
 * The event loop and its time: one monotonic and one wall reading a turn.
 */
#ifndef MOBEYE_BASE_LOOP_H
#define MOBEYE_BASE_LOOP_H

#include <stdint.h>

#include <event2/event.h>

#include "base/err.h"

struct loop;

/* NULL with err set where libevent has no usable backend. What libevent has to say goes to the log, limited. */
struct loop *loop_new(struct err *err);
void loop_free(struct loop **loop); /* safe on NULL, as every _free here */

/* For event_assign() and the like. Owned by the loop. */
struct event_base *loop_base(const struct loop *loop);

/* Runs until loop_stop(), which may be called from any callback; the turn is finished first. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* Runs one turn and returns: for tests and command-line programs that wait for a condition. */
void loop_turn(struct loop *loop);

/* The time of this turn, read on the first question in it. */
int64_t loop_mono_us(struct loop *loop);
int64_t loop_wall_us(struct loop *loop);

/* Reads the clocks anew within a turn: after something that took long, such as fdatasync(). */
void loop_refresh(struct loop *loop);

/* Arms a one-shot timer event (made by evtimer_assign) `us` microseconds from now. 0: in the next turn, after the loop
 * has looked for other events; more is rounded up to milliseconds by libevent. */
void loop_arm(struct event *timer, int64_t us);

#endif
