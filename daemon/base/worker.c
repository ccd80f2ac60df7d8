#include "base/worker.h"

#include <assert.h>
#include <errno.h>
#include <event2/event_struct.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/mem.h"

struct worker {
    struct event finished; /* the eventfd is readable */
    int fd;
    bool busy;
    pthread_t thread;
    void (*work)(void *job);
    void (*done)(void *job);
    void *job;
};

static void *thread_main(void *arg)
{
    struct worker *worker = arg;
    uint64_t one = 1;
    worker->work(worker->job);
    while (write(worker->fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
    return NULL;
}

static void on_finished(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct worker *worker = arg;
    uint64_t count;
    if (read(fd, &count, sizeof(count)) != sizeof(count))
        return;
    pthread_join(worker->thread, NULL);
    worker->busy = false;
    worker->done(worker->job);
}

struct worker *worker_new(struct loop *loop, struct err *err)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0) {
        err_set(err, "cannot create an eventfd for a thread: %s", strerror(errno));
        return NULL;
    }
    struct worker *worker = mem_zalloc(sizeof(*worker));
    worker->fd = fd;
    event_assign(&worker->finished, loop_base(loop), worker->fd, EV_READ | EV_PERSIST, on_finished, worker);
    event_add(&worker->finished, NULL);
    return worker;
}

void worker_free(struct worker **worker)
{
    struct worker *w = *worker;
    *worker = NULL;
    if (!w)
        return;
    if (w->busy)
        pthread_join(w->thread, NULL);
    event_del(&w->finished);
    close(w->fd);
    free(w);
}

bool worker_busy(const struct worker *worker)
{
    return worker->busy;
}

/* The thread blocks all signals: the loop handles them. */
int worker_run(struct worker *worker, void (*work)(void *job), void (*done)(void *job), void *job, struct err *err)
{
    sigset_t all, before;
    assert(!worker->busy);
    worker->work = work;
    worker->done = done;
    worker->job = job;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&worker->thread, NULL, thread_main, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    worker->busy = rc == 0;
    return rc == 0 ? 0 : err_set(err, "cannot start a thread: %s", strerror(rc));
}
