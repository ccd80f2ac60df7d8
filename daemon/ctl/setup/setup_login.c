/* mobeyectl setup: how the daemon, or the board, connects to the database. */
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "base/array.h"
#include "base/mem.h"
#include "ctl/lib/allowed_network.h"
#include "ctl/lib/ctl.h"
#include "ctl/lib/unit.h"
#include "ctl/setup/password_server.h"
#include "ctl/setup/setup.h"
#include "store/conninfo.h"

enum { PASSWORD_BYTES = 24 };

/* NULL: the daemon's unit does not block the server, to which only we have connected. The caller frees it. The board's
 * is left to the administrator. */
static char *say_blocked(const struct setup *s, const struct setup_program *program, const PGconn *conn)
{
    char unit[CONNECT_UNIT_SIZE];
    const char *address = PQhostaddr(conn);
    if (program != &s->daemon || !connect_unit_of(program->user, program->file, unit) ||
        !allowed_network_blocks(unit, address))
        return NULL;
    return mem_printf("%s blocks %s (systemctl edit %s, [Service], IPAddressAllow=%s)", unit, address, unit, address);
}

/* Why the program cannot connect with this conninfo: libpq's message. NULL: it can. The caller frees it. ret_kind
 * (NULL: not wanted): what the server refused, if it did. */
static char *refusal(const struct setup *s, const struct setup_program *program, const char *conninfo,
                     enum connect_refusal *ret_kind)
{
    enum connect_refusal unused;
    if (!ret_kind)
        ret_kind = &unused;
    *ret_kind = CONNECT_REFUSED;
    char *why = NULL, *in = NULL;
    struct err err;
    if (conninfo_check(conninfo, &err) != 0 || connect_check(program->user, program->file, conninfo, &err) != 0)
        return mem_strdup(err.text);
    PGconn *conn = connect_as_user(program->user, program->file, SETUP_VERB, conninfo);
    if (PQstatus(conn) != CONNECTION_OK) {
        why = mem_strdup(connect_error(conn));
        for (size_t len = strlen(why); len > 0 && why[len - 1] == '\n';)
            why[--len] = '\0';
        *ret_kind = connect_refusal(program->user, conn);
    } else if (!(in = ctl_query_text(conn,
                                     "select current_database() from pg_roles where rolname = $1 "
                                     "and pg_has_role(oid, 'usage')",
                                     program->role)) ||
               strcmp(in, s->database) != 0) {
        why = mem_printf("it connects to database \"%s\" as \"%s\", not to \"%s\" as \"%s\"", PQdb(conn), PQuser(conn),
                         s->database, program->role);
    } else {
        why = say_blocked(s, program, conn);
    }
    free(in);
    PQfinish(conn);
    return why;
}

