/* What programs without a loop ask the database: names in the rules, the registry. With simulated replies. */
#include <criterion/criterion.h>
#include <libpq-fe.h>
#include <string.h>

#include "store/database_names.h"
#include "store/registry_rows.h"

static struct {
    ConnStatusType status;
    unsigned asked, fails_at; /* from 1; 0: never */
    const char *sqlstate;
    const char *value; /* of each answer; NULL: no row */
} server;

PGconn *PQconnectdbParams(const char *const *keys, const char *const *values, int expand)
{
    (void)keys, (void)values, (void)expand;
    return (PGconn *)&server;
}

ConnStatusType PQstatus(const PGconn *conn)
{
    (void)conn;
    return server.status;
}

void PQfinish(PGconn *conn)
{
    (void)conn;
}

char *PQerrorMessage(const PGconn *conn)
{
    (void)conn;
    return (char *)"no route to host\n\tIs it there?\n";
}

char *PQresultErrorField(const PGresult *result, int field)
{
    if (PQresultStatus(result) != PGRES_FATAL_ERROR)
        return NULL;
    return field == PG_DIAG_SQLSTATE          ? (char *)server.sqlstate
           : field == PG_DIAG_MESSAGE_PRIMARY ? (char *)"permission denied"
                                              : NULL;
}

char *PQresultErrorMessage(const PGresult *result)
{
    (void)result;
    return (char *)"ERROR:  permission denied\nmore of it\n";
}

PGresult *PQexecParams(PGconn *conn, const char *sql, int n, const Oid *types, const char *const *values,
                       const int *lengths, const int *formats, int format)
{
    (void)conn, (void)sql, (void)n, (void)types, (void)values, (void)lengths, (void)formats;
    if (++server.asked == server.fails_at)
        return PQmakeEmptyPGresult(NULL, PGRES_FATAL_ERROR);
    PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    PGresAttDesc description = {.name = (char *)"c", .format = format, .typlen = -1, .atttypmod = -1};
    cr_assert(PQsetResultAttrs(result, 1, &description));
    if (server.value)
        cr_assert(PQsetvalue(result, 0, 0, (char *)server.value, (int)strlen(server.value)));
    return result;
}

static struct database_names *open_names(void)
{
    struct err err;
    struct database_names *names = database_names_new("host=db", &err);
    cr_assert_not_null(names, "%s", err.text);
    return names;
}

static bool has(struct database_names *names, enum conf_name what, const char *layer)
{
    struct conf_names asker = database_names_asker(names);
    return asker.known(asker.ctx, what, "a name", layer);
}

Test(blocking_reads, a_name_exists_if_the_database_says_so)
{
    struct err err;
    struct database_names *names = open_names();
    server.value = "t";
    cr_expect(has(names, CONF_NAME_LAYER, NULL) && has(names, CONF_NAME_AREA, "wijk"));
    server.value = "f";
    cr_expect_not(has(names, CONF_NAME_LAYER, NULL) || has(names, CONF_NAME_VIEWED_TEAM, NULL));
    cr_expect_eq(database_names_failed(names, &err), 0);
    database_names_free(&names);
    database_names_free(&names);
}

Test(blocking_reads, a_failure_is_reported_once_and_no_name_is_taken_for_misspelled)
{
    struct err err;
    struct database_names *names = open_names();
    server.value = "f";
    server.fails_at = 1;
    server.sqlstate = "42501";
    cr_expect(has(names, CONF_NAME_TEAM, NULL));
    cr_expect(has(names, CONF_NAME_GROUP, NULL));
    cr_expect_eq(server.asked, 1, "no more is asked");
    cr_expect_eq(database_names_failed(names, &err), -1);
    cr_expect_str_eq(err.text, "cannot ask the database for the names in the rules: ERROR:  permission denied");
    database_names_free(&names);
}

Test(blocking_reads, people_whom_the_role_may_not_see_are_not_asked_for)
{
    static const char *const failures[] = {"42501", "42P01", NULL};
    for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
        struct err err;
        struct database_names *names = open_names();
        server.asked = 0;
        server.fails_at = 1;
        server.sqlstate = failures[i];
        cr_expect(has(names, CONF_NAME_VIEWED_TEAM, NULL));
        cr_expect_eq(database_names_failed(names, &err), i == 0 ? 0 : -1);
        database_names_free(&names);
    }
}

Test(blocking_reads, a_database_that_cannot_be_reached_is_named_in_one_line)
{
    struct err err;
    server.status = CONNECTION_BAD;
    cr_expect_null(database_names_new("host=db", &err));
    cr_expect_str_eq(err.text, "cannot connect to the database: no route to host");
    cr_expect_null(database_names_new("host=db password=a geheim", &err));
    cr_expect_not_null(strstr(err.text, "not a conninfo"), "%s", err.text);
    cr_expect_null(strstr(err.text, "geheim"));
}

Test(blocking_reads, a_registry_that_cannot_be_read_whole_is_not_used)
{
    for (unsigned at = 1; at <= 2; at++) {
        struct err err;
        struct registry *registry = registry_new();
        struct area_rows *areas = area_rows_new();
        server.asked = 0;
        server.fails_at = at;
        server.sqlstate = "42501";
        cr_expect_eq(registry_read((PGconn *)&server, registry, areas, &err), -1);
        cr_expect_str_eq(err.text, "the registry cannot be read: permission denied");
        cr_expect_eq(server.asked, at);
        area_rows_free(&areas);
        registry_free(&registry);
    }
}
