/* mobeyectl migrate: the migrations and the code that the program carries, in one transaction. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl/lib/ctl.h"
#include "ctl/lib/options.h"
#include "ctl/lib/schema_state.h"
#include "store/migrations.h"

#define VERB "migrate"

enum { SERVER_MIN = 150000 };

/* A session that reads a view of schema patrol, or writes to the registry, may hold a lock for a while. Others queue up
 * after a migration that waits for a lock, so it waits briefly, and more than once. */
#define LOCK_TIMEOUT "2s"
enum { LOCK_TRIES = 30, LOCK_PAUSE_US = 500000 };

#define INSUFFICIENT_PRIVILEGE      "42501"
#define LOCK_NOT_AVAILABLE          "55P03"
#define DEADLOCK_DETECTED           "40P01"
#define INVALID_FUNCTION_DEFINITION "42P13"
#define INVALID_TABLE_DEFINITION    "42P16"
#define AMBIGUOUS_FUNCTION          "42725" /* other parameters: the new function exists alongside the old one */

static const char help[] =
    "Usage: mobeyectl migrate [--check] [--db CONNINFO | -c FILE]\n"
    "Creates the database schema or upgrades it to the version of this program.\n\n"
    "Applies the migrations that the database lacks, and all functions, views and rights if their text has changed,\n"
    "completely or not at all. It is safe to run repeatedly and while the daemon runs. A database that is newer than\n"
    "this program is refused.\n\n"
    "The first run requires a superuser, to create the extensions postgis and btree_gist. If they exist, a role with\n"
    "CREATEROLE and the right to create schemas is sufficient; later runs require a member of mobeye_owner.\n\n"
    "      --check        change nothing; exit with status 1 if there is something to do\n"
    "  -c, --config FILE  configuration file (default: " CONF_DEFAULT_FILE ")\n"
    "      --db CONNINFO  libpq connection string; overrides database.conninfo\n"
    "  -h, --help         print this help\n\n"
    "Example:\n"
    "  $ mobeyectl migrate --db \"host=/run/postgresql dbname=mobeye user=postgres\"\n\n" CTL_EXIT_HELP;

/* How a transaction ended. */
enum attempt {
    ATTEMPT_DONE,
    ATTEMPT_FAILED,      /* printed */
    ATTEMPT_LOCKED,      /* another session holds a lock: try again */
    ATTEMPT_INCOMPATIBLE /* an object cannot be replaced in place: drop all of them first */
};

struct migrate {
    PGconn *conn;
    bool from_scratch; /* drop all code before it is applied */
    enum attempt outcome;
    struct buf report; /* what the transaction does, for stdout */
};

static enum attempt classify(const PGresult *result, bool from_scratch)
{
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (!sqlstate)
        return ATTEMPT_FAILED;
    if (strcmp(sqlstate, LOCK_NOT_AVAILABLE) == 0 || strcmp(sqlstate, DEADLOCK_DETECTED) == 0)
        return ATTEMPT_LOCKED;
    bool incompatible = strcmp(sqlstate, INVALID_FUNCTION_DEFINITION) == 0 ||
                        strcmp(sqlstate, INVALID_TABLE_DEFINITION) == 0 || strcmp(sqlstate, AMBIGUOUS_FUNCTION) == 0;
    return incompatible && !from_scratch ? ATTEMPT_INCOMPATIBLE : ATTEMPT_FAILED;
}

static void print_failure(const char *what, const PGresult *result)
{
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    ctl_fail_sql(VERB, what, result);
    if (sqlstate && strcmp(sqlstate, INSUFFICIENT_PRIVILEGE) == 0)
        fputs("'mobeyectl migrate --help' lists the rights that it requires.\n", stderr);
}

/* Whether the statements worked; else sets the outcome. */
static bool execute_params(struct migrate *m, const char *what, const char *sql, int n, const char *const *values)
{
    PGresult *result = n > 0 ? PQexecParams(m->conn, sql, n, NULL, values, NULL, NULL, 0) : PQexec(m->conn, sql);
    bool done = PQresultStatus(result) == PGRES_COMMAND_OK || PQresultStatus(result) == PGRES_TUPLES_OK;
    if (!done) {
        m->outcome = classify(result, m->from_scratch);
        if (m->outcome == ATTEMPT_FAILED)
            print_failure(what, result);
    }
    PQclear(result);
    return done;
}

static bool execute(struct migrate *m, const char *what, const char *sql)
{
    return execute_params(m, what, sql, 0, NULL);
}

