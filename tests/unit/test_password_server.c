/* How programs connect to the server of the superuser who sets them up. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/setup/password_server.h"

struct sample {
    char admin[96], conninfo[160], line[64];
};

ParameterizedTestParameters(password_server, has_its_own_conninfo_and_line)
{
    static struct sample samples[] = {
        {"host=/run/nowhere port=1", "host=127.0.0.1 port=1 dbname=d user=r passfile=/p", "127.0.0.1:1:*:r:"},
        {"host=/run/nowhere port=1 sslmode=require", "host=127.0.0.1 port=1 dbname=d user=r passfile=/p",
         "127.0.0.1:1:*:r:"},
        {"host=127.0.0.1 port=1", "host=127.0.0.1 port=1 dbname=d user=r passfile=/p", "127.0.0.1:1:*:r:"},
        {"host=127.0.0.1 port=1 sslmode=disable", "host=127.0.0.1 port=1 dbname=d user=r passfile=/p sslmode=disable",
         "127.0.0.1:1:*:r:"},
        {"host=::1 port=1", "host=::1 port=1 dbname=d user=r passfile=/p", "\\:\\:1:1:*:r:"},
        {"host=db.invalid port=1 sslmode=verify-ca sslrootcert=/ca",
         "host=db.invalid port=1 dbname=d user=r passfile=/p sslmode=verify-ca sslrootcert=/ca", "db.invalid:1:*:r:"},
        {"host=db.invalid port=1", "host=db.invalid port=1 dbname=d user=r passfile=/p sslmode=verify-full",
         "db.invalid:1:*:r:"},
        {"postgresql://db.invalid:1/?sslmode=prefer",
         "host=db.invalid port=1 dbname=d user=r passfile=/p sslmode=prefer", "db.invalid:1:*:r:"},
    };
    return cr_make_param_array(struct sample, samples, sizeof(samples) / sizeof(samples[0]));
}

ParameterizedTest(struct sample *sample, password_server, has_its_own_conninfo_and_line)
{
    unsetenv("PGSSLMODE");
    unsetenv("PGSSLROOTCERT");
    struct password_server server;
    struct buf conninfo = {0}, line = {0};
    PGconn *conn = PQconnectStart(sample->admin); /* knows its host and port, connected or not */
    password_server_find(&server, conn, sample->admin);
    password_server_conninfo(&server, "d", "r", "/p", &conninfo);
    password_server_line(&server, "r", &line);
    cr_expect_str_eq(conninfo.data, sample->conninfo);
    cr_expect_str_eq(line.data, sample->line);
    buf_free(&conninfo);
    buf_free(&line);
    password_server_free(&server);
    PQfinish(conn);
}

Test(password_server, the_environment_counts_where_the_conninfo_says_nothing)
{
    setenv("PGSSLMODE", "require", 1);
    struct password_server server;
    PGconn *conn = PQconnectStart("host=db.invalid port=1");
    password_server_find(&server, conn, "host=db.invalid port=1");
    cr_expect_str_eq(server.sslmode, "require");
    cr_expect(!server.sslmode_chosen);
    password_server_free(&server);
    PQfinish(conn);
}

/* The daemon runs in another directory. */
Test(password_server, a_relative_certificate_becomes_absolute)
{
    char directory[] = "/tmp/certificate.XXXXXX", expected[64];
    cr_assert(mkdtemp(directory) && chdir(directory) == 0);
    close(open("ca.crt", O_WRONLY | O_CREAT, 0600));
    snprintf(expected, sizeof(expected), "%s/ca.crt", directory);
    struct password_server server;
    PGconn *conn = PQconnectStart("host=127.0.0.1 port=1 sslrootcert=ca.crt");
    password_server_find(&server, conn, "host=127.0.0.1 port=1 sslrootcert=ca.crt");
    cr_expect_str_eq(server.sslrootcert, expected);
    password_server_free(&server);
    PQfinish(conn);
    unlink("ca.crt");
    rmdir(directory);
}

/* A renewal makes it one to another file. */
Test(password_server, a_certificate_that_is_a_link_stays_one)
{
    char directory[] = "/tmp/certificate.XXXXXX", link[64], conninfo[128];
    cr_assert(mkdtemp(directory) && chdir(directory) == 0);
    snprintf(link, sizeof(link), "%s/chain.pem", directory);
    close(open("chain3.pem", O_WRONLY | O_CREAT, 0600));
    cr_assert_eq(symlink("chain3.pem", "chain.pem"), 0);
    const char *const named[] = {link, "chain.pem"};
    for (size_t i = 0; i < 2; i++) {
        struct password_server server;
        snprintf(conninfo, sizeof(conninfo), "host=127.0.0.1 port=1 sslrootcert=%s", named[i]);
        PGconn *conn = PQconnectStart(conninfo);
        password_server_find(&server, conn, conninfo);
        cr_expect_str_eq(server.sslrootcert, link);
        password_server_free(&server);
        PQfinish(conn);
    }
    unlink("chain.pem");
    unlink("chain3.pem");
    rmdir(directory);
}

Test(password_server, knows_the_conninfo_that_it_wrote)
{
    static const char *const own[] = {
        "host=127.0.0.1 port=5432 dbname=d user=r passfile=/p",
        "host=db.invalid port=5432 dbname='a b' user=r passfile=/p sslmode=verify-full sslrootcert=/ca",
    };
    static const char *const others[] = {
        "host=127.0.0.1 dbname=d user=r passfile=/p",
        "host=127.0.0.1 port=5432 dbname=d user=r passfile=/p connect_timeout=5",
        "host=127.0.0.1 port=5432 user=r dbname=d passfile=/p",
        "postgresql://r@127.0.0.1:5432/d?passfile=/p",
        "d",
        "host=",
        "host=127.0.0.1 port=5432 dbname=d user=r passfile=/other",
    };
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        cr_expect(password_server_wrote(own[i], "/p"), "%s", own[i]);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        cr_expect_not(password_server_wrote(others[i], "/p"), "%s", others[i]);
}
