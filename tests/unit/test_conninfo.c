/* A conninfo may be printed once its passwords are removed. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/conninfo.h"

struct sample {
    char conninfo[96];
    char masked[112]; /* the options come in libpq's order */
};

ParameterizedTestParameters(conninfo, is_masked)
{
    static struct sample samples[] = {
        {"host=db dbname=mobeye user=u", "user=u dbname=mobeye host=db"},
        {"host=db password=geheim", "password=******** host=db"},
        {"password='ge heim' sslpassword=geheim", "password=******** sslpassword=********"},
        {"postgresql://u:geheim@db:5433/mobeye", "user=u password=******** dbname=mobeye host=db port=5433"},
        {"postgres://db?password=geheim", "password=******** host=db"},
        {"host=a,b port=1,2 password=", "password=******** host=a,b port=1,2"},
        {"application_name='it''s' host=db", "(unreadable)"},
        {"host='a\rb' port=1", "host='a\rb' port=1"},
        {"host='a\vb\fc'", "host='a\vb\fc'"},
        {"host='a b\\'c'", "host='a b\\'c'"},
        {"host=db dbname='C:\\\\x'", "dbname='C:\\\\x' host=db"},
        {"postgres://db", "host=db"},
        {"host=db password=geheim geheim", "(unreadable)"},
        {"postgresql://u:geheim/42@db/mobeye", "(unreadable)"},
        {"postgresql://u:42/geheim@db/mobeye", "(unreadable)"},
        {"postgresql://u:42@geheim@db/mobeye", "(unreadable)"},
        {"host=a port=5432password=geheim", "(unreadable)"},
        {"host=a port=geheim", "(unreadable)"},
        {"mobeye", "dbname=mobeye"},
        {"postgresq://u:geheim@db/mobeye", "(unreadable)"},
        {" postgresql://u:geheim@db/mobeye", "(unreadable)"},
        {"", "dbname=''"},
    };
    return cr_make_param_array(struct sample, samples, sizeof(samples) / sizeof(samples[0]));
}

ParameterizedTest(struct sample *sample, conninfo, is_masked)
{
    struct buf out = {0};
    conninfo_mask(&out, sample->conninfo);
    cr_assert(str_is(buf_str(&out), sample->masked), "%s: got %.*s", sample->conninfo, (int)out.len, out.data);
    buf_free(&out);
}

Test(conninfo, what_libpq_reads_is_right)
{
    cr_assert_eq(conninfo_check("host=db password='a b'", NULL), 0);
    cr_assert_eq(conninfo_check("postgresql:///mobeye", NULL), 0);
    cr_assert_eq(conninfo_check("host=a,b port=5432,", NULL), 0);
    cr_assert_eq(conninfo_check("postgresql://u:a%40b%2Fc@db/x?application_name=a@b", NULL), 0);
    cr_assert_eq(conninfo_check("postgresql://db?sslrootcert=/etc/ca.pem&user=a@b", NULL), 0);
    cr_assert_eq(conninfo_check("postgresql://db:5432?sslrootcert=/etc/ca.pem&user=a@b", NULL), 0);
    cr_assert_eq(conninfo_check("postgresql://u@db/mobeye@home", NULL), 0);
    cr_assert_eq(conninfo_check("host=@abstract dbname=a@b", NULL), 0);
    cr_assert_eq(conninfo_check("host=db options='-c a.password=b'", NULL), 0);
    cr_assert_eq(conninfo_check("password='my password=x'", NULL), 0);
    cr_assert_eq(conninfo_check("mobeye", NULL), 0);
}

Test(conninfo, an_error_says_which_option_is_wrong)
{
    struct err err;
    cr_assert_eq(conninfo_check("hostt=db", &err), -1);
    cr_assert(strstr(err.text, "hostt"), "%s", err.text);
}

