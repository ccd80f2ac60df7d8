#include "ctl/setup/password_server.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/mem.h"
#include "ctl/lib/connect.h"
#include "ctl/setup/setup.h"
#include "store/conninfo.h"

/* What was set for the superuser's connection; NULL: nothing, so libpq's default applies. The caller frees it. */
static char *value_of(const char *admin, const char *keyword, const char *variable)
{
    char *value = conninfo_value(admin, keyword);
    if (value || !getenv(variable))
        return value;
    return mem_strdup(getenv(variable));
}

/* A link stays a link: after a renewal it points to another certificate. "system" and files that do not exist are left
 * unchanged. */
static void make_absolute(char **path)
{
    if (!*path || **path == '/' || access(*path, F_OK) != 0)
        return;
    char *absolute = setup_resolve_directory(*path);
    free(*path);
    *path = absolute;
}

void password_server_find(struct password_server *ret, const PGconn *conn, const char *admin)
{
    const char *host = PQhost(conn);
    bool over_socket = conninfo_is_socket(host);
    *ret = (struct password_server){
        .host = over_socket ? "127.0.0.1" : host,
        .port = PQport(conn),
    };
    if (over_socket) /* which has no TLS */
        return;
    ret->sslmode = value_of(admin, "sslmode", "PGSSLMODE");
    ret->sslrootcert = value_of(admin, "sslrootcert", "PGSSLROOTCERT");
    make_absolute(&ret->sslrootcert);
    ret->sslmode_chosen = !ret->sslmode && !connect_is_local_host(host);
    if (ret->sslmode_chosen)
        ret->sslmode = mem_strdup("verify-full");
}

void password_server_conninfo(const struct password_server *server, const char *database, const char *role,
                              const char *passfile, struct buf *out)
{
    conninfo_append(out, "host", server->host);
    conninfo_append(out, "port", server->port);
    conninfo_append(out, "dbname", database);
    conninfo_append(out, "user", role);
    conninfo_append(out, "passfile", passfile);
    if (server->sslmode)
        conninfo_append(out, "sslmode", server->sslmode);
    if (server->sslrootcert)
        conninfo_append(out, "sslrootcert", server->sslrootcert);
    buf_append(out, "", 1);
}

bool password_server_wrote(const char *conninfo, const char *passfile)
{
    static const char *const keywords[] = {"host", "port", "dbname", "user", "passfile", "sslmode", "sslrootcert"};
    enum { REQUIRED = 5 };
    struct buf same = {0};
    bool complete = true;
    for (size_t i = 0; i < ARRAY_LEN(keywords); i++) {
        char *value = conninfo_value(conninfo, keywords[i]);
        if (value)
            conninfo_append(&same, keywords[i], value);
        complete &= value || i >= REQUIRED;
        free(value);
    }
    char *named = conninfo_value(conninfo, "passfile");
    bool is = complete && setup_is_same_path(named, passfile) && str_eq(buf_str(&same), str_from(conninfo));
    free(named);
    buf_free(&same);
    return is;
}

void password_server_line(const struct password_server *server, const char *role, struct buf *out)
{
    for (const char *c = server->host; *c; c++)
        buf_printf(out, *c == ':' || *c == '\\' ? "\\%c" : "%c", *c);
    buf_printf(out, ":%s:*:%s:", server->port, role);
    buf_append(out, "", 1);
}

void password_server_free(struct password_server *server)
{
    free(server->sslmode);
    free(server->sslrootcert);
}
