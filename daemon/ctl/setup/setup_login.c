/* mobeyectl setup: how the daemon, or the board, connects to the database. */
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/mem.h"
#include "ctl/lib/ctl.h"
#include "ctl/setup/password_server.h"
#include "ctl/setup/setup.h"
#include "store/conninfo.h"

enum { PASSWORD_BYTES = 24 };

/* Why the program cannot connect with this conninfo: libpq's message. NULL: it can. The caller frees it. */
static char *refusal(const struct setup *s, const struct setup_program *program, const char *conninfo)
{
    char *why = NULL, *in = NULL;
    struct err err;
    if (conninfo_check(conninfo, &err) != 0)
        return mem_strdup(err.text);
    PGconn *conn = connect_as_user(program->user, SETUP_VERB, conninfo);
    if (PQstatus(conn) != CONNECTION_OK) {
        why = mem_strdup(PQerrorMessage(conn));
        for (size_t len = strlen(why); len > 0 && why[len - 1] == '\n';)
            why[--len] = '\0';
    } else if (!(in = setup_query(conn,
                                  "select current_database() from pg_roles where rolname = $1 "
                                  "and pg_has_role(oid, 'usage')",
                                  program->role)) ||
               strcmp(in, s->database) != 0) {
        if (asprintf(&why, "it connects to database \"%s\" as \"%s\", not to \"%s\" as \"%s\"", PQdb(conn),
                     PQuser(conn), s->database, program->role) < 0)
            abort();
    }
    free(in);
    PQfinish(conn);
    return why;
}

/* Only the verifier reaches the server and its log. */
static bool give_password(PGconn *conn, const char *role, const char *password)
{
    char *verifier = PQencryptPasswordConn(conn, password, role, "scram-sha-256");
    char *literal = verifier ? PQescapeLiteral(conn, verifier, strlen(verifier)) : NULL;
    struct buf sql = {0};
    buf_printf(&sql, "alter role %s password %s%c", role, literal ? literal : "null", 0);
    bool given = literal && setup_run(conn, role, sql.data);
    buf_free(&sql);
    PQfreemem(literal);
    PQfreemem(verifier);
    return given;
}

/* Where a program's password is. */
struct login_password {
    struct password_server server;
    char *passfile;
    char *start; /* beginning of its line in the passfile */
};

static void find_password(const struct setup *s, const struct setup_program *program, struct login_password *ret)
{
    struct buf start = {0};
    password_server_find(&ret->server, s->conn, s->admin);
    password_server_line(&ret->server, program->role, &start);
    ret->start = start.data;
    ret->passfile = setup_beside(program->file, "pgpass");
}

static char *conninfo_of(const struct setup *s, const struct setup_program *program, const struct login_password *login)
{
    struct buf conninfo = {0};
    password_server_conninfo(&login->server, s->database, program->role, login->passfile, &conninfo);
    return conninfo.data;
}

/* The password in the passfile's line for this server; NULL: no such line. The caller frees it. */
static char *password_in(struct str text, const struct login_password *login)
{
    size_t start = strlen(login->start);
    for (size_t at = 0; at < text.len;) {
        const char *line = text.p + at, *end = memchr(line, '\n', text.len - at);
        size_t len = end ? (size_t)(end - line) : text.len - at;
        if (len > start && memcmp(line, login->start, start) == 0)
            return strndup(line + start, len - start);
        at += len + 1;
    }
    return NULL;
}

static char *new_password(void)
{
    unsigned char bytes[PASSWORD_BYTES];
    char *password = malloc(2 * PASSWORD_BYTES + 1);
    if (!password)
        abort();
    randombytes_buf(bytes, sizeof(bytes));
    sodium_bin2hex(password, 2 * PASSWORD_BYTES + 1, bytes, sizeof(bytes));
    return password;
}

/* Writes the file first, then the role: after an interruption the file holds the password that the role will get. */
static int set_password(struct setup *s, const struct setup_program *program, const struct login_password *login,
                        const struct buf *old)
{
    char *password = old ? password_in(buf_str(old), login) : new_password();
    struct buf line = {0};
    if (!password)
        return ctl_fail(SETUP_VERB,
                        "%s has no line that begins with %s (add one, or move the file away to get a new one)",
                        login->passfile, login->start);
    if (old)
        buf_append_str(&line, buf_str(old));
    else
        buf_printf(&line, "%s%s\n", login->start, password);
    int status = setup_write(login->passfile, buf_str(&line), program->user, true);
    if (status == CTL_OK && !give_password(s->conn, program->role, password))
        status = CTL_FAILED;
    sodium_memzero(password, strlen(password));
    sodium_memzero(line.data, line.len);
    free(password);
    buf_free(&line);
    return status;
}