/* conninfo is NULL: it cannot connect. */
static bool can_connect(const struct setup *s, const struct setup_program *program, const char *conninfo)
{
    char *why = conninfo ? refusal(s, program, conninfo, NULL) : NULL;
    bool can = conninfo && !why;
    free(why);
    return can;
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

/* Where a program's password is kept. */
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

/* Ends the rest of a line of the passfile, its password, as libpq reads it. */
static char *unescape(char *password)
{
    char *to = password, *end = password + strlen(password);
    for (size_t len = strlen(password); len > 0 && password[len - 1] == '\r';)
        password[--len] = '\0';
    for (const char *at = password; *at && *at != ':'; at++) {
        at += *at == '\\' && at[1] != '\0';
        *to++ = *at;
    }
    sodium_memzero(to, (size_t)(end - to));
    return password;
}

/* The password in the passfile's line for this server; NULL: no such line, or none in it. The caller frees it. */
static char *password_in(struct str text, const struct login_password *login)
{
    size_t start = strlen(login->start);
    for (size_t at = 0; at < text.len;) {
        const char *line = text.p + at, *end = memchr(line, '\n', text.len - at);
        size_t len = end ? (size_t)(end - line) : text.len - at;
        if (len > start && memcmp(line, login->start, start) == 0) {
            char *password = unescape(mem_strndup(line + start, len - start));
            if (*password)
                return password;
            free(password);
        }
        at += len + 1;
    }
    return NULL;
}

static char *new_password(void)
{
    unsigned char bytes[PASSWORD_BYTES];
    char *password = mem_zalloc(2 * PASSWORD_BYTES + 1);
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

/* Whether programs are connected with the role's present password; prints that, since a new password would lock them
 * out. */
static bool is_used(const struct setup *s, const struct setup_program *program, const struct login_password *login)
{
    char *from =
        ctl_query_text(s->conn,
                       "select string_agg(distinct coalesce(host(client_addr), 'its Unix socket'), ', ')"
                       "  from pg_stat_activity where usename = $1 and application_name not like 'mobeyectl %'",
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

/* Whether the conninfo of the file is complete but for the password in this passfile. */
static bool names_passfile(const struct setup_program *program, const struct login_password *login)
{
    char *named = program->file_conninfo ? conninfo_value(program->file_conninfo, "passfile") : NULL;
    bool names = named && setup_is_same_path(named, login->passfile);
    free(named);
    return names;
}

/* Whether the passfile is setup's to change; prints why not. why: why the program cannot connect with the conninfo of
 * its file; NULL: it has none. */
static bool may_set_password(const struct setup *s, const struct setup_program *program,
                             const struct login_password *login, const char *why)
{
    if (names_passfile(program, login) || setup_may_change(s, program, login->passfile))
        return true;
    ctl_fail(SETUP_VERB, "%s cannot connect: %s", program->name, why ? why : "its file has no conninfo");
    ctl_fail(SETUP_VERB,
             "%s is neither the sample nor what setup wrote, so no password was set (correct its conninfo, or use "
             "--replace for one with a password in %s)",
             program->file, login->passfile);
    return false;
}

/* Sets the owner and mode of the passfile, which libpq would otherwise ignore. Returns whether the program can then
 * connect; a dry run assumes so. */
static bool correct_owner(struct setup *s, const struct setup_program *program, const struct login_password *login,
                          const struct buf *old)
{
    if (setup_is_secret(login->passfile, program->user) ||
        (!s->dry_run && setup_write(login->passfile, buf_str(old), program->user, true) != CTL_OK))
        return false;
    setup_did(s, "give %s to %s alone", login->passfile, program->name);
    return s->dry_run || can_connect(s, program, program->conninfo) || can_connect(s, program, program->file_conninfo);
}

/* Whether the program can open its passfile; prints why not. No other password would help then. */
static bool can_open(const struct setup_program *program, const struct login_password *login)
{
    int why = connect_try_file(program->user, login->passfile);
    if (why != 0)
        ctl_fail(SETUP_VERB,
                 "the user %s cannot open %s: %s (mobeyectl doctor shows what is blocked and how to open it)",
                 program->user, login->passfile, strerror(why));
    return why == 0;
}

/* Another password would be refused as well. */
static bool has_expired(const struct setup *s, const struct setup_program *program)
{
    char *since = ctl_query_text(
        s->conn, "select rolvaliduntil::text from pg_roles where rolname = $1 and rolvaliduntil <= now()",
        program->role);
    if (since)
        ctl_fail(SETUP_VERB, "the password of %s has expired (alter role %s valid until 'infinity'): %s", program->role,
                 program->role, since);
    bool has = since != NULL;
    free(since);
    return has;
}

/* The password of the file where there is one, else a new one. */
static int change_password(struct setup *s, const struct setup_program *program, const struct login_password *login,
                           const struct buf *old)
{
    if (setup_check_place(login->passfile) != CTL_OK)
        return CTL_FAILED;
    if (old && correct_owner(s, program, login, old))
        return CTL_OK;
    if (old && !can_open(program, login))
        return CTL_FAILED;
    if (has_expired(s, program))
        return CTL_FAILED;
    if (is_used(s, program, login))
        return CTL_FAILED;
    int status = s->dry_run ? CTL_OK : set_password(s, program, login, old);
    if (status == CTL_OK)
        setup_did(s, "set the password of %s %s %s", program->role, old ? "to the one in" : "and write it to",
                  login->passfile);
    char *why = status == CTL_OK && !s->dry_run ? refusal(s, program, program->conninfo, NULL) : NULL;
    if (why)
        status = fail_refused(s, program, login, why);
    free(why);
    return status;
}

/* file_why: why the program cannot connect with the conninfo of its file. */
static int set_up_password(struct setup *s, const struct setup_program *program, const struct login_password *login,
                           const char *file_why)
{
    struct buf old = {0};
    enum connect_refusal kind;
    int there = setup_read(login->passfile, &old), status = CTL_FAILED;
    char *why = there >= 0 ? refusal(s, program, program->conninfo, &kind) : NULL;
    if (there > 0 && (!why || (s->dry_run && kind == CONNECT_LACKS_DATABASE))) { /* which a run would create */
        setup_is(s, "%s can connect with the password in %s", program->name, login->passfile);
        status = CTL_OK;
    } else if (there >= 0 && why && kind != CONNECT_LACKS_PASSWORD && !(s->dry_run && there == 0)) {
        status = fail_refused(s, program, login, why);
    } else if (there >= 0 && may_set_password(s, program, login, file_why)) {
        status = change_password(s, program, login, there > 0 ? &old : NULL);
    }
    free(why);
    if (old.len > 0)
        sodium_memzero(old.data, old.len);
    buf_free(&old);
    return status;
}

/* Leaves the conninfo of the file unchanged if it lacked only the password. */
static void keep_working(const struct setup *s, struct setup_program *program, bool lacked_password)
{
    char *why = program->file_conninfo ? refusal(s, program, program->file_conninfo, NULL) : NULL;
    bool works = program->file_conninfo && !why;
    free(why);
    if (works || (s->dry_run && lacked_password)) {
        free(program->conninfo);
        program->conninfo = NULL;
    }
}

/* Whether the unit has the setting, as it has when shipped; it may have been edited. */
static bool is_set(const char *unit, const char *property)
{
    char *value = ctl_unit_property(unit, property);
    bool is = !value || (strcmp(value, "no") != 0 && strcmp(value, "read-only") != 0);
    free(value);
    return is;
}

/* Whether the unit hides the file from the program. */
static bool is_hidden(const struct setup_program *program, const char *path)
{
    static const struct {
        const char *directory, *property;
    } hidden[] = {{"/home/", "ProtectHome"},
                  {"/root/", "ProtectHome"},
                  {"/run/user/", "ProtectHome"},
                  {"/tmp/", "PrivateTmp"},
                  {"/var/tmp/", "PrivateTmp"}};
    char unit[CONNECT_UNIT_SIZE];
    if (!connect_unit_of(program->user, program->file, unit))
        return false;
    char *linked = realpath(path, NULL);
    bool hides = false;
    for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
        if (strncmp(path, hidden[i].directory, strlen(hidden[i].directory)) == 0 ||
            (linked && strncmp(linked, hidden[i].directory, strlen(hidden[i].directory)) == 0))
            hides |= is_set(unit, hidden[i].property);
    free(linked);
    return hides;
}

/* A key that is not in a file, as pkcs11:... */
static bool is_of_engine(const char *keyword, const char *value)
{
    return strcmp(keyword, "sslkey") == 0 && strchr(value, ':');
}

/* Whether the program, run by its unit, can access the files that the conninfo names; prints why not. */
static bool has_files(const struct setup_program *program, const char *conninfo)
{
    static const char *const keywords[] = {"passfile", "sslrootcert", "sslcert", "sslkey", "sslcrl"};
    bool has = true;
    for (size_t i = 0; has && i < ARRAY_LEN(keywords); i++) {
        char *path = conninfo_value(conninfo, keywords[i]);
        bool relative =
            path && *path && *path != '/' && strcmp(path, "system") != 0 && !is_of_engine(keywords[i], path);
        bool hidden = path && !relative && is_hidden(program, path);
        if (relative)
            ctl_fail(SETUP_VERB, "%s=%s is relative (expected an absolute path)", keywords[i], path);
        if (hidden)
            ctl_fail(SETUP_VERB,
                     "the unit hides %s=%s from %s (expected a file outside of /home, /root, /tmp and /var/tmp)",
                     keywords[i], path, program->name);
        has = !relative && !hidden;
        free(path);
    }
    return has;
}

/* Whether the password of the file is a credential, which systemd removes when the unit stops. */
static bool is_with_stopped_unit(const struct setup_program *program)
{
    char unit[CONNECT_UNIT_SIZE];
    char *passfile = program->file_conninfo ? conninfo_value(program->file_conninfo, "passfile") : NULL;
    bool is = passfile && strncmp(passfile, "/run/credentials/", 17) == 0 && access(passfile, F_OK) != 0;
    free(passfile);
    if (!is)
        return false;
    connect_unit_of(program->user, program->file, unit);
    char *pid = ctl_unit_property(unit, "MainPID");
    bool runs = pid && *pid && strcmp(pid, "0") != 0;
    free(pid);
    return !runs;
}

/* Whether the key is in an engine, which nobody else loads. */
static bool has_engine(const struct setup_program *program)
{
    const char *conninfo = program->conninfo ? program->conninfo : program->file_conninfo;
    if (!conninfo)
        return false;
    char *complete = connect_complete(program->user, program->file, conninfo);
    bool has = connect_names_engine(complete);
    free(complete);
    return has;
}

int setup_login(struct setup *s, struct setup_program *program)
{
    if (program->conninfo && !has_files(program, program->conninfo))
        return CTL_FAILED;
    const char *conninfo = program->conninfo ? program->conninfo : program->file_conninfo;
    enum connect_refusal kind = CONNECT_REFUSED;
    if (!program->conninfo && is_with_stopped_unit(program)) {
        setup_is(s, "the password of %s is a credential of its unit, which does not run: not checked yet",
                 program->name);
        program->unchecked = true;
        return CTL_OK;
    }
    if (has_engine(program)) {
        setup_is(s, "the key of %s is in an OpenSSL engine, which only it loads: not checked", program->name);
        program->unchecked = true;
        return CTL_OK;
    }
    char *why = conninfo ? refusal(s, program, conninfo, &kind) : NULL;
    int status = CTL_OK;
    if (conninfo && !why) {
        setup_is(s, "%s can connect to the database", program->name);
    } else if (program->conninfo && !s->dry_run) {
        status = ctl_fail(SETUP_VERB, "%s cannot connect with --conninfo: %s", program->name, why);
    } else if (!program->conninfo) {
        struct login_password login;
        find_password(s, program, &login);
        program->conninfo = conninfo_of(s, program, &login);
        status = has_files(program, program->conninfo) ? set_up_password(s, program, &login, why) : CTL_FAILED;
        if (status == CTL_OK)
            keep_working(s, program, kind == CONNECT_LACKS_PASSWORD && names_passfile(program, &login));
        password_server_free(&login.server);
        free(login.passfile);
        free(login.start);
    }
    free(why);
    return status;
}

int setup_check_login(const struct setup *s, const struct setup_program *program)
{
    if (!program->unchecked || s->dry_run || is_with_stopped_unit(program) || has_engine(program))
        return CTL_OK;
    char *why = refusal(s, program, program->file_conninfo, NULL);
    int status = why ? ctl_fail(SETUP_VERB, "%s cannot connect: %s", program->name, why) : CTL_OK;
    free(why);
    return status;
}
