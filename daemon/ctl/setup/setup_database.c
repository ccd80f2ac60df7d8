/* mobeyectl setup: the database and its schema. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/lib/ctl.h"
#include "ctl/lib/schema_state.h"
#include "ctl/setup/setup.h"
#include "store/conninfo.h"

char *setup_complete_conninfo(const struct setup *s)
{
    const char *conninfo = s->daemon.conninfo ? s->daemon.conninfo : s->daemon.file_conninfo;
    return conninfo ? connect_complete(s->daemon.user, s->daemon.file, conninfo) : NULL;
}

/* Where no file names a server yet: this machine's, by root's PGPORT where there are several. */
static PGconn *connect_here(const char *database)
{
    struct buf here = {0};
    conninfo_append(&here, "host", "/run/postgresql");
    if (getenv("PGPORT"))
        conninfo_append(&here, "port", getenv("PGPORT"));
    conninfo_append(&here, "user", "postgres");
    buf_append(&here, "", 1);
    PGconn *conn = connect_open_own(SETUP_VERB, here.data, database);
    buf_free(&here);
    return conn;
}

/* By default on the daemon's server: this machine may have several. */
static PGconn *connect_admin(const struct setup *s, const char *database)
{
    struct buf own = {0};
    if (s->admin)
        return connect_open(SETUP_VERB, s->admin, database);
    char *complete = setup_complete_conninfo(s);
    bool known = complete && connect_own(&own, complete, NULL);
    PGconn *conn = known ? connect_open_own(SETUP_VERB, own.data, database) : connect_here(database);
    buf_free(&own);
    free(complete);
    return conn;
}

bool setup_run(PGconn *conn, const char *what, const char *sql)
{
    PGresult *result = PQexec(conn, sql);
    bool done = PQresultStatus(result) == PGRES_COMMAND_OK || PQresultStatus(result) == PGRES_TUPLES_OK;
    if (!done)
        ctl_fail_sql(SETUP_VERB, what, result);
    PQclear(result);
    return done;
}

/* A cluster as Debian's pg_lsclusters lists it. */
struct cluster {
    char version[16], name[64], state[32];
    unsigned port;
};

static bool is_down(const struct cluster *cluster)
{
    return strncmp(cluster->state, "down", 4) == 0;
}

/* How likely this cluster is to be the one that was meant. */
static int rank_of(const struct cluster *cluster, const char *port)
{
    if (!is_down(cluster) && port && cluster->port == strtoul(port, NULL, 10))
        return 3;
    return is_down(cluster) ? 2 : 1;
}

/* The cluster running on the port, else the first that is not running, else the first; false: there is none, or this is
 * not Debian. */
static bool find_cluster(const char *port, struct cluster *ret)
{
    char line[1024];
    int best = 0;
    FILE *list = popen("pg_lsclusters -h 2> /dev/null", "re");
    while (list && fgets(line, sizeof(line), list)) {
        struct cluster one;
        if (sscanf(line, "%15s %63s %u %31s", one.version, one.name, &one.port, one.state) == 4 &&
            rank_of(&one, port) > best) {
            *ret = one;
            best = rank_of(&one, port);
        }
    }
    if (list)
        pclose(list);
    return best > 0;
}

/* Prints why there is no connection, and what to do about it. */
static int refuse_server(const struct setup *s)
{
    static const char failed[] = "cannot connect to PostgreSQL as a superuser";
    struct cluster cluster;
    fputs(PQerrorMessage(s->conn), stderr);
    if (s->admin)
        return ctl_fail(SETUP_VERB, "%s (correct --admin)", failed);
    if (!find_cluster(PQport(s->conn), &cluster))
        return ctl_fail(SETUP_VERB, "%s (install postgresql and postgresql-postgis, or give --admin)", failed);
    if (is_down(&cluster))
        return ctl_fail(SETUP_VERB,
                        "%s: PostgreSQL %s is installed, but its cluster %s is not running (systemctl start "
                        "postgresql@%s-%s, or give --admin)",
                        failed, cluster.version, cluster.name, cluster.version, cluster.name);
    return ctl_fail(SETUP_VERB,
                    "%s: PostgreSQL %s runs on port %u (%sfor another port than 5432 give --admin "
                    "\"host=/run/postgresql port=%u user=postgres\")",
                    failed, cluster.version, cluster.port, geteuid() == 0 ? "" : "run this as root; ", cluster.port);
}

/* Whether the superuser is connected to the daemon's server; prints why that cannot be. */
static bool finds_server(const struct setup *s)
{
    struct buf own = {0};
    char *complete = setup_complete_conninfo(s);
    bool local = s->admin || !complete || connect_is_local(complete);
    bool known = s->admin || !complete || connect_own(&own, complete, NULL);
    const char *from = s->daemon.conninfo ? "--conninfo" : s->daemon.file;
    if (!local)
        ctl_fail(SETUP_VERB, "the database of %s is on another machine (expected --admin with a superuser there)",
                 from);
    else if (!known)
        ctl_fail(
            SETUP_VERB,
            "the service that %s names is not defined, or has no dbname (correct it, or use --admin with a superuser "
            "there)",
            from);
    buf_free(&own);
    free(complete);
    return local && known;
}

