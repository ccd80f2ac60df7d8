#include "ctl/registry/make_logins.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

enum { PASSWORD_BYTES = 15, PASSWORD_SIZE = 2 * PASSWORD_BYTES };

/* What is printed before the commit. */
static struct buf created;
static struct buf database; /* as pg_hba.conf has it */
static bool printed;

static const char wanted_sql[] =
    "select distinct i.login, r.rolname is null as missing from pg_temp.person_import i left join pg_roles r"
    " on r.rolname = i.login where octet_length(i.login) <= 63 and i.login !~ '[[:cntrl:]]'"
    " and i.login not in ('public', 'none') and i.login !~ '^(pg|mobeye)_' and (r.rolname is null or r.rolcanlogin and"
    " not r.rolsuper and not pg_has_role(r.rolname, 'mobeye_patrol', 'member')) order by 1";

static bool run_statement(const struct import *import, const char *login, const struct buf *sql)
{
    PGresult *result = ctl_query(import->conn, import->verb, login, sql->data, 0, NULL);
    bool done = result != NULL;
    PQclear(result);
    return done;
}

/* Without characters that are easily mistaken for others. */
static void make_password(char ret[PASSWORD_SIZE])
{
    static const char letters[] = "abcdefghijkmnpqrstuvwxyz23456789";
    size_t n = 0;
    for (size_t i = 0; i < 20; i++) {
        if (i > 0 && i % 5 == 0)
            ret[n++] = '-';
        ret[n++] = letters[randombytes_uniform(sizeof(letters) - 1)];
    }
    ret[n] = '\0';
}

static bool create_login(const struct import *import, const char *login)
{
    char password[PASSWORD_SIZE];
    make_password(password);
    char *name = PQescapeIdentifier(import->conn, login, strlen(login));
    char *verifier = PQencryptPasswordConn(import->conn, password, login, "scram-sha-256");
    char *literal = verifier ? PQescapeLiteral(import->conn, verifier, strlen(verifier)) : NULL;
    struct buf sql = {0};
    buf_printf(&sql, "create role %s login password %s in role mobeye_patrol", name ? name : "",
               literal ? literal : "");
    if (!name || !literal)
        ctl_fail(import->verb, "%s: %s", login, PQerrorMessage(import->conn));
    bool done = name && literal && run_statement(import, login, &sql);
    if (done)
        buf_printf(&created, "%s %s\n", login, password);
    sodium_memzero(password, sizeof(password));
    buf_free(&sql);
    PQfreemem(literal);
    PQfreemem(verifier);
    PQfreemem(name);
    return done;
}

static bool grant_role(const struct import *import, const char *login)
{
    char *name = PQescapeIdentifier(import->conn, login, strlen(login));
    struct buf sql = {0};
    buf_printf(&sql, "grant mobeye_patrol to %s", name ? name : "");
    bool done = name && run_statement(import, login, &sql);
    buf_free(&sql);
    PQfreemem(name);
    return done;
}

/* Roles that do not belong to a person: with the rights of patrols they could do more than they are meant to, or nobody
 * could use them. */
static const char refused_sql[] =
    "select line, case when login like 'mobeye\\_%' then 'is a role of mobeyed'"
    " when rolsuper then 'is a superuser, who needs no rights' else 'is a role that cannot log in' end"
    " from pg_temp.person_import left join pg_roles on rolname = login"
    " where login like 'mobeye\\_%' or rolsuper or not rolcanlogin order by line";

static bool refuse_roles(struct import *import)
{
    PGresult *rows = ctl_query(import->conn, import->verb, "logins", refused_sql, 0, NULL);
    for (int row = 0; rows && row < PQntuples(rows); row++)
        line_diagnostics_add(&import->line_diagnostics, strtoull(PQgetvalue(rows, row, 0), NULL, 10), false,
                             "login: %s (--make-logins expects the login of a person)", PQgetvalue(rows, row, 1));
    bool done = rows != NULL;
    PQclear(rows);
    return done;
}

/* Even if a line has an error and nothing will be stored: the next checks need the logins. */
bool make_logins(struct import *import)
{
    if (!refuse_roles(import))
        return false;
    PGresult *rows = ctl_query(import->conn, import->verb, "logins", wanted_sql, 0, NULL);
    bool done = rows != NULL;
    for (int row = 0; done && row < PQntuples(rows); row++) {
        const char *login = PQgetvalue(rows, row, 0);
        done = *PQgetvalue(rows, row, 1) == 't' ? create_login(import, login) : grant_role(import, login);
    }
    PQclear(rows);
    return done;
}

bool make_logins_print(struct import *import)
{
    FILE *out = import->call->json ? stderr : stdout;
    if (created.len == 0)
        return true;
    printed = true;
    for (const char *p = PQdb(import->conn); *p; p++)
        buf_append_str(&database, *p == '"' ? STR("\"\"") : (struct str){p, 1});
    if (fwrite(created.data, 1, created.len, out) == created.len && fflush(out) == 0)
        return true;
    ctl_fail(import->verb, "the passwords cannot be printed: %m (nothing was imported)");
    return false;
}

void make_logins_end(bool committed)
{
    if (printed && committed)
        fprintf(
            stderr,
            "These passwords are not shown again: pass each to its owner, who may change it in psql with \\password.\n"
            "To let them connect over the network with TLS, add a line to pg_hba.conf such as\n"
            "  hostssl \"%.*s\" +mobeye_patrol 10.20.0.0/16 scram-sha-256\n",
            (int)database.len, database.data);
    else if (printed)
        fputs("The import failed: see mobeyectl people list. Printed passwords are valid only if the people are "
              "stored.\n",
              stderr);
    if (created.len > 0)
        sodium_memzero(created.data, created.len);
    buf_free(&created);
    buf_free(&database);
}
