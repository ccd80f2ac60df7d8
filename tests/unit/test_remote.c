/* Which address of a name an endpoint connects to, and when: with a simulated resolver, socket and clock. With a name
 * server that does not answer: integration/test_names.py. */
#include <errno.h>
#include <zmq.h>

#include "base/resolve.h"
#include "ingest/remote.h"
#include "played_time.h"

static struct loop *loop;
static struct remote *remote;

/* ---- what it uses ---- */

static struct {
    resolve_fn done; /* NULL: no look-up is running */
    void *ctx;
    char host[64];
    unsigned asked;
} names;

struct resolve *resolve_start(struct loop *on, const char *host, resolve_fn done, void *ctx)
{
    cr_assert_eq(on, loop);
    cr_assert_null(names.done, "one look-up at a time");
    names.done = done;
    names.ctx = ctx;
    names.asked++;
    snprintf(names.host, sizeof(names.host), "%s", host);
    return (struct resolve *)&names;
}

void resolve_free(struct resolve **resolve)
{
    if (*resolve)
        names.done = NULL;
    *resolve = NULL;
}

static struct {
    char target[64]; /* "": not connected to anything */
    unsigned connects, disconnects;
    size_t count;
    bool established, waiting, refuses;
    bool reported; /* the monitor has reported a connection, but nobody has read that */
} zmq;

int zmq_connect(void *socket, const char *address)
{
    (void)socket;
    cr_assert_str_empty(zmq.target, "one address at a time");
    if (zmq.refuses) {
        errno = EINVAL;
        return -1;
    }
    snprintf(zmq.target, sizeof(zmq.target), "%s", address);
    zmq.connects++;
    return 0;
}

int zmq_disconnect(void *socket, const char *address)
{
    (void)socket;
    cr_assert_str_eq(address, zmq.target);
    zmq.target[0] = '\0';
    zmq.disconnects++;
    return 0;
}

size_t connections_count(const struct connections *connections)
{
    (void)connections;
    return zmq.count;
}

void connections_refresh(struct connections *connections)
{
    (void)connections;
    zmq.established = zmq.established || zmq.reported;
}

bool connections_established(const struct connections *connections)
{
    (void)connections;
    return zmq.established;
}

void connections_forget(struct connections *connections)
{
    (void)connections;
    zmq.count = 0;
}

static bool has_waiting(void *ctx)
{
    (void)ctx;
    return zmq.waiting;
}

/* ---- the tests ---- */

static void setup(void)
{
    cr_redirect_stderr();
    loop = open_played_loop();
}

static void teardown(void)
{
    remote_free(&remote);
    cr_expect_null(names.done, "no look-up is left running");
    loop_free(&loop);
}

TestSuite(remote, .init = setup, .fini = teardown, .timeout = 20);

static void connect_to(const char *address)
{
    const struct remote_socket socket = {.loop = loop, .has_waiting = has_waiting};
    struct err err;
    remote = remote_new(&socket, "hub", address, &err);
    cr_assert_not_null(remote, "%s", err.text);
}

/* The name servers answer with these addresses, or with none. */
static void answer(const char *first, const char *second)
{
    const char *addresses[] = {first, second};
    cr_assert_not_null(names.done, "nothing was asked");
    names.done(names.ctx, addresses, second ? 2 : first ? 1 : 0, "no such name");
    cr_assert_null(names.done, "the look-up is over");
}

/* Until the name is asked for. */
static void pass_to_look_up(void)
{
    for (int s = 0; s < 60 && !names.done; s++)
        pass(loop, CLOCK_SECOND);
    cr_assert_not_null(names.done, "it is not looked up again");
}

Test(remote, a_number_or_a_path_is_connected_to_at_once_and_never_looked_up)
{
    static const char *const addresses[] = {"tcp://192.0.2.1:5557", "tcp://[2001:db8::1]:5557", "ipc:///run/a"};
    for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        connect_to(addresses[i]);
        cr_expect_str_eq(zmq.target, addresses[i]);
        pass(loop, CLOCK_MINUTE);
        remote_free(&remote);
        zmq.target[0] = '\0';
    }
    cr_expect_eq(names.asked, 0);
}

