/*
 * A thread for one slow job at a time. The job shares nothing with the loop while it runs: what it works on was handed
 * to it, what it made is handed back.
 */
#ifndef MOBEYE_BASE_WORKER_H
#define MOBEYE_BASE_WORKER_H

#include <stdbool.h>

#include "base/err.h"
#include "base/loop.h"

struct worker;

struct worker *worker_new(struct loop *loop);

/* Waits for the job that is on its way, whose done() is not called. Safe on NULL. */
void worker_free(struct worker **worker);

bool worker_busy(const struct worker *worker);

/* Calls work(job) on a thread and, when that has returned, done(job) from the loop; then the next may be given, in
 * done() too. Only where it is not busy. -1: there is no thread to be had now; nothing is called. */
int worker_run(struct worker *worker, void (*work)(void *job), void (*done)(void *job), void *job, struct err *err);

#endif