static int connect_server(struct setup *s)
{
    if (!finds_server(s))
        return CTL_FAILED;
    s->conn = connect_admin(s, "postgres");
    if (PQstatus(s->conn) != CONNECTION_OK)
        return refuse_server(s);
    char *super = ctl_query_text(s->conn, "select 1 from pg_roles where rolname = current_user and rolsuper", NULL);
    if (!super)
        return ctl_fail(SETUP_VERB, "\"%s\" is not a superuser (the extension postgis requires one)", PQuser(s->conn));
    free(super);
    return CTL_OK;
}

/* 1: it exists; 0: it would be created; -1: the error was printed. */
static int make_database(struct setup *s)
{
    char *there = ctl_query_text(s->conn, "select 1 from pg_database where datname = $1", s->database);
    if (there) {
        setup_is(s, "the database %s exists", s->database);
        free(there);
        return 1;
    }
    if (!s->dry_run) {
        char *name = PQescapeIdentifier(s->conn, s->database, strlen(s->database));
        struct buf sql = {0};
        buf_printf(&sql, "create database %s encoding 'UTF8' template template0", name);
        bool created = setup_run(s->conn, s->database, sql.data);
        buf_free(&sql);
        PQfreemem(name);
        if (!created)
            return -1;
    }
    setup_did(s, "create the database %s, encoding UTF8", s->database);
    return s->dry_run ? 0 : 1;
}

static int make_schema(struct setup *s)
{
    struct schema_state state;
    bool read = schema_state_read(s->conn, SETUP_VERB, &state), current = read && schema_is_current(&state);
    schema_state_free(&state);
    if (!read)
        return CTL_FAILED;
    if (current) {
        setup_is(s, "the schema is at version %d", schema_latest());
        return CTL_OK;
    }
    if (!s->dry_run && ctl_migrate_schema(s->conn, true) != CTL_OK)
        return CTL_FAILED;
    setup_did(s, "create roles and schema, version %d", schema_latest());
    return CTL_OK;
}

/* For people's logins without their own statement_timeout: a session that hangs in a transaction holds up others. A
 * login does not inherit the settings of its groups, so each login gets them. */
#define LOGINS_TO_LIMIT                                                                                                \
    "from pg_roles r where r.rolcanlogin and not r.rolsuper"                                                           \
    " and (pg_has_role(r.oid, 'mobeye_patrol', 'member') or pg_has_role(r.oid, 'mobeye_auditor', 'member'))"           \
    " and not pg_has_role(r.oid, 'mobeye_owner', 'member') and not pg_has_role(r.oid, 'mobeye_ingest', 'member')"      \
    " and not exists (select from pg_db_role_setting g where g.setrole = r.oid"                                        \
    " and (g.setdatabase = 0 or g.setdatabase = (select d.oid from pg_database d where d.datname = "                   \
    "current_database()))"                                                                                             \
    " and g.setconfig::text like '%statement_timeout=%')"

static int limit_logins(struct setup *s)
{
    static const char limit[] =
        "do $$\n"
        "declare\n"
        "    login name;\n"
        "begin\n"
        "    for login in select r.rolname " LOGINS_TO_LIMIT "\n"
        "    loop\n"
        "        execute format('alter role %I in database %I set statement_timeout = %L', login,\n"
        "                       current_database(), '2min');\n"
        "        execute format('alter role %I in database %I set idle_in_transaction_session_timeout = %L',\n"
        "                       login, current_database(), '5min');\n"
        "    end loop;\n"
        "end $$";
    char *logins =
        ctl_query_text(s->conn, "select string_agg(r.rolname, ', ' order by r.rolname) " LOGINS_TO_LIMIT, NULL);
    bool done = !logins || s->dry_run || setup_run(s->conn, "timeouts of people's logins", limit);
    if (logins && done)
        setup_did(s, "limit statements to 2 minutes, and idle transactions to 5, for %s", logins);
    free(logins);
    return done ? CTL_OK : CTL_FAILED;
}

int setup_database(struct setup *s)
{
    int status = connect_server(s);
    if (status != CTL_OK)
        return status;
    int there = make_database(s);
    if (there < 0)
        return CTL_FAILED;
    if (there == 0) {
        setup_did(s, "create roles and schema, version %d", schema_latest());
        return CTL_OK;
    }
    PQfinish(s->conn);
    s->conn = connect_admin(s, s->database);
    if (PQstatus(s->conn) != CONNECTION_OK)
        return ctl_fail(SETUP_VERB, "%s", PQerrorMessage(s->conn));
    status = make_schema(s);
    return status == CTL_OK ? limit_logins(s) : status;
}