/* Concurrent migrations take turns. Only the owner can take this lock on the table; before the table exists, nobody can
 * misuse an advisory lock. Read committed: otherwise the state would be read as it was before the wait. */
static bool begin(struct migrate *m)
{
    static const char lock[] = "do $$\n"
                               "begin\n"
                               "    if to_regclass('mobeye.schema_version') is null then\n"
                               "        perform pg_advisory_xact_lock(1297039941, 1);\n"
                               "    end if;\n"
                               "    if to_regclass('mobeye.schema_version') is not null then\n"
                               "        lock table mobeye.schema_version in share row exclusive mode;\n"
                               "    end if;\n"
                               "end $$";
    return execute(m, "begin", "begin isolation level read committed read write") && execute(m, "lock", lock) &&
           execute(m, "lock", "set local lock_timeout = '" LOCK_TIMEOUT "'");
}

static bool apply_migration(struct migrate *m, const struct migration *migration)
{
    char number[16];
    snprintf(number, sizeof(number), "%d", migration->version);
    const char *values[] = {number, migration->name};
    buf_printf(&m->report, "%s: applied\n", migration->name);
    return execute(m, migration->name, migration->sql) &&
           execute_params(m, migration->name, "insert into mobeye.schema_version (version, name) values ($1, $2)", 2,
                          values) &&
           execute(m, migration->name, "reset role; reset search_path");
}

static bool record_code(struct migrate *m, const struct schema_code *code)
{
    const char *values[] = {code->file, code->sha256, MOBEYE_VERSION};
    return execute_params(m, code->file,
                          "insert into mobeye.schema_code (file, sha256, program) values ($1, $2, $3)"
                          " on conflict (file) do update set sha256 = excluded.sha256, program = excluded.program,"
                          " applied_at = excluded.applied_at",
                          3, values);
}

static bool forget_removed_code(struct migrate *m, const struct schema_state *before)
{
    for (int i = 0; i < PQntuples(before->code); i++) {
        const char *file = PQgetvalue(before->code, i, 0);
        size_t j = 0;
        while (j < schema_code_n && strcmp(schema_code[j].file, file) != 0)
            j++;
        if (j < schema_code_n)
            continue;
        buf_printf(&m->report, "code/%s: removed\n", file);
        if (!execute_params(m, file, "delete from mobeye.schema_code where file = $1", 1, &file))
            return false;
    }
    return true;
}

/* All files, even if only one changed: they depend on each other. */
static bool apply_code(struct migrate *m, const struct schema_state *before)
{
    if (!execute(m, "code", schema_code_prepare) || (m->from_scratch && !execute(m, "code", schema_code_remove)))
        return false;
    for (size_t i = 0; i < schema_code_n; i++) {
        const char *hash = schema_applied_hash(before, schema_code[i].file);
        if (!hash || strcmp(hash, schema_code[i].sha256) != 0)
            buf_printf(&m->report, "code/%s: applied\n", schema_code[i].file);
        if (!execute(m, schema_code[i].file, schema_code[i].sql) || !record_code(m, &schema_code[i]))
            return false;
    }
    return forget_removed_code(m, before) && execute(m, "code", schema_code_remove) &&
           execute(m, "code", schema_code_finish) && execute(m, "code", "reset role; reset search_path");
}

static bool refuse_newer(struct migrate *m, const struct schema_state *state)
{
    if (!schema_is_newer(state))
        return false;
    m->outcome = ATTEMPT_FAILED;
    if (state->version > schema_latest())
        ctl_fail(VERB, "the database has schema version %d, newer than this program's %d (use the newer mobeyectl)",
                 state->version, schema_latest());
    else
        ctl_fail(VERB,
                 "the database has the code of mobeyed %s, newer than this program's " MOBEYE_VERSION
                 " (use the newer mobeyectl)",
                 state->program);
    return true;
}

/* A dump does not contain the roles. If it was restored without them, their rights are missing too. */
static bool roles_exist(const struct schema_state *state)
{
    if (!*state->missing_roles)
        return true;
    ctl_fail(VERB, "a role of mobeyed is missing: %s (" CTL_ROLE_MISSING ")", state->missing_roles);
    return false;
}

static bool migrate_from(struct migrate *m, const struct schema_state *before)
{
    if (refuse_newer(m, before) || !roles_exist(before))
        return false;
    for (size_t i = (size_t)before->version; i < migrations_n; i++)
        if (!apply_migration(m, &migrations[i]))
            return false;
    return (schema_is_current(before) || apply_code(m, before)) && execute(m, "commit", "commit");
}

