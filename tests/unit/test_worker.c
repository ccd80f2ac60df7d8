/* Jobs on a thread, whose ends are reported on the loop. */
#include <criterion/criterion.h>
#include <event2/event_struct.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/worker.h"

struct job {
    struct worker *worker;
    pthread_t worked_on, done_on;
    int pipe[2]; /* work() waits for it where it is open */
    int value, done;
    struct job *next; /* given in done() */
};

static struct loop *loop;
static struct worker *worker;
static struct event tick;

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what, (void)arg;
}

static void setup(void)
{
    struct err err;
    loop = loop_new(&err);
    worker = worker_new(loop, &err);
    cr_assert_not_null(worker, "%s", err.text);
    event_assign(&tick, loop_base(loop), -1, EV_PERSIST, on_tick, NULL);
    event_add(&tick, &(struct timeval){0, 10000});
}

static void teardown(void)
{
    worker_free(&worker);
    event_del(&tick);
    loop_free(&loop);
}

TestSuite(worker, .init = setup, .fini = teardown);

static void work(void *arg)
{
    struct job *job = arg;
    char byte;
    job->worked_on = pthread_self();
    if (job->pipe[0] > 0)
        (void)!read(job->pipe[0], &byte, 1);
    job->value *= 2;
}

static void done(void *arg)
{
    struct job *job = arg;
    struct err err;
    job->done_on = pthread_self();
    job->done++;
    if (job->next)
        cr_expect_eq(worker_run(job->worker, work, done, job->next, &err), 0);
}

static void wait_done(struct job *job)
{
    int64_t deadline_us = clock_mono_us() + 60 * CLOCK_SECOND;
    while (!job->done) {
        cr_assert_lt(clock_mono_us(), deadline_us);
        loop_turn(loop);
    }
}

Test(worker, a_job_runs_on_a_thread_and_ends_on_the_loop)
{
    struct err err;
    struct job job = {.worker = worker, .value = 21};
    cr_expect(!worker_busy(worker));
    cr_assert_eq(worker_run(worker, work, done, &job, &err), 0);
    cr_expect(worker_busy(worker));
    wait_done(&job);
    cr_expect_eq(job.value, 42);
    cr_expect_eq(job.done, 1);
    cr_expect(!pthread_equal(job.worked_on, pthread_self()));
    cr_expect(pthread_equal(job.done_on, pthread_self()));
    cr_expect(!worker_busy(worker));
}

Test(worker, the_next_job_may_be_given_when_one_is_done)
{
    struct err err;
    struct job second = {.worker = worker, .value = 2};
    struct job first = {.worker = worker, .value = 1, .next = &second};
    cr_assert_eq(worker_run(worker, work, done, &first, &err), 0);
    wait_done(&second);
    cr_expect_eq(first.value, 2);
    cr_expect_eq(second.value, 4);
}

Test(worker, the_loop_turns_while_a_job_waits)
{
    struct err err;
    struct job job = {.worker = worker, .value = 1};
    cr_assert_eq(pipe(job.pipe), 0);
    cr_assert_eq(worker_run(worker, work, done, &job, &err), 0);
    for (int i = 0; i < 3; i++)
        loop_turn(loop);
    cr_expect(!job.done && worker_busy(worker));
    cr_assert_eq(write(job.pipe[1], "x", 1), 1);
    wait_done(&job);
}

Test(worker, freeing_waits_for_the_job_and_says_nothing_more)
{
    struct err err;
    struct job job = {.worker = worker, .value = 1};
    cr_assert_eq(worker_run(worker, work, done, &job, &err), 0);
    worker_free(&worker);
    cr_expect_null(worker);
    cr_expect_eq(job.value, 2);
    cr_expect_eq(job.done, 0);
}

Test(worker, want_of_descriptors_is_an_error)
{
    struct err err = {""};
    struct rlimit before;
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &(struct rlimit){0, before.rlim_max}), 0);
    struct worker *none = worker_new(loop, &err);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    cr_expect_null(none);
    cr_expect_str_eq(err.text, "cannot create an eventfd for a thread: Too many open files");
}
