/* Connections that are cut, killed, refused or never answered: every alert is still stored once. */
#include <arpa/inet.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "writer_rig.h"

RIG_SUITE(loss);

/* One connection through the proxy: fd[0] is the client's, fd[1] the server's. */
struct pair {
    struct proxy *proxy;
    int fd[2];
    struct event readable[2];
    struct pair *next;
};

/* Between the writer and PostgreSQL, on the test's own loop. left[0] counts bytes to the server, left[1] bytes from
 * it: after so many more everything is cut. Negative: never. */
struct proxy {
    struct evconnlistener *listener;
    uint16_t port;
    struct sockaddr_un server;
    struct pair *pairs;
    int64_t left[2];
    unsigned cuts;
    char conninfo[600];
};

static void hang_up(struct pair *pair)
{
    struct pair **at = &pair->proxy->pairs;
    while (*at != pair)
        at = &(*at)->next;
    *at = pair->next;
    for (int i = 0; i < 2; i++) {
        event_del(&pair->readable[i]);
        close(pair->fd[i]);
    }
    free(pair);
}

static void write_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        bytes += n;
        len -= (size_t)n;
    }
}

static void pass_on(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct pair *pair = arg;
    struct proxy *proxy = pair->proxy;
    char bytes[16384];
    int from = fd == pair->fd[0] ? 0 : 1;
    int64_t *left = &proxy->left[from];
    ssize_t len = recv(fd, bytes, sizeof(bytes), 0);
    if (len <= 0) {
        hang_up(pair);
        return;
    }
    bool cut = *left >= 0 && len >= *left;
    write_all(pair->fd[1 - from], bytes, cut ? (size_t)*left : (size_t)len);
    if (cut) {
        proxy->cuts++;
        *left = -1;
        hang_up(pair);
    } else if (*left >= 0) {
        *left -= len;
    }
}

static void accepted(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int len, void *arg)
{
    (void)address, (void)len;
    struct proxy *proxy = arg;
    struct pair *pair = mem_zalloc(sizeof(*pair));
    *pair = (struct pair){.proxy = proxy, .fd = {fd, socket(AF_UNIX, SOCK_STREAM, 0)}, .next = proxy->pairs};
    proxy->pairs = pair;
    for (int i = 0; i < 2; i++) {
        event_assign(&pair->readable[i], evconnlistener_get_base(listener), pair->fd[i], EV_READ | EV_PERSIST, pass_on,
                     pair);
        event_add(&pair->readable[i], NULL);
    }
    if (connect(pair->fd[1], (struct sockaddr *)&proxy->server, sizeof(proxy->server)) != 0)
        hang_up(pair);
}

/* Where MOBEYE_TEST_CONNINFO says that the server is. */
static void find_server(char host[200], char port[10])
{
    PQconninfoOption *options = PQconninfoParse(getenv("MOBEYE_TEST_CONNINFO"), NULL);
    for (PQconninfoOption *at = options; at->keyword; at++) {
        if (strcmp(at->keyword, "host") == 0)
            snprintf(host, 200, "%s", at->val);
        if (strcmp(at->keyword, "port") == 0)
            snprintf(port, 10, "%s", at->val);
    }
    PQconninfoFree(options);
    cr_assert_eq(host[0], '/', "these tests want the server on a Unix socket");
}