Test(remote, an_address_that_libzmq_does_not_take_is_named)
{
    const struct remote_socket socket = {.loop = loop, .has_waiting = has_waiting};
    struct err err;
    zmq.refuses = true;
    remote = remote_new(&socket, "hub", "ipc:///run/a", &err);
    cr_expect_null(remote);
    cr_expect_str_eq(err.text, "endpoint hub: cannot connect to ipc:///run/a: Invalid argument");
}

Test(remote, libzmq_is_never_given_a_name)
{
    connect_to("tcp://hub.example.nl:5557");
    cr_expect_str_eq(names.host, "hub.example.nl");
    cr_expect_str_empty(zmq.target);
    answer("192.0.2.1", NULL);
    cr_expect_str_eq(zmq.target, "tcp://192.0.2.1:5557");
    zmq.established = true;
    pass(loop, CLOCK_HOUR);
    cr_expect_eq(names.asked, 1, "while it is connected, nobody asks");
    cr_expect_str_empty(take_log());
}

Test(remote, the_next_address_is_tried_where_one_does_not_answer)
{
    connect_to("tcp://hub.example.nl:5557");
    answer("192.0.2.1", "2001:db8::1");
    cr_expect_str_eq(zmq.target, "tcp://192.0.2.1:5557");
    pass_to_look_up();
    cr_expect_str_eq(zmq.target, "tcp://192.0.2.1:5557", "which libzmq tries meanwhile");
    answer("192.0.2.1", "2001:db8::1");
    cr_expect_str_eq(zmq.target, "tcp://[2001:db8::1]:5557");
    pass_to_look_up();
    answer("2001:db8::1", "192.0.2.1"); /* name servers rotate */
    cr_expect_str_eq(zmq.target, "tcp://192.0.2.1:5557");
}

Test(remote, a_name_with_one_address_stays_with_it)
{
    connect_to("tcp://hub.example.nl:5557");
    for (int i = 0; i < 10; i++) {
        answer("192.0.2.1", NULL);
        pass_to_look_up();
    }
    cr_expect_eq(zmq.connects, 1, "libzmq itself connects again");
    cr_expect_geq(played_time.passed_us, 50 * CLOCK_SECOND, "name servers are asked every 5 s at most");
}

Test(remote, an_address_that_has_changed_is_found)
{
    connect_to("tcp://hub.example.nl:5557");
    answer("192.0.2.1", NULL);
    zmq.established = true;
    zmq.count = 1;
    pass(loop, CLOCK_HOUR);
    zmq.established = false;
    zmq.count = 0;
    pass_to_look_up();
    answer("192.0.2.9", NULL);
    cr_expect_str_eq(zmq.target, "tcp://192.0.2.9:5557");
}

Test(remote, a_connection_that_comes_during_a_look_up_is_kept)
{
    connect_to("tcp://hub.example.nl:5557");
    answer("192.0.2.1", NULL);
    pass_to_look_up();
    zmq.established = true;
    answer("192.0.2.9", NULL);
    cr_expect_str_eq(zmq.target, "tcp://192.0.2.1:5557");
}

Test(remote, a_connection_of_which_the_loop_has_not_heard_is_kept)
{
    connect_to("tcp://hub.example.nl:5557");
    answer("192.0.2.1", NULL);
    pass_to_look_up();
    zmq.reported = true;
    answer("192.0.2.9", NULL);
    cr_expect_eq(zmq.disconnects, 0);
}

Test(remote, a_handshake_that_begins_during_a_look_up_may_end)
{
    connect_to("tcp://hub.example.nl:5557");
    answer("192.0.2.1", NULL);
    pass_to_look_up();
    zmq.count = 1;
    answer("192.0.2.9", NULL);
    cr_expect_eq(zmq.disconnects, 0);
    pass_to_look_up();
    answer("192.0.2.9", NULL);
    cr_expect_str_eq(zmq.target, "tcp://192.0.2.9:5557", "it had its time");
}

