#include "store/database_names.h"

#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#include "base/mem.h"
#include "store/conninfo.h"

struct database_names {
    PGconn *conn;
    bool failed;
    struct err err; /* the first failure */
};

/* The first line only: libpq adds details in further ones. */
static int set_failure(struct err *err, const char *what, const char *why)
{
    return err_set(err, "%s: %.*s", what, (int)strcspn(why, "\n"), why);
}

struct database_names *database_names_new(const char *conninfo, struct err *err)
{
    const char *const keys[] = {"connect_timeout", "dbname", "application_name", "client_encoding", NULL};
    const char *const values[] = {"10", conninfo, "mobeyed --check", "UTF8", NULL};
    if (conninfo_check(conninfo, err) < 0)
        return NULL;
    struct database_names *names = mem_zalloc(sizeof(*names));
    names->conn = PQconnectdbParams(keys, values, 1);
    if (PQstatus(names->conn) == CONNECTION_OK)
        return names;
    set_failure(err, "cannot connect to the database", PQerrorMessage(names->conn));
    database_names_free(&names);
    return NULL;
}

void database_names_free(struct database_names **names)
{
    if (!*names)
        return;
    PQfinish((*names)->conn);
    free(*names);
    *names = NULL;
}

static bool name_exists(void *ctx, enum conf_name what, const char *name, const char *layer)
{
    static const char *const questions[] = {
        [CONF_NAME_LAYER] = "select exists (select from mobeye.area where layer = $1)",
        [CONF_NAME_AREA] = "select exists (select from mobeye.area where code = $1 and layer = $2)",
        [CONF_NAME_GROUP] = "select exists (select from mobeye.device where device_group = $1)",
        [CONF_NAME_TEAM] = "select exists (select from mobeye.team where team = $1)",
        [CONF_NAME_VIEWED_TEAM] = ("select exists (select from mobeye.person where team = $1 or all_teams)"
                                   " or not exists (select from mobeye.team where team = $1)"),
    };
    struct database_names *names = ctx;
    const char *const values[] = {name, layer};
    if (names->failed)
        return true;
    PGresult *answer = PQexecParams(names->conn, questions[what], layer ? 2 : 1, NULL, values, NULL, NULL, 0);
    const char *state = PQresultErrorField(answer, PG_DIAG_SQLSTATE);
    /* The role of the daemon cannot see people: then there is no warning. */
    bool unseen = what == CONF_NAME_VIEWED_TEAM && state && strcmp(state, "42501") == 0;
    names->failed = PQresultStatus(answer) != PGRES_TUPLES_OK && !unseen;
    bool is_known = names->failed || unseen || *PQgetvalue(answer, 0, 0) == 't';
    if (names->failed)
        set_failure(&names->err, "cannot ask the database for the names in the rules", PQresultErrorMessage(answer));
    PQclear(answer);
    return is_known;
}

struct conf_names database_names_asker(struct database_names *names)
{
    return (struct conf_names){name_exists, names};
}

int database_names_failed(const struct database_names *names, struct err *err)
{
    return names->failed ? err_set(err, "%s", names->err.text) : 0;
}
