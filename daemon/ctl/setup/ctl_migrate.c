/* mobeyectl migrate: the migrations that the program carries, each in a transaction of its own. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/lib/ctl.h"
#include "ctl/lib/options.h"
#include "store/migrations.h"

#define VERB "migrate"

enum { SERVER_MIN = 150000 };

#define INSUFFICIENT_PRIVILEGE "42501"

static const char help[] =
    "Usage: mobeyectl migrate [--db CONNINFO | -c FILE]\n"
    "Creates the database schema or brings it up to this program's version. Safe to run twice, and while\n"
    "the daemon runs.\n\n"
    "The first time it takes a superuser, since it makes the extension postgis. Where that is there, it takes\n"
    "a role with CREATEROLE and the right to create schemas; afterwards a member of mobeye_owner.\n\n"
    "  -c, --config FILE  configuration to take database.conninfo from, default " CTL_DEFAULT_FILE "\n"
    "      --db CONNINFO  the database, as libpq writes it, instead of that\n"
    "  -h, --help         this text\n";

enum step { STEP_APPLIED, STEP_NONE_LEFT, STEP_FAILED };

/* Whether the statement worked; else prints why not. */
static bool check(const char *what, const PGresult *result)
{
    if (PQresultStatus(result) == PGRES_COMMAND_OK || PQresultStatus(result) == PGRES_TUPLES_OK)
        return true;
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    ctl_fail_sql(VERB, what, result);
    if (sqlstate && strcmp(sqlstate, INSUFFICIENT_PRIVILEGE) == 0)
        fputs("'mobeyectl migrate --help' says which rights it takes.\n", stderr);
    return false;
}

static bool run(PGconn *conn, const char *what, const char *sql)
{
    PGresult *result = PQexec(conn, sql);
    bool done = check(what, result);
    PQclear(result);
    return done;
}

/* The first column of the only row as a number. */
static bool query_int(PGconn *conn, const char *what, const char *sql, int *ret)
{
    PGresult *result = PQexec(conn, sql);
    bool done = check(what, result);
    if (done)
        *ret = atoi(PQgetvalue(result, 0, 0));
    PQclear(result);
    return done;
}

static bool current_version(PGconn *conn, int *ret)
{
    int exists;
    *ret = 0;
    if (!query_int(conn, "schema version", "select count(to_regclass('mobeye.schema_version'))", &exists))
        return false;
    return !exists ||
           query_int(conn, "schema version", "select coalesce(max(version), 0) from mobeye.schema_version", ret);
}

static bool apply(PGconn *conn, const struct migration *migration)
{
    char number[16];
    snprintf(number, sizeof(number), "%d", migration->version);
    const char *values[] = {number, migration->name};
    if (!run(conn, migration->name, migration->sql))
        return false;
    PGresult *result = PQexecParams(conn, "insert into mobeye.schema_version (version, name) values ($1, $2)", 2, NULL,
                                    values, NULL, NULL, 0);
    bool done = check(migration->name, result);
    PQclear(result);
    return done;
}

/* Two at once take turns; the version is read in the turn. Read committed, or it would be read as of the wait. */
static bool begin(PGconn *conn)
{
    return run(conn, "begin", "begin isolation level read committed read write") &&
           run(conn, "lock", "select pg_advisory_xact_lock(1297039941, 1)");
}

static enum step next_step(PGconn *conn, bool quiet, int *ret_version)
{
    int latest = migrations[migrations_n - 1].version;
    if (!begin(conn) || !current_version(conn, ret_version))
        return STEP_FAILED;
    if (*ret_version > latest) {
        ctl_fail(VERB, "the database has schema version %d and this program knows up to %d: use the newer mobeyectl",
                 *ret_version, latest);
        return STEP_FAILED;
    }
    if (*ret_version == latest)
        return run(conn, "commit", "commit") ? STEP_NONE_LEFT : STEP_FAILED;
    const struct migration *migration = &migrations[*ret_version];
    if (!apply(conn, migration) || !run(conn, migration->name, "commit"))
        return STEP_FAILED;
    if (!quiet) {
        printf("%s: applied\n", migration->name);
        fflush(stdout);
    }
    return STEP_APPLIED;
}

static bool check_server(PGconn *conn)
{
    const char *encoding = PQparameterStatus(conn, "server_encoding");
    if (PQserverVersion(conn) < SERVER_MIN) {
        ctl_fail(VERB, "the server is PostgreSQL %s; version %d is the least",
                 PQparameterStatus(conn, "server_version"), SERVER_MIN / 10000);
        return false;
    }
    if (!encoding || strcmp(encoding, "UTF8") != 0) {
        ctl_fail(VERB, "the encoding of the database is %s; alerts need UTF8 (createdb -E UTF8 -T template0)",
                 encoding ? encoding : "unknown");
        return false;
    }
    /* "already exists, skipping" helps nobody. */
    return run(conn, "session", "set client_min_messages = warning; set statement_timeout = 0");
}

int ctl_migrate_schema(PGconn *conn, bool quiet)
{
    int version;
    enum step step;
    if (!check_server(conn))
        return CTL_FAILED;
    do
        step = next_step(conn, quiet, &version);
    while (step == STEP_APPLIED);
    if (step == STEP_FAILED)
        return CTL_FAILED;
    if (!quiet)
        printf("the schema is up to date (version %d)\n", version);
    return CTL_OK;
}

static const struct ctl_verb verb = {VERB, .takes = "config db", .help = help};

int ctl_migrate(int argc, char **argv)
{
    const struct ctl_option options[] = {{0}};
    struct ctl_call call;
    int status = ctl_parse(argc, argv, &verb, options, &call);
    if (status != CTL_GO)
        return status;
    PGconn *conn = ctl_connect(VERB, call.file, call.db);
    status = conn ? ctl_migrate_schema(conn, false) : CTL_FAILED;
    PQfinish(conn);
    return status;
}
