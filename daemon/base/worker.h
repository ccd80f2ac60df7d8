/*
 * A thread for one slow job at a time. While it runs, the job shares nothing with the loop: it owns its input, and its
 * result is handed back afterwards.
 */
#ifndef MOBEYE_BASE_WORKER_H
#define MOBEYE_BASE_WORKER_H

#include <stdbool.h>

#include "base/err.h"
#include "base/loop.h"

struct worker;

/* NULL with err set: no descriptor is left. */
struct worker *worker_new(struct loop *loop, struct err *err);

/* Waits for a running job, without calling its done(). Safe on NULL. */
void worker_free(struct worker **worker);

bool worker_busy(const struct worker *worker);

/* Calls work(job) on a thread and, when that has returned, done(job) from the loop. The next job may be started from
 * done() on. The worker must not be busy. -1 with err set: no thread can be started; nothing is called. */
int worker_run(struct worker *worker, void (*work)(void *job), void (*done)(void *job), void *job, struct err *err);

#endif
