/* Of mobeyectl setup: the database, its schema, and the way in of the daemon's role. */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "ctl/ctl.h"
#include "ctl/setup.h"
#include "store/conninfo.h"
#include "store/migrations.h"

#define ROLE "mobeye_ingest"

/* PostgreSQL knows who is at the other end of a Unix socket by the user that connects. 0: stays as it is. */
static uid_t become(const char *user)
{
    const struct passwd *who = geteuid() == 0 ? getpwnam(user) : NULL;
    return who && seteuid(who->pw_uid) == 0 ? who->pw_uid : 0;
}

static void become_root_again(uid_t was)
{
    if (was != 0 && seteuid(0) != 0)
        abort();
}

static PGconn *connect_admin(const struct setup *s, const char *database)
{
    const char *keys[] = {"connect_timeout", "dbname", "dbname", "application_name", "client_encoding", NULL};
    const char *values[] = {"10",     s->admin ? s->admin : "host=/run/postgresql user=postgres",
                            database, "mobeyectl " SETUP_VERB,
                            "UTF8",   NULL};
    uid_t user = s->admin ? 0 : become("postgres");
    PGconn *conn = PQconnectdbParams(keys, values, 1);
    become_root_again(user);
    return conn;
}

static bool run(PGconn *conn, const char *what, const char *sql)
{
    PGresult *result = PQexec(conn, sql);
    bool done = PQresultStatus(result) == PGRES_COMMAND_OK || PQresultStatus(result) == PGRES_TUPLES_OK;
    if (!done)
        ctl_fail_sql(SETUP_VERB, what, result);
    PQclear(result);
    return done;
}

/* The first column of the only row as text; NULL: none. The caller frees it. */
static char *query(PGconn *conn, const char *sql, const char *value)
{
    PGresult *rows = PQexecParams(conn, sql, value ? 1 : 0, NULL, &value, NULL, NULL, 0);
    char *text = PQntuples(rows) == 1 && !PQgetisnull(rows, 0, 0) ? strdup(PQgetvalue(rows, 0, 0)) : NULL;
    PQclear(rows);
    return text;
}

static int connect_server(struct setup *s)
{
    s->conn = connect_admin(s, "postgres");
    if (PQstatus(s->conn) != CONNECTION_OK) {
        fputs(PQerrorMessage(s->conn), stderr);
        return ctl_fail(SETUP_VERB,
                        "no superuser of PostgreSQL answers; is it installed (postgresql, postgresql-15-postgis-3)? "
                        "--admin says how to get in");
    }
    char *super = query(s->conn, "select 1 from pg_roles where rolname = current_user and rolsuper", NULL);
    if (!super)
        return ctl_fail(SETUP_VERB, "\"%s\" is no superuser, which the extension postgis takes", PQuser(s->conn));
    free(super);
    return CTL_OK;
}

/* 1: there; 0: it would be made; -1: printed why not. */
static int make_database(struct setup *s)
{
    char *there = query(s->conn, "select 1 from pg_database where datname = $1", s->database);
    if (there) {
        setup_is(s, "the database %s is there", s->database);
        free(there);
        return 1;
    }
    if (!s->dry_run) {
        char *name = PQescapeIdentifier(s->conn, s->database, strlen(s->database));
        struct buf sql = {0};
        buf_printf(&sql, "create database %s encoding 'UTF8' template template0", name);
        buf_append(&sql, "", 1);
        bool made = run(s->conn, s->database, sql.data);
        buf_free(&sql);
        PQfreemem(name);
        if (!made)
            return -1;
    }
    setup_did(s, "the database %s, in UTF8", s->database);
    return s->dry_run ? 0 : 1;
}

static int schema_version(PGconn *conn)
{
    char *text = ctl_readable(conn, "mobeye.schema_version")
                     ? query(conn, "select max(version) from mobeye.schema_version", NULL)
                     : NULL;
    int version = text ? atoi(text) : 0;
    free(text);
    return version;
}

