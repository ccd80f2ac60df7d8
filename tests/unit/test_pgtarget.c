/* The servers of a conninfo, and what libpq is given to connect to one of them. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/pgtarget.h"

struct expected_target {
    const char *host, *hostaddr, *port, *name;
};

static void expect_targets(const char *conninfo, size_t n, const struct expected_target *expected)
{
    struct pgtargets targets;
    struct err err;
    cr_assert_eq(pgtargets_parse(&targets, conninfo, "mobeyed test", &err), 0, "%s", err.text);
    cr_assert_eq(targets.n, n, "%s", conninfo);
    for (size_t i = 0; i < n; i++) {
        const struct pgtarget *target = &targets.target[i];
        const char *pairs[][2] = {{target->host, expected[i].host},
                                  {target->hostaddr, expected[i].hostaddr},
                                  {target->port, expected[i].port},
                                  {pgtarget_name(target), expected[i].name}};
        for (size_t j = 0; j < 4; j++)
            cr_expect_str_eq(pairs[j][0] ? pairs[j][0] : "(null)", pairs[j][1] ? pairs[j][1] : "(null)", "%s: %zu %zu",
                             conninfo, i, j);
    }
    pgtargets_free(&targets);
}

Test(pgtarget, a_conninfo_is_taken_apart)
{
    expect_targets("dbname=x", 1, (struct expected_target[]){{0}});
    expect_targets("host=/run/postgresql port=5433", 1,
                   (struct expected_target[]){{"/run/postgresql", NULL, "5433", NULL}});
    expect_targets("host=db1,10.0.0.2,::1 port=5433", 3,
                   (struct expected_target[]){
                       {"db1", NULL, "5433", "db1"}, {"10.0.0.2", NULL, "5433", NULL}, {"::1", NULL, "5433", NULL}});
    expect_targets("postgresql://u:p@db1:1,db2/x", 2,
                   (struct expected_target[]){{"db1", NULL, "1", "db1"}, {"db2", NULL, NULL, "db2"}});
    expect_targets("host=db1,db2 hostaddr=10.0.0.1,10.0.0.2 port=1,2", 2,
                   (struct expected_target[]){{"db1", "10.0.0.1", "1", NULL}, {"db2", "10.0.0.2", "2", NULL}});
    expect_targets("hostaddr=10.0.0.1 host=@abstract", 1,
                   (struct expected_target[]){{"@abstract", "10.0.0.1", NULL, NULL}});
}

/* libpq would look the name up itself, and block. */
Test(pgtarget, servers_of_the_environment_and_of_a_service_are_taken_apart)
{
    char file[] = "/tmp/service.XXXXXX";
    int fd = mkstemp(file);
    dprintf(fd, "[north]\nhost=db.north\nport=5433\n");
    close(fd);
    setenv("PGSERVICEFILE", file, 1);
    setenv("PGHOST", "db1,db2", 1);
    expect_targets("dbname=x", 2, (struct expected_target[]){{"db1", NULL, NULL, "db1"}, {"db2", NULL, NULL, "db2"}});
    expect_targets("service=north", 1, (struct expected_target[]){{"db.north", NULL, "5433", "db.north"}});
    expect_targets("host=10.0.0.1", 1, (struct expected_target[]){{"10.0.0.1", NULL, NULL, NULL}});
    unlink(file);
}

Test(pgtarget, a_conninfo_that_does_not_fit_is_refused_without_quoting_it)
{
    static const char *const bad[] = {
        "host",
        "password=a geheim",
        "host=a,b port=1,2,3",
        "host=a,b hostaddr=10.0.0.1",
        "host=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17",
        "nonsense=1",
        "port=abc",
        "port=0",
        "host=a,b port=1,65536",
        "postgresql://u:geheim/42@db/x",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct pgtargets targets;
        struct err err = {""};
        cr_expect_eq(pgtargets_parse(&targets, bad[i], "mobeyed test", &err), -1, "%s", bad[i]);
        cr_expect_neq(err.text[0], '\0');
        cr_expect_null(strstr(err.text, "geheim"));
        cr_expect_eq(pgtargets_check(bad[i], &err), -1, "%s", bad[i]);
        cr_expect_null(strstr(err.text, "geheim"));
    }
}

Test(pgtarget, a_mistake_of_the_environment_is_none_of_the_conninfo)
{
    struct pgtargets targets;
    struct err err;
    setenv("PGHOST", "db1,db2", 1);
    setenv("PGPORT", "1,2,3", 1);
    cr_expect_eq(pgtargets_check("dbname=x", &err), 0);
    cr_expect_eq(pgtargets_check("service=north port=5432,5433", &err), 0, "the service may have two hosts");
    cr_expect_eq(pgtargets_parse(&targets, "dbname=x", "mobeyed test", &err), -1);
}

/* What libpq would connect with. */
static char params[2000];

PGconn *PQconnectStart(const char *conninfo)
{
    PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
    cr_assert_not_null(options, "%s", conninfo);
    params[0] = ' ', params[1] = '\0';
    for (const PQconninfoOption *o = options; o->keyword; o++)
        if (o->val)
            snprintf(params + strlen(params), sizeof(params) - strlen(params), "%s=%s ", o->keyword, o->val);
    PQconninfoFree(options);
    return (PGconn *)params;
}

static void expect_params(const char *conninfo, const char *const *addresses, size_t n, const char *const *expected)
{
    struct pgtargets targets;
    struct err err;
    cr_assert_eq(pgtargets_parse(&targets, conninfo, "mobeyed test", &err), 0, "%s", err.text);
    pgtarget_connect(&targets, &(struct pgtarget_turn){0}, addresses, n);
    for (; *expected; expected++)
        cr_expect_not_null(strstr(params, *expected), "%s: no \"%s\" in %s", conninfo, *expected, params);
    pgtargets_free(&targets);
}

