/* How mobeyectl connects to the database. */
#include <criterion/criterion.h>
#include <errno.h>
#include <grp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/address.h"
#include "ctl/lib/connect.h"
#include "store/conninfo.h"

static void expect(PGconn *conn, const char *keyword, const char *value)
{
    PQconninfoOption *options = PQconninfo(conn);
    const char *found = "not an option";
    for (const PQconninfoOption *o = options; o && o->keyword; o++)
        if (strcmp(o->keyword, keyword) == 0)
            found = o->val ? o->val : "not set";
    cr_expect_str_eq(found, value, "%s: %s (expected %s)", keyword, found, value);
    PQconninfoFree(options);
}

/* Without it, a query on a connection whose other end is gone would hang for a quarter of an hour. */
Test(connect, a_connection_whose_other_end_is_gone_is_given_up)
{
    PGconn *conn = connect_open("watch", "host=127.0.0.1 port=1", NULL);
    expect(conn, "tcp_user_timeout", "20000");
    expect(conn, "keepalives_idle", "10");
    expect(conn, "keepalives_interval", "5");
    expect(conn, "connect_timeout", "10");
    expect(conn, "application_name", "mobeyectl watch");
    PQfinish(conn);
}

Test(connect, the_conninfo_may_give_other_timeouts)
{
    PGconn *conn = connect_open("watch", "host=127.0.0.1 port=1 tcp_user_timeout=5000", NULL);
    expect(conn, "tcp_user_timeout", "5000");
    PQfinish(conn);
}

/* Admits one client and refuses its first statement, like a pooler that does not support settings. */
static void *refuse_settings(void *listener)
{
    static const char ready[] = "R\0\0\0\10\0\0\0\0Z\0\0\0\5I",
                      refused[] = "E\0\0\0\31SERROR\0Mno settings\0\0Z\0\0\0\5I";
    char in[4096];
    int fd = accept(*(int *)listener, NULL, NULL);
    if (read(fd, in, sizeof(in)) > 0 && write(fd, ready, sizeof(ready) - 1) > 0 && read(fd, in, sizeof(in)) > 0 &&
        write(fd, refused, sizeof(refused) - 1) > 0)
        while (read(fd, in, sizeof(in)) > 0)
            ;
    close(fd);
    return NULL;
}

/* Without them a superuser might run something that somebody else has created under the name of a PostgreSQL
 * function. */
Test(connect, a_session_that_refuses_our_settings_is_not_connected_and_says_why)
{
    char conninfo[128];
    pthread_t server;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(listen(listener, 1), 0);
    cr_assert_eq(pthread_create(&server, NULL, refuse_settings, &listener), 0);
    snprintf(conninfo, sizeof(conninfo), "host=127.0.0.1 port=%d user=u sslmode=disable gssencmode=disable",
             address_bound_port(listener));
    PGconn *conn = connect_open("watch", conninfo, NULL);
    cr_expect_neq(PQstatus(conn), CONNECTION_OK);
    cr_expect(strstr(PQerrorMessage(conn), "no settings"), "%s", PQerrorMessage(conn));
    PQfinish(conn);
    pthread_join(server, NULL);
    close(listener);
}

static void expect_own(const char *complete, const char *database)
{
    struct buf own = {0};
    bool known = connect_own(&own, complete, NULL);
    char *found = known ? conninfo_value(own.data, "dbname") : NULL;
    cr_expect_eq(known, database != NULL, "%s", complete);
    cr_expect(!database || (found && strcmp(found, database) == 0), "%s: %s", complete, found ? found : "none");
    free(found);
    buf_free(&own);
}

/* libpq takes an empty name for none. */
Test(connect, a_database_without_a_name_is_that_of_the_role)
{
    expect_own("user=mobeye_ingest", "mobeye_ingest");
    expect_own("user=mobeye_ingest dbname=''", "mobeye_ingest");
    expect_own("user=mobeye_ingest dbname=mobeye", "mobeye");
}

Test(connect, several_hosts_are_on_this_machine_if_each_is)
{
    static const char *const here[] = {"",
                                       "host=/run/postgresql,127.0.0.1",
                                       "host=/tmp,,localhost",
                                       "hostaddr=127.0.0.1,::1 host=a,b",
                                       "hostaddr=127.0.0.1, host=a,/tmp",
                                       "hostaddr=,127.0.0.1"};
    static const char *const elsewhere[] = {"host=db",
                                            "host=/run/postgresql,db",
                                            "host=db,/run/postgresql",
                                            "host=127.0.0.1,192.0.2.1",
                                            "hostaddr=127.0.0.1,192.0.2.1 host=/a,/b",
                                            "hostaddr='' host=192.0.2.1",
                                            "hostaddr=127.0.0.1, host=/a,192.0.2.1"};
    for (size_t i = 0; i < sizeof(here) / sizeof(here[0]); i++)
        cr_expect(connect_is_local(here[i]), "%s", here[i]);
    for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++)
        cr_expect_not(connect_is_local(elsewhere[i]), "%s", elsewhere[i]);
}