static int make_schema(struct setup *s)
{
    int latest = migrations[migrations_n - 1].version, version = schema_version(s->conn);
    if (version == latest) {
        setup_is(s, "the schema has version %d", latest);
        return CTL_OK;
    }
    if (!s->dry_run && ctl_migrate_schema(s->conn, false) != CTL_OK)
        return CTL_FAILED;
    setup_did(s, "roles and schema, version %d", latest);
    return CTL_OK;
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
        setup_did(s, "roles and schema, version %d", migrations[migrations_n - 1].version);
        return CTL_OK;
    }
    PQfinish(s->conn);
    s->conn = connect_admin(s, s->database);
    if (PQstatus(s->conn) != CONNECTION_OK)
        return ctl_fail(SETUP_VERB, "%s", PQerrorMessage(s->conn));
    return make_schema(s);
}

bool setup_gets_in(const struct setup *s, const char *conninfo)
{
    struct err err;
    if (conninfo_check(conninfo, &err) != 0)
        return false;
    const char *keys[] = {"connect_timeout", "dbname", NULL};
    const char *values[] = {"10", conninfo, NULL};
    uid_t user = become(SETUP_USER);
    PGconn *conn = PQconnectdbParams(keys, values, 1);
    become_root_again(user);
    char *in =
        PQstatus(conn) == CONNECTION_OK
            ? query(conn, "select 1 where current_database() = $1 and pg_has_role('" ROLE "', 'usage')", s->database)
            : NULL;
    bool gets_in = in != NULL;
    free(in);
    PQfinish(conn);
    return gets_in;
}

/* The server keeps a verifier only, and its log sees nothing else. */
static bool give_password(PGconn *conn, const char *password)
{
    char *verifier = PQencryptPasswordConn(conn, password, ROLE, "scram-sha-256");
    char *literal = verifier ? PQescapeLiteral(conn, verifier, strlen(verifier)) : NULL;
    struct buf sql = {0};
    buf_printf(&sql, "alter role " ROLE " password %s", literal ? literal : "null");
    buf_append(&sql, "", 1);
    bool given = literal && run(conn, "the password of " ROLE, sql.data);
    buf_free(&sql);
    PQfreemem(literal);
    PQfreemem(verifier);
    return given;
}

/* For the daemon's user, where it is there. */
static int write_passfile(const char *path, const char *port, const char *database, const char *password)
{
    const struct passwd *user = getpwnam(SETUP_USER);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return ctl_fail(SETUP_VERB, "%s: %s", path,
                        errno == EEXIST
                            ? "is there already, and the daemon does not get in with it; look at pg_hba.conf, "
                              "or move it away for a new password"
                            : strerror(errno));
    bool good = dprintf(fd, "127.0.0.1:%s:%s:" ROLE ":%s\n", port, database, password) > 0 && fsync(fd) == 0;
    if (good && user && geteuid() == 0)
        good = fchown(fd, user->pw_uid, user->pw_gid) == 0;
    close(fd);
    return good ? CTL_OK : ctl_fail(SETUP_VERB, "%s: %s", path, strerror(errno));
}

static int make_password(struct setup *s, const char *path, const char *port)
{
    unsigned char bytes[24];
    char password[sizeof(bytes) * 2 + 1];
    randombytes_buf(bytes, sizeof(bytes));
    sodium_bin2hex(password, sizeof(password), bytes, sizeof(bytes));
    int status = write_passfile(path, port, s->database, password);
    if (status == CTL_OK && !give_password(s->conn, password)) {
        unlink(path);
        status = CTL_FAILED;
    }
    sodium_memzero(password, sizeof(password));
    return status;
}

int setup_password(struct setup *s)
{
    char path[4096];
    const char *file = setup_file_name(s), *slash = strrchr(file, '/');
    snprintf(path, sizeof(path), "%.*spgpass", slash ? (int)(slash - file) + 1 : 0, file);
    char *port = query(s->conn, "show port", NULL);
    if (asprintf(&s->conninfo, "host=127.0.0.1 port=%s dbname=%s user=" ROLE " passfile=%s", port ? port : "5432",
                 s->database, path) < 0)
        s->conninfo = NULL;
    int status = s->dry_run ? CTL_OK : make_password(s, path, port ? port : "5432");
    free(port);
    if (status != CTL_OK)
        return status;
    setup_did(s, "a password of " ROLE ", in %s", path);
    if (!s->dry_run && !setup_gets_in(s, s->conninfo))
        return ctl_fail(SETUP_VERB,
                        "PostgreSQL does not let %s in from 127.0.0.1 with it; pg_hba.conf needs: host %s %s "
                        "127.0.0.1/32 scram-sha-256, and listen_addresses localhost",
                        ROLE, s->database, ROLE);
    return CTL_OK;
}
