/* What is read from the database becomes the areas in use by way of a thread; with a double of the loader, and of the
 * call that starts the thread. */
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <errno.h>
#include <event2/event_struct.h>
#include <pthread.h>

#include "area_rig.h"
#include "base/clock.h"
#include "flow/reference_data.h"
#include "store/registry_loader.h"

/* ---- doubles ---- */

static const struct registry_loader_calls *calls;
static void *calls_ctx;
static unsigned fail_next; /* so many threads cannot be started */

struct registry_loader *registry_loader_new(struct loop *loop, const char *conninfo, const char *instance,
                                            struct registry *registry, const struct registry_loader_calls *given,
                                            void *ctx)
{
    (void)loop, (void)conninfo, (void)instance, (void)registry;
    calls = given;
    calls_ctx = ctx;
    return NULL;
}

void registry_loader_free(struct registry_loader **loader)
{
    *loader = NULL;
}

void registry_loader_start(struct registry_loader *loader)
{
    (void)loader;
}

void registry_loader_reconfigure(struct registry_loader *loader, const char *conninfo, const char *instance)
{
    (void)loader, (void)conninfo, (void)instance;
}

void registry_loader_suppress_log(struct registry_loader *loader, bool suppress)
{
    (void)loader, (void)suppress;
}

void registry_loader_refresh(struct registry_loader *loader)
{
    (void)loader;
}

size_t registry_loader_bytes(const struct registry_loader *loader)
{
    (void)loader;
    return 0;
}

int64_t registry_loader_took_us(const struct registry_loader *loader)
{
    (void)loader;
    return 0;
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *arg)
{
    int (*call)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) =
        (int (*)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *))dlsym(RTLD_NEXT, "pthread_create");
    if (fail_next > 0) {
        fail_next--;
        return EAGAIN;
    }
    return call(thread, attributes, start, arg);
}

/* ---- rig ---- */

static struct loop *loop;
static struct reference_data *reference;
static struct event tick;

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what, (void)arg;
}

static void on_usable(void *ctx)
{
    (void)ctx;
}

static void setup(void)
{
    struct err err;
    struct conf conf = {0};
    loop = loop_new(&err);
    event_assign(&tick, loop_base(loop), -1, EV_PERSIST, on_tick, NULL);
    event_add(&tick, &(struct timeval){0, 10000});
    reference = reference_data_new(loop, &conf, on_usable, NULL, &err);
    cr_assert_not_null(reference, "%s", err.text);
}

static void teardown(void)
{
    reference_data_free(&reference);
    event_del(&tick);
    loop_free(&loop);
}

TestSuite(reference_data, .init = setup, .fini = teardown, .timeout = 120);

static void hand_over(uint64_t version, const char *code)
{
    struct area_rows *rows = area_rows_new();
    rows->version = version;
    area_rig_always(rows, "wijk", code, "POLYGON((4 52, 5 52, 5 53, 4 53, 4 52))");
    calls->on_areas(calls_ctx, rows);
    calls->on_current(calls_ctx);
}

static void wait_current(uint64_t version)
{
    int64_t deadline_us = clock_mono_us() + 60 * CLOCK_SECOND;
    while (!reference_data_current(reference) || reference_data_areas_version(reference) != version) {
        cr_assert_lt(clock_mono_us(), deadline_us);
        loop_turn(loop);
    }
}

/* ---- tests ---- */

Test(reference_data, areas_whose_thread_does_not_start_are_freed_once)
{
    fail_next = 1;
    hand_over(1, "WK01");
    cr_expect_not(reference_data_usable(reference));
    cr_expect_eq(fail_next, 0, "a thread was asked for");
    reference_data_free(&reference);
}

Test(reference_data, old_areas_whose_thread_does_not_start_are_freed_once)
{
    hand_over(1, "WK01");
    wait_current(1);
    hand_over(2, "WK02");
    fail_next = 1; /* not that of the build, which has begun */
    wait_current(2);
    cr_expect_eq(fail_next, 0, "a thread was asked for");
    reference_data_free(&reference);
}

Test(reference_data, newer_areas_take_the_place_of_those_whose_thread_did_not_start)
{
    hand_over(1, "WK01");
    wait_current(1);
    fail_next = 1;
    hand_over(2, "WK02");
    cr_expect_eq(fail_next, 0, "a thread was asked for");
    hand_over(3, "WK01"); /* as those in use: nothing to build */
    cr_expect(reference_data_current(reference));
    cr_expect_eq(reference_data_areas_version(reference), 3);
    reference_data_free(&reference);
}

Test(reference_data, a_thread_that_does_not_start_is_started_later)
{
    fail_next = 1;
    hand_over(1, "WK01");
    wait_current(1);
    cr_expect_eq(area_set_count(reference_data_areas(reference)), 1);
}