Test(remote, an_address_that_is_given_twice_is_passed_over)
{
    connect_to("tcp://hub.example.nl:5557");
    answer("192.0.2.1", "192.0.2.1");
    pass_to_look_up();
    const char *addresses[] = {"192.0.2.1", "192.0.2.2", "192.0.2.1"};
    names.done(names.ctx, addresses, 3, "");
    cr_expect_str_eq(zmq.target, "tcp://192.0.2.2:5557");
    pass_to_look_up();
    names.done(names.ctx, addresses, 3, "");
    cr_expect_str_eq(zmq.target, "tcp://192.0.2.1:5557");
}

Test(remote, an_address_that_libzmq_has_refused_is_tried_again)
{
    connect_to("tcp://hub.example.nl:5557");
    zmq.refuses = true;
    answer("192.0.2.1", NULL);
    cr_expect_not_null(strstr(take_log(), "tcp://192.0.2.1:5557: Invalid argument"));
    zmq.refuses = false;
    pass_to_look_up();
    answer("192.0.2.1", NULL);
    cr_expect_str_eq(zmq.target, "tcp://192.0.2.1:5557");
    cr_expect_eq(zmq.disconnects, 0, "of what was never connected");
}

Test(remote, name_servers_that_fail_now_and_then_are_logged_once_a_minute)
{
    log_open(LOG_LEVEL_INFO);
    connect_to("tcp://hub.example.nl:5557");
    answer(NULL, NULL);
    cr_expect_not_null(strstr(take_log(), "cannot be resolved"));
    for (int i = 0; i < 2; i++) {
        pass_to_look_up();
        answer("192.0.2.1", NULL);
        pass_to_look_up();
        answer(NULL, NULL);
    }
    cr_expect_str_empty(take_log());
    pass_to_look_up();
    answer("192.0.2.1", NULL);
    zmq.established = true;
    pass(loop, CLOCK_MINUTE);
    cr_expect_not_null(strstr(take_log(), "the name of tcp://hub.example.nl:5557 is resolved"));
}

Test(remote, a_handshake_has_more_time_than_an_address_that_does_not_answer)
{
    connect_to("tcp://hub.example.nl:5557");
    answer("192.0.2.1", "192.0.2.2");
    zmq.count = 1;
    pass(loop, 9 * CLOCK_SECOND);
    cr_expect_eq(names.asked, 1);
    pass_to_look_up();
}

Test(remote, messages_that_wait_are_not_dropped_for_another_address)
{
    connect_to("tcp://hub.example.nl:5557");
    answer("192.0.2.1", NULL);
    pass_to_look_up();
    zmq.waiting = true;
    answer("192.0.2.9", NULL);
    cr_expect_str_eq(zmq.target, "tcp://192.0.2.1:5557");
    cr_expect_not(remote_reconnect(remote));
    cr_expect_eq(zmq.disconnects, 0);
    pass_to_look_up();
    zmq.waiting = false;
    answer("192.0.2.9", NULL);
    cr_expect_str_eq(zmq.target, "tcp://192.0.2.9:5557");
}

Test(remote, what_libzmq_gave_up_is_tried_again)
{
    connect_to("tcp://hub.example.nl:5557");
    answer("192.0.2.1", NULL);
    cr_expect(remote_reconnect(remote));
    cr_expect_str_eq(zmq.target, "tcp://192.0.2.1:5557");
    cr_expect_eq(zmq.connects, 2);
}

Test(remote, a_name_that_cannot_be_resolved_is_logged_with_its_address_and_asked_for_again)
{
    connect_to("tcp://hub.example.nl:5557");
    answer(NULL, NULL);
    cr_expect_not_null(strstr(take_log(), "endpoint hub: cannot connect to tcp://hub.example.nl:5557: the name cannot "
                                          "be resolved: no such name"));
    pass_to_look_up();
    answer(NULL, NULL);
    cr_expect_str_empty(take_log(), "once a minute");
    pass_to_look_up();
    answer("192.0.2.1", NULL);
    cr_expect_str_eq(zmq.target, "tcp://192.0.2.1:5557");
}

Test(remote, it_ends_during_a_look_up)
{
    connect_to("tcp://hub.example.nl:5557");
    remote_free(&remote);
    cr_expect_null(names.done);
    cr_expect_null(remote);
}