static struct sockaddr_in loopback(void)
{
    return (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static uint16_t port_of(int fd)
{
    struct sockaddr_in address;
    socklen_t len = sizeof(address);
    getsockname(fd, (struct sockaddr *)&address, &len);
    return ntohs(address.sin_port);
}

static void proxy_open(struct proxy *proxy)
{
    char host[200], port[10] = "5432";
    struct sockaddr_in address = loopback();
    find_server(host, port);
    *proxy = (struct proxy){.server = {.sun_family = AF_UNIX}, .left = {-1, -1}};
    cr_assert_lt(snprintf(proxy->server.sun_path, sizeof(proxy->server.sun_path), "%.80s/.s.PGSQL.%s", host, port),
                 (int)sizeof(proxy->server.sun_path));
    proxy->listener = evconnlistener_new_bind(loop_base(rig.loop), accepted, proxy, LEV_OPT_CLOSE_ON_FREE, 16,
                                              (struct sockaddr *)&address, sizeof(address));
    cr_assert_not_null(proxy->listener);
    proxy->port = port_of(evconnlistener_get_fd(proxy->listener));
    snprintf(proxy->conninfo, sizeof(proxy->conninfo), "%s host=127.0.0.1 port=%u sslmode=disable", rig.conninfo,
             proxy->port);
}

static void proxy_close(struct proxy *proxy)
{
    while (proxy->pairs)
        hang_up(proxy->pairs);
    evconnlistener_free(proxy->listener);
}

static void expect_each_once(const struct owner *owner)
{
    char sql[200];
    snprintf(sql, sizeof(sql), "select count(*) = %llu and count(distinct event_id) = %llu from mobeye.alert",
             (unsigned long long)owner->total, (unsigned long long)owner->total);
    RIG_EXPECT(&rig, sql, "t");
    snprintf(sql, sizeof(sql), "select count(*) = %llu from mobeye.alert_identity", (unsigned long long)owner->total);
    RIG_EXPECT(&rig, sql, "t");
    cr_expect_eq(owner->committed, owner->total, "a COMMIT whose answer was lost is counted, too");
}

/* Two alerts each have an identity, of two devices. */
static uint64_t in_pairs(uint64_t seq)
{
    return (seq + 1) / 2;
}

static void of_two_devices(struct batch_row *row, uint64_t seq)
{
    row->alert.device = seq % 2 ? STR("A") : STR("B");
}

static void expect_pairs_once(const struct owner *owner)
{
    char sql[300];
    snprintf(sql, sizeof(sql),
             "select count(*) = %llu and count(distinct (event_id, device_id)) = %llu and "
             "count(*) filter (where flags = '{identity_conflict}') = %llu from mobeye.alert_decoded",
             (unsigned long long)owner->total, (unsigned long long)owner->total, (unsigned long long)owner->total / 2);
    RIG_EXPECT(&rig, sql, "t");
    cr_expect_eq(owner->committed, owner->total, "a COMMIT whose answer was lost is counted, too");
    cr_expect_eq(owner->conflicts, owner->total / 2);
}

/* Cuts a transaction after every step-th byte in one direction, until it passes whole. */
static void cut_everywhere(int direction, int64_t step, struct owner owner)
{
    struct proxy proxy;
    owner.total = owner.batch_rows = 20;
    proxy_open(&proxy);
    owner_start(&owner, &rig, "a", proxy.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    for (int64_t bytes = 0; proxy.left[direction] < 0; bytes += step) {
        proxy.left[direction] = bytes;
        owner_more(&owner, 20);
        RIG_WAIT(&rig, OWNER_STORED(&owner));
    }
    cr_expect_gt(proxy.cuts, 20);
    if (owner.change)
        expect_pairs_once(&owner);
    else
        expect_each_once(&owner);
    owner_stop(&owner);
    proxy_close(&proxy);
}

static int64_t step_of(int64_t usual)
{
    const char *step = getenv("MOBEYE_TEST_CUT_STEP");
    return step ? atoll(step) : usual;
}

Test(loss, cut_anywhere_on_the_way_to_the_server)
{
    cut_everywhere(0, step_of(211), (struct owner){0});
}

Test(loss, cut_anywhere_on_the_way_from_the_server)
{
    cut_everywhere(1, step_of(5), (struct owner){0});
}

Test(loss, cut_anywhere_with_identities_in_conflict)
{
    cut_everywhere(1, step_of(5), (struct owner){.event = in_pairs, .change = of_two_devices});
}

static void kill_backends(void)
{
    rig_sql(&rig,
            "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'mobeye_ingest' and datname = "
            "current_database()");
}

Test(loss, killed_again_and_again_in_mid_stream)
{
    struct owner owner = {.total = 5000, .batch_rows = 50};
    owner_start(&owner, &rig, "a", rig.conninfo);
    for (uint64_t mark = 0; mark < 5000; mark += 250) {
        RIG_WAIT(&rig, owner.stored_seq >= mark);
        kill_backends();
    }
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    cr_expect_gt(owner.downs, 5);
    expect_each_once(&owner);
    owner_stop(&owner);
}

Test(loss, killed_while_it_waits_in_the_copy)
{
    struct owner owner = {.total = 100};
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    rig_sql(&rig, "begin; lock table mobeye.alert in exclusive mode");
    owner_more(&owner, 100);
    RIG_WAIT(&rig, rig_waits(&rig, "amersfoort-1"));
    kill_backends();
    RIG_WAIT(&rig, owner.downs == 1);
    rig_sql(&rig, "commit");
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    expect_each_once(&owner);
    owner_stop(&owner);
}

Test(loss, killed_within_the_commit)
{
    struct owner owner = {.total = 100};
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    rig_sql(&rig, "create function mobeye.wait() returns trigger language plpgsql as $$ begin "
                  "perform pg_advisory_xact_lock(1); return null; end $$");
    rig_sql(&rig, "grant execute on function mobeye.wait() to public");
    rig_sql(&rig,
            "create constraint trigger wait after update on mobeye.journal_position deferrable initially deferred "
            "for each row execute function mobeye.wait()");
    rig_sql(&rig, "select pg_advisory_lock(1)");
    owner_more(&owner, 100);
    RIG_WAIT(&rig, rig_number(&rig, "select count(*) from pg_stat_activity where query like '%commit' and wait_event = "
                                    "'advisory' and datname = current_database()") == 1);
    kill_backends();
    RIG_WAIT(&rig, owner.positions == 2);
    cr_expect_eq(owner.position.position, 100);
    rig_sql(&rig, "select pg_advisory_unlock(1)");
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    expect_each_once(&owner);
    owner_stop(&owner);
}

Test(loss, a_deadlock_or_a_full_disk_is_tried_again_in_place)
{
    struct owner owner = {.total = 300};
    rig_sql(&rig, "create sequence mobeye.tries; grant usage on mobeye.tries to public");
    rig_sql(&rig, "create function mobeye.fail() returns trigger language plpgsql as $$ begin "
                  "case nextval('mobeye.tries') when 1 then raise exception 'full' using errcode = '53100'; "
                  "when 2 then raise exception 'circle' using errcode = '40P01'; else return null; end case; end $$");
    rig_sql(&rig, "create trigger fail after insert on mobeye.alert for each statement execute function mobeye.fail()");
    rig_sql(&rig, "grant execute on function mobeye.fail() to public");
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    cr_expect_eq(owner.positions, 1, "the connection is kept");
    expect_each_once(&owner);
    owner_stop(&owner);
}

Test(loss, a_server_that_has_become_read_only_is_left)
{
    struct owner owner = {.total = 100};
    owner_start(&owner, &rig, "a", rig.conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    rig_sql(&rig, "create function mobeye.fail() returns trigger language plpgsql as $$ begin "
                  "raise exception 'read-only' using errcode = '25006'; end $$");
    rig_sql(&rig, "grant execute on function mobeye.fail() to public");
    rig_sql(&rig, "create trigger fail before update on mobeye.journal_position execute function mobeye.fail()");
    owner_more(&owner, 100);
    RIG_WAIT(&rig, owner.downs >= 2);
    rig_sql(&rig, "drop trigger fail on mobeye.journal_position");
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    expect_each_once(&owner);
    owner_stop(&owner);
}

/* A port that never answers, and one that refuses. */
Test(loss, servers_that_are_dead_or_silent_cost_their_attempt_alone)
{
    char host[200], port[10] = "5432", conninfo[900];
    struct sockaddr_in address = loopback();
    struct owner owner = {.total = 100};
    int silent = socket(AF_INET, SOCK_STREAM, 0), dead = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(silent, (struct sockaddr *)&address, sizeof(address)), 0);
    cr_assert_eq(bind(dead, (struct sockaddr *)&address, sizeof(address)), 0);
    cr_assert_eq(listen(silent, 16), 0);
    find_server(host, port);
    snprintf(conninfo, sizeof(conninfo), "%s host=127.0.0.1,127.0.0.1,%s port=%u,%u,%s connect_timeout=1", rig.conninfo,
             host, port_of(dead), port_of(silent), port);
    owner_start(&owner, &rig, "a", conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    expect_each_once(&owner);
    owner_stop(&owner);
    close(silent);
    close(dead);
}

Test(loss, a_name_is_resolved_and_one_that_cannot_be_is_told)
{
    struct proxy proxy;
    struct owner owner = {.total = 100};
    char conninfo[700];
    proxy_open(&proxy);
    snprintf(conninfo, sizeof(conninfo), "%s host=localhost", proxy.conninfo);
    owner_start(&owner, &rig, "a", conninfo);
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    snprintf(conninfo, sizeof(conninfo), "%s host=no-such-host.invalid connect_timeout=1", proxy.conninfo);
    rig_reconfigure(&owner, conninfo, "amersfoort-1");
    RIG_WAIT(&rig, strstr(writer_state(owner.writer), "name"));
    cr_expect_not(owner.up);
    rig_reconfigure(&owner, proxy.conninfo, "amersfoort-1");
    owner.total += 100;
    RIG_WAIT(&rig, OWNER_STORED(&owner));
    expect_each_once(&owner);
    owner_stop(&owner);
    proxy_close(&proxy);
}

Test(loss, a_password_is_in_no_message)
{
    struct owner owner = {.total = 0};
    owner_start(&owner, &rig, "a", "host=/nonexistent user=x password=geheim-123");
    RIG_WAIT(&rig, strstr(writer_state(owner.writer), "next try"));
    cr_expect_null(strstr(writer_state(owner.writer), "geheim"));
    rig_reconfigure(&owner, "host=x password=geheim 123", "amersfoort-1");
    RIG_WAIT(&rig, strstr(writer_state(owner.writer), "not a conninfo"));
    cr_expect_null(strstr(writer_state(owner.writer), "123"));
    owner_stop(&owner);
}