Test(connect, the_own_way_leads_to_the_same_servers)
{
    struct buf own = {0};
    cr_assert(connect_own(
        &own, "host=/tmp,127.0.0.1 port=1,2 target_session_attrs=primary requirepeer=pg user=u dbname=d sslkey=k",
        NULL));
    char *host = conninfo_value(own.data, "host"), *port = conninfo_value(own.data, "port");
    char *wanted = conninfo_value(own.data, "target_session_attrs"), *peer = conninfo_value(own.data, "requirepeer");
    cr_expect_str_eq(host, "/tmp,/run/postgresql");
    cr_expect_str_eq(port, "1,2");
    cr_expect_str_eq(wanted, "primary");
    cr_expect(peer && strcmp(peer, "pg") == 0);
    cr_expect_null(conninfo_value(own.data, "sslkey"));
    free(host);
    free(port);
    free(wanted);
    free(peer);
    buf_free(&own);
}

/* As to libpq, which does not ask who is at the other end of a TCP connection. */
Test(connect, the_user_of_the_server_counts_for_sockets)
{
    struct buf own = {0};
    cr_assert(connect_own(&own, "host=127.0.0.1 requirepeer=pg user=u dbname=d", NULL));
    cr_expect_null(conninfo_value(own.data, "requirepeer"));
    buf_free(&own);
}

/* Of root, who may administer other servers; other people's count. */
Test(connect, variables_of_the_shell_lead_root_to_no_other_server)
{
    static const char *const names[] = {"PGHOSTADDR", "PGPORT", "PGSERVICE"}, *const values[] = {"127.0.0.9", "9", "x"};
    if (geteuid() != 0)
        cr_skip("only root has a role that is not its own");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        setenv(names[i], values[i], 1);
        setenv("PGSSLMODE", "require", 1);
        setenv("PGCHANNELBINDING", "require", 1);
        setenv("PGREQUIREPEER", "pg", 1);
        PGconn *conn = connect_open_own("watch", "host=/nowhere user=postgres dbname=mobeye", NULL);
        expect(conn, "hostaddr", "not set");
        expect(conn, "port", "5432");
        expect(conn, "service", "not set");
        expect(conn, "sslmode", "require");
        expect(conn, "channel_binding", "prefer"); /* a socket has none */
        expect(conn, "requirepeer", "pg");
        PQfinish(conn);
        conn = connect_open_own("watch", "host=127.0.0.1 port=1 user=postgres dbname=mobeye", NULL);
        expect(conn, "channel_binding", "require");
        PQfinish(conn);
        cr_expect_str_eq(getenv(names[i]), values[i]);
        unsetenv(names[i]);
    }
}

/* Nor is it on this machine. */
Test(connect, what_is_refused_has_no_database)
{
    expect_own("", NULL);
}

/* Which has no writer. */
Test(connect, a_fifo_does_not_block_whoever_tries_it)
{
    char path[64];
    snprintf(path, sizeof(path), "/tmp/fifo.%d", (int)getpid());
    cr_assert_eq(mkfifo(path, 0600), 0);
    cr_expect_eq(connect_try_file(NULL, path), 0);
    unlink(path);
}

/* Not as root, who may read it. */
Test(connect, another_user_is_acted_as_however_many_groups_root_has)
{
    enum { MANY = 300 };
    gid_t groups[MANY], after[MANY];
    char path[64];
    if (geteuid() != 0)
        cr_skip("only root acts as another");
    for (gid_t i = 0; i < MANY; i++)
        groups[i] = 5000 + i;
    snprintf(path, sizeof(path), "/tmp/roots.%d", (int)getpid());
    cr_assert_eq(mknod(path, S_IFREG | 0600, 0), 0);
    cr_assert_eq(setgroups(MANY, groups), 0);
    cr_expect_eq(connect_try_file("nobody", path), EACCES);
    cr_expect_eq(getgroups(MANY, after), MANY);
    cr_expect_eq(geteuid(), 0);
    unlink(path);
}
