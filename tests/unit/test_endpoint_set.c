/* In which order a changed set is opened. */
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include "ingest/endpoint_set.h"

static char directory[] = "/tmp/mobeye-endpoints-XXXXXX", path[100], gate_address[120], pipe_address[120];
static char gate[] = "gate", other[] = "other", news[] = "news";
static struct loop *loop;
static struct endpoint_set *set;

/* How often the address of the sender is connected to, and whether libzmq can do it. */
static int connected;
static bool refuses;

int zmq_connect(void *socket, const char *address)
{
    int (*next)(void *, const char *) = (int (*)(void *, const char *))dlsym(RTLD_NEXT, "zmq_connect");
    if (strcmp(address, pipe_address) != 0)
        return next(socket, address);
    connected++;
    errno = EMTHREAD;
    return refuses ? -1 : next(socket, address);
}

static void on_ready(void *ctx, struct endpoint *endpoint)
{
    (void)ctx, (void)endpoint;
}

static struct conf_endpoint one[1], two[2];
static const struct conf before = {.endpoints = one, .n_endpoints = 1};
/* The pipe is first, and another name takes the address of the gate over. */
static const struct conf after = {.endpoints = two, .n_endpoints = 2};

static void setup(void)
{
    static const struct endpoint_calls calls = {.on_ready = on_ready};
    struct err err;
    cr_assert_not_null(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/gate", directory);
    snprintf(gate_address, sizeof(gate_address), "ipc://%s", path);
    snprintf(pipe_address, sizeof(pipe_address), "ipc://%s/pipe", directory);
    one[0] = (struct conf_endpoint){.name = gate, .address = gate_address, .bind = true};
    two[0] = (struct conf_endpoint){.name = news, .address = pipe_address, .socket = CONF_PULL};
    two[1] = (struct conf_endpoint){.name = other, .address = gate_address, .bind = true};
    loop = loop_new(&err);
    set = endpoint_set_new(loop, &calls, NULL, NULL, &err);
    cr_assert_not_null(set);
    cr_assert_eq(endpoint_set_apply(set, &before, &err), 0, "%s", err.text);
}

static void teardown(void)
{
    endpoint_set_free(&set);
    loop_free(&loop);
    unlink(path);
    rmdir(directory);
}

TestSuite(endpoint_set, .init = setup, .fini = teardown, .timeout = 60);

/* A sender that pushes hands a part of its messages to whoever connects, and they are lost if the set is given up. */
Test(endpoint_set, nobody_is_connected_to_for_a_set_that_cannot_be_bound)
{
    struct err err;
    unlink(path);
    cr_assert_eq(mkdir(path, 0700), 0);
    cr_assert_eq(endpoint_set_apply(set, &after, &err), -1);
    cr_expect_not_null(strstr(err.text, "endpoint other: cannot bind"), "%s", err.text);
    cr_expect_eq(connected, 0);
    rmdir(path);
    cr_assert_eq(endpoint_set_apply(set, &after, &err), 0, "%s", err.text);
    cr_expect_eq(connected, 1);
    cr_expect_str_eq(endpoint_conf(endpoint_set_at(set, 0))->name, "news", "the order is that of the configuration");
}

Test(endpoint_set, an_address_that_was_taken_over_comes_back_where_libzmq_cannot_connect)
{
    struct err err;
    refuses = true;
    cr_assert_eq(endpoint_set_apply(set, &after, &err), -1);
    cr_expect_not_null(strstr(err.text, "endpoint news: cannot connect"), "%s", err.text);
    cr_assert_eq(endpoint_set_count(set), 1);
    cr_expect_str_eq(endpoint_conf(endpoint_set_at(set, 0))->name, "gate");
    cr_expect_eq(endpoint_set_check_open(set, &err), 0);
}
