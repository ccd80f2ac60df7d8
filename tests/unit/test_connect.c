/* How mobeyectl connects to the database. */
#include <criterion/criterion.h>
#include <string.h>

#include "ctl/lib/connect.h"

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