static enum attempt attempt(struct migrate *m)
{
    struct schema_state before = {0};
    m->outcome = ATTEMPT_FAILED;
    m->report.len = 0;
    bool done = begin(m) && schema_state_read(m->conn, VERB, &before) && migrate_from(m, &before);
    schema_state_free(&before);
    if (done)
        return ATTEMPT_DONE;
    PQclear(PQexec(m->conn, "rollback"));
    return m->outcome;
}

static int migrate(struct migrate *m)
{
    enum attempt outcome;
    unsigned tries = 0;
    while ((outcome = attempt(m)) != ATTEMPT_DONE) {
        if (outcome == ATTEMPT_FAILED)
            return CTL_FAILED;
        if (outcome == ATTEMPT_INCOMPATIBLE) {
            m->from_scratch = true;
            continue;
        }
        if (++tries == LOCK_TRIES)
            return ctl_fail(VERB, "another session holds a lock on the schema (end it, or wait for its transaction)");
        if (tries == 1)
            fputs("mobeyectl " VERB ": waiting for a lock that another session holds\n", stderr);
        usleep(LOCK_PAUSE_US);
    }
    return CTL_OK;
}

static bool check_server(PGconn *conn)
{
    const char *encoding = PQparameterStatus(conn, "server_encoding");
    if (PQserverVersion(conn) < SERVER_MIN) {
        ctl_fail(VERB, "PostgreSQL %d or later is required; the server is %s", SERVER_MIN / 10000,
                 PQparameterStatus(conn, "server_version"));
        return false;
    }
    if (!encoding || strcmp(encoding, "UTF8") != 0) {
        ctl_fail(VERB, "the encoding of the database is %s (expected UTF8: createdb -E UTF8 -T template0)",
                 encoding ? encoding : "unknown");
        return false;
    }
    return true;
}

int ctl_migrate_schema(PGconn *conn, bool quiet)
{
    struct migrate m = {.conn = conn};
    /* "already exists, skipping" helps nobody. */
    if (!check_server(conn) || !execute(&m, "session", "set client_min_messages = warning; set statement_timeout = 0"))
        return CTL_FAILED;
    int status = migrate(&m);
    if (status == CTL_OK && !quiet)
        printf("%.*sthe schema is up to date (version %d)\n", (int)m.report.len, m.report.data ? m.report.data : "",
               schema_latest());
    buf_free(&m.report);
    return status;
}

static int check_schema(PGconn *conn)
{
    struct schema_state state;
    int status = CTL_FAILED;
    if (!schema_state_read(conn, VERB, &state))
        ; /* printed */
    else if (!roles_exist(&state))
        ; /* printed */
    else if (schema_is_current(&state)) {
        printf("the schema is up to date (version %d)\n", schema_latest());
        status = CTL_OK;
    } else if (schema_is_newer(&state))
        printf("a newer program has migrated the database (use that program)\n");
    else if (state.version < schema_latest())
        printf("schema version %d is older than this program's %d: run mobeyectl migrate\n", state.version,
               schema_latest());
    else
        printf("functions, views or rights differ from this program's: run mobeyectl migrate\n");
    schema_state_free(&state);
    return status;
}

static const struct ctl_verb verb = {VERB, .takes = "config db", .help = help};

/* A schema is not created in a database that only looks like the daemon's. */
static PGconn *connect_database(const struct ctl_call *call)
{
    if (call->db)
        return ctl_connect(VERB, NULL, call->db);
    struct conf *conf = ctl_load(call->file);
    bool knows = conf && ctl_knows_database(VERB, conf->file, conf->database.conninfo, NULL);
    PGconn *conn = knows ? ctl_connect_to(VERB, conf, NULL) : NULL;
    conf_free(&conf);
    return conn;
}

int ctl_migrate(int argc, char **argv)
{
    bool only_check = false;
    const struct ctl_option options[] = {{.name = "check", .flag = &only_check}, {0}};
    struct ctl_call call;
    int status = ctl_parse(argc, argv, &verb, options, &call);
    if (status != CTL_GO)
        return status;
    PGconn *conn = connect_database(&call);
    status = !conn ? CTL_FAILED : only_check ? check_schema(conn) : ctl_migrate_schema(conn, false);
    PQfinish(conn);
    return status;
}