/* Whether programs on other machines are connected with the role's present password; prints so, since a new password
 * would lock them out. */
static bool is_used_elsewhere(const struct setup *s, const struct setup_program *program,
                              const struct login_password *login)
{
    char *from =
        setup_query(s->conn,
                    "select string_agg(distinct host(client_addr), ', ') from pg_stat_activity where usename = $1 and "
                    "client_addr is distinct from inet_client_addr() and client_addr not in ('127.0.0.1', '::1')",
                    program->role);
    if (from)
        ctl_fail(SETUP_VERB, "a new password for %s would lock out %s at %s (copy its password file to %s, or stop it)",
                 program->role, program->name, from, login->passfile);
    bool used = from != NULL;
    free(from);
    return used;
}

static int fail_refused(const struct setup *s, const struct setup_program *program, const struct login_password *login,
                        const char *why)
{
    ctl_fail(SETUP_VERB, "%s cannot connect with %s: %s", program->name, login->passfile, why);
    if (strstr(why, "no password supplied"))
        fprintf(stderr, "mobeyectl doctor checks whether %s may read that file and enter its directories\n",
                program->name);
    if (login->server.sslmode_chosen)
        fprintf(stderr,
                "the server must have a certificate that %s verifies: add sslrootcert=FILE, or another sslmode, "
                "to --admin\n",
                program->name);
    if (strstr(why, "pg_hba.conf"))
        fprintf(stderr, "pg_hba.conf needs a line: host %s %s %s scram-sha-256\n", s->database, program->role,
                strcmp(login->server.host, "127.0.0.1") == 0 ? "127.0.0.1/32" : "ADDRESS-OF-THIS-MACHINE");
    return CTL_FAILED;
}

static int set_up_password(struct setup *s, const struct setup_program *program, const struct login_password *login)
{
    struct buf old = {0};
    int there = setup_read(login->passfile, &old), status = there < 0 ? CTL_FAILED : CTL_OK;
    char *why = there > 0 ? refusal(s, program, program->conninfo) : NULL;
    if (there > 0 && !why) {
        setup_is(s, "%s can connect with the password in %s", program->name, login->passfile);
    } else if (there >= 0) {
        free(why);
        why = NULL;
        if (there == 0 && is_used_elsewhere(s, program, login))
            status = CTL_FAILED;
        else if (!s->dry_run)
            status = set_password(s, program, login, there > 0 ? &old : NULL);
        if (status == CTL_OK)
            setup_did(s, "set the password of %s %s %s", program->role, there > 0 ? "to the one in" : "and write it to",
                      login->passfile);
        if (status == CTL_OK && !s->dry_run && (why = refusal(s, program, program->conninfo)))
            status = fail_refused(s, program, login, why);
    }
    free(why);
    if (old.len > 0)
        sodium_memzero(old.data, old.len);
    buf_free(&old);
    return status;
}

/* Leaves the conninfo of the file, where the password was all that it lacked. */
static void keep_working(const struct setup *s, struct setup_program *program)
{
    char *why = program->file_conninfo ? refusal(s, program, program->file_conninfo) : mem_strdup("");
    if (!why) {
        free(program->conninfo);
        program->conninfo = NULL;
    }
    free(why);
}

int setup_login(struct setup *s, struct setup_program *program)
{
    const char *conninfo = program->conninfo ? program->conninfo : program->file_conninfo;
    char *why = conninfo ? refusal(s, program, conninfo) : NULL;
    int status = CTL_OK;
    if (conninfo && !why) {
        setup_is(s, "%s can connect to the database", program->name);
    } else if (program->conninfo && !s->dry_run) {
        status = ctl_fail(SETUP_VERB, "%s cannot connect with --conninfo: %s", program->name, why);
    } else if (!program->conninfo) {
        struct login_password login;
        find_password(s, program, &login);
        program->conninfo = conninfo_of(s, program, &login);
        status = set_up_password(s, program, &login);
        if (status == CTL_OK && !s->dry_run)
            keep_working(s, program);
        password_server_free(&login.server);
        free(login.passfile);
        free(login.start);
    }
    free(why);
    return status;
}