Test(pgtarget, a_connection_has_the_conninfo_of_one_server_and_what_that_does_not_say)
{
    static const char *const addresses[] = {"10.0.0.1", "::1"};
    expect_params("host=db1,db2 port=5433 dbname=x", addresses, 2,
                  (const char *[]){" host=db1,db1 ", " hostaddr=10.0.0.1,::1 ", " port=5433 ", " dbname=x ",
                                   " target_session_attrs=read-write ", " application_name=mobeyed test ",
                                   " tcp_user_timeout=30000 ", NULL});
    expect_params("host=/run/postgresql application_name=ours target_session_attrs=any client_encoding=LATIN1", NULL, 0,
                  (const char *[]){" host=/run/postgresql ", " application_name=ours ", " target_session_attrs=any ",
                                   " client_encoding=UTF8 ", NULL});
    cr_expect_null(strstr(params, "mobeyed test"));
    cr_expect_null(strstr(params, "read-write"));
    cr_expect_null(strstr(params, "LATIN1"), "rows are sent as UTF-8");
    expect_params("hostaddr=10.0.0.1 host='' application_name=''", NULL, 0,
                  (const char *[]){" hostaddr=10.0.0.1 ", " application_name=mobeyed test ", NULL});
}

/* Whose values are those of other programs, or a whole list for one server. */
Test(pgtarget, a_connection_leaves_nothing_of_it_to_the_environment)
{
    setenv("PGHOST", ",db2", 1);
    setenv("PGPORT", ",5433", 1);
    setenv("PGAPPNAME", "psql", 1);
    setenv("PGTARGETSESSIONATTRS", "prefer-standby", 1);
    setenv("PGUSER", "u", 1);
    expect_params("dbname=x", NULL, 0,
                  (const char *[]){" host= ", " hostaddr= ", " port= ", " user=u ", " application_name=mobeyed test ",
                                   " target_session_attrs=read-write ", NULL});
    setenv("PGTARGETSESSIONATTRS", "any", 1);
    expect_params("host='' port=5434", NULL, 0,
                  (const char *[]){" host= ", " port=5434 ", " target_session_attrs=read-write ", NULL});
}

Test(pgtarget, an_empty_value_keeps_the_environment_out)
{
    setenv("PGOPTIONS", "-c work_mem=1MB", 1);
    setenv("PGPASSWORD", "geheim", 1);
    setenv("PGSSLROOTCERT", "/a", 1);
    setenv("PGHOSTADDR", "10.0.0.9", 1);
    expect_params(
        "host=10.0.0.1 hostaddr='' options='' password='' sslrootcert=''", NULL, 0,
        (const char *[]){" host=10.0.0.1 ", " hostaddr= ", " options= ", " password= ", " sslrootcert= ", NULL});
}

/* libpq would wait for the first one each time. */
Test(pgtarget, the_address_after_the_one_that_failed_is_the_first_in_whatever_order_they_come)
{
    static const struct {
        const char *addresses[3], *failed, *expected;
    } cases[] = {
        {{"10.0.0.1", "10.0.0.2", "::1"}, "", " hostaddr=10.0.0.1,10.0.0.2,::1 "},
        {{"10.0.0.1", "10.0.0.2", "::1"}, "10.0.0.1", " hostaddr=10.0.0.2,::1,10.0.0.1 "},
        {{"10.0.0.1", "10.0.0.2", "::1"}, "::1", " hostaddr=10.0.0.1,10.0.0.2,::1 "},
        {{"10.0.0.1", "10.0.0.2", "::1"}, "10.0.0.3", " hostaddr=10.0.0.1,10.0.0.2,::1 "},
        {{"10.0.0.2", "::1", "10.0.0.1"}, "10.0.0.1", " hostaddr=10.0.0.2,::1,10.0.0.1 "},
        {{"10.0.0.2", "::1", "10.0.0.1"}, "10.0.0.2", " hostaddr=::1,10.0.0.1,10.0.0.2 "},
        {{"10.0.0.1", "10.0.0.1", "::1"}, "10.0.0.1", " hostaddr=::1,10.0.0.1,10.0.0.1 "},
    };
    struct pgtargets targets;
    struct err err;
    cr_assert_eq(pgtargets_parse(&targets, "host=db1", "mobeyed test", &err), 0, "%s", err.text);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pgtarget_turn turn = {0};
        snprintf(turn.failed[0], sizeof(turn.failed[0]), "%s", cases[i].failed);
        pgtarget_connect(&targets, &turn, cases[i].addresses, 3);
        cr_expect_not_null(strstr(params, cases[i].expected), "%zu: %s", i, params);
    }
    pgtargets_free(&targets);
}

static void expect_described(const char *conninfo, int64_t timeout_us, const char *expected)
{
    struct pgtargets targets;
    struct err err;
    char text[100];
    cr_assert_eq(pgtargets_parse(&targets, conninfo, "mobeyed test", &err), 0, "%s", err.text);
    pgtarget_describe(&targets.target[0], text, sizeof(text));
    cr_expect_str_eq(text, expected, "%s: %s", conninfo, text);
    cr_expect_eq(targets.timeout_us, timeout_us, "%s", conninfo);
    pgtargets_free(&targets);
}

Test(pgtarget, a_server_is_described_and_an_attempt_ends)
{
    expect_described("host=db1 port=5433 connect_timeout=3", 3 * CLOCK_SECOND, "db1 port 5433");
    expect_described("hostaddr=10.0.0.1 connect_timeout=0", 10 * CLOCK_SECOND, "10.0.0.1");
    expect_described("dbname=x connect_timeout=-1", 10 * CLOCK_SECOND, "the default host");
}