Test(conninfo, an_error_quotes_nothing_of_a_password)
{
    const char *wrong[] = {"host=db password=my geheim",
                           "PASSWORD geheim=x",
                           "postgresql://u:ge%heim@db/x",
                           "sslpassword='geheim",
                           "postgresql://u:geheim/42@db/x",
                           "postgresql://u:42/geheim@db/x",
                           "postgresql://u:42@geheim@db",
                           "host=db port=5432password=geheim",
                           "connect_timeout=5password=geheim",
                           "host=a,b port=1,geheim",
                           "postgresq://u:geheim@db/x",
                           " postgresql://u:geheim@db/x",
                           "u:geheim@db",
                           "postgresq://u:geheim@db?a=b",
                           "connect_timeout=5PASSWORD=geheim",
                           "options=-cx=1password=geheim"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct err err;
        cr_assert_eq(conninfo_check(wrong[i], &err), -1, "%s", wrong[i]);
        cr_assert_not(strstr(err.text, "heim"), "%s", err.text);
    }
}

Test(conninfo, another_database_of_the_same_server)
{
    static const struct {
        const char *conninfo, *made;
    } cases[] = {
        {"host=db dbname=mobeye user=u", "user=u host=db dbname=scratch"},
        {"host=db password='ge heim'", "password='ge heim' host=db dbname=scratch"},
        {"postgresql://u@db:5433/mobeye", "user=u host=db port=5433 dbname=scratch"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf out = {0};
        cr_expect_eq(conninfo_for_database(&out, cases[i].conninfo, "scratch"), 0);
        cr_expect(str_is(buf_str(&out), cases[i].made), "%.*s", (int)out.len, out.data);
        buf_free(&out);
    }
    struct buf out = {0};
    cr_expect_eq(conninfo_for_database(&out, "host=db geheim", "scratch"), -1);
    buf_free(&out);
}

Test(conninfo, a_directory_and_no_host_are_a_socket)
{
    const char *const sockets[] = {NULL, "", "/run/postgresql", "@abstract"}, *const others[] = {"db", "127.0.0.1",
                                                                                                 "::1"};
    for (size_t i = 0; i < sizeof(sockets) / sizeof(sockets[0]); i++)
        cr_expect(conninfo_is_socket(sockets[i]), "%s", sockets[i] ? sockets[i] : "no host");
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        cr_expect_not(conninfo_is_socket(others[i]), "%s", others[i]);
}

Test(conninfo, one_value_of_it)
{
    char *host = conninfo_value("postgresql://u@db:5433/mobeye", "host");
    cr_expect_str_eq(host, "db");
    free(host);
    char *name = conninfo_value("mobeye", "dbname");
    cr_expect_str_eq(name, "mobeye");
    free(name);
    cr_expect_null(conninfo_value("host=db", "user"));
    cr_expect_null(conninfo_value("mobeye", "user"));
    cr_expect_null(conninfo_value("host=db geheim", "host"));
}

Test(conninfo, without_some_of_it)
{
    static const char *const who[] = {"user", "password", NULL};
    struct buf out = {0};
    cr_expect_eq(conninfo_without(&out, "host=db user=u password='ge heim' dbname='my base'", who), 0);
    cr_expect(str_is(buf_str(&out), "dbname='my base' host=db"), "%.*s", (int)out.len, out.data);
    out.len = 0;
    cr_expect_eq(conninfo_without(&out, "mobeye", who), 0);
    cr_expect(str_is(buf_str(&out), "dbname=mobeye"), "%.*s", (int)out.len, out.data);
    cr_expect_eq(conninfo_without(&out, "host=db geheim", who), -1);
    buf_free(&out);
}

static void expect_completed(const char *conninfo, const char *completed)
{
    struct buf out = {0};
    conninfo_complete(&out, conninfo);
    cr_expect(str_is(buf_str(&out), completed), "%s: %.*s", conninfo, (int)out.len, out.data);
    buf_free(&out);
}

Test(conninfo, what_it_leaves_out_libpq_takes_from_the_environment_and_a_service)
{
    char file[] = "/tmp/service.XXXXXX";
    int fd = mkstemp(file);
    dprintf(fd, "[north]\nhost=db.north\ndbname=alarms\n");
    close(fd);
    setenv("PGUSER", "u", 1);
    setenv("PGHOST", "db.elsewhere", 1);
    setenv("PGSERVICEFILE", file, 1);
    expect_completed("dbname=mobeye", "user=u dbname=mobeye host=db.elsewhere");
    expect_completed("service=north", "service=north user=u dbname=alarms host=db.north");
    expect_completed("service=north host=db", "service=north user=u dbname=alarms host=db");
    expect_completed("host=db geheim", "");
    cr_expect_null(getenv("PGSERVICE"));
    unlink(file);
}
