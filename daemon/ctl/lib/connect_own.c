/* The way of the user who runs a verb to the daemon's database. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/address.h"
#include "base/mem.h"
#include "ctl/lib/connect.h"
#include "ctl/lib/root_only.h"
#include "store/conninfo.h"

#define SOCKETS      "/run/postgresql" /* Debian's */
#define DEFAULT_PORT "5432"            /* libpq's */

char *connect_hosts(const char *complete)
{
    struct buf ret = {0};
    char *hosts = conninfo_value(complete, "host"), *addresses = conninfo_value(complete, "hostaddr");
    const char *host = hosts ? hosts : "";
    if (!addresses || !*addresses) {
        free(addresses);
        return hosts;
    }
    for (const char *at = addresses;; at++) {
        const char *entry = *at && *at != ',' ? at : host;
        buf_append(&ret, entry, strcspn(entry, ","));
        host += strcspn(host, ",");
        host += *host == ',';
        at += strcspn(at, ",");
        buf_append(&ret, at, 1); /* the comma, or the NUL at the end */
        if (!*at)
            break;
    }
    free(hosts);
    free(addresses);
    return ret.data;
}

/* Whether it holds of each host of a list. */
static bool is_each(bool (*holds)(const char *host), const char *hosts)
{
    bool each = true;
    for (const char *at = hosts ? hosts : ""; each; at++) {
        char *host = mem_strndup(at, strcspn(at, ","));
        each = holds(host);
        free(host);
        at += strcspn(at, ",");
        if (!*at)
            break;
    }
    return each;
}

bool connect_is_local_host(const char *host)
{
    struct address address = {.kind = ADDRESS_TCP};
    if (conninfo_is_socket(host) || strcmp(host, "localhost") == 0)
        return true;
    snprintf(address.host, sizeof(address.host), "%s", host);
    return address_is_loopback(&address);
}

bool connect_is_local(const char *complete)
{
    char *hosts = connect_hosts(complete);
    bool local = is_each(connect_is_local_host, hosts);
    free(hosts);
    return local;
}

bool connect_is_by_socket(const char *complete)
{
    char *hosts = connect_hosts(complete);
    bool is = is_each(conninfo_is_socket, hosts);
    free(hosts);
    return is;
}

/* Uses the Unix sockets, where peer authentication applies. What else the conninfo says, such as of TLS, is for the way
 * that the daemon takes. */
static void append_local(struct buf *out, const char *complete)
{
    struct buf sockets = {0};
    bool by_socket = false; /* the daemon, to one of them */
    char *hosts = connect_hosts(complete), *port = conninfo_value(complete, "port");
    char *wanted = conninfo_value(complete, "target_session_attrs"), *peer = conninfo_value(complete, "requirepeer");
    for (const char *at = hosts ? hosts : "";; at++) {
        char *host = mem_strndup(at, strcspn(at, ","));
        buf_printf(&sockets, "%s%s", sockets.len > 0 ? "," : "", *host && conninfo_is_socket(host) ? host : SOCKETS);
        by_socket |= conninfo_is_socket(host);
        free(host);
        at += strcspn(at, ",");
        if (!*at)
            break;
    }
    buf_append(&sockets, "", 1);
    conninfo_append(out, "host", sockets.data);
    conninfo_append(out, "port", port ? port : DEFAULT_PORT);
    if (wanted)
        conninfo_append(out, "target_session_attrs", wanted);
    if (peer && by_socket)
        conninfo_append(out, "requirepeer", peer);
    if (geteuid() == 0)
        conninfo_append(out, "user", "postgres");
    buf_free(&sockets);
    free(hosts);
    free(port);
    free(wanted);
    free(peer);
}

/* The one that libpq takes, by default that of the role's name. NULL: a service names none, or is not known. The caller
 * frees it. */
static char *database_of(const char *complete)
{
    char *database = conninfo_value(complete, "dbname"), *service = conninfo_value(complete, "service");
    if (database && !*database) {
        free(database);
        database = NULL;
    }
    if (!database && !service)
        database = conninfo_value(complete, "user");
    free(service);
    return database;
}

/* Who can change what the server is recognised by can have our password sent to another. */
static int check_certificates(const char *complete, struct err *err)
{
    static const char *const keywords[] = {"sslrootcert", "sslcrl", "sslcrldir", NULL};
    int rc = 0;
    for (size_t i = 0; rc == 0 && keywords[i]; i++) {
        char *file = conninfo_value(complete, keywords[i]);
        if (file && *file && strcmp(file, "system") != 0)
            rc = root_only_check_for(geteuid(), file, err);
        free(file);
    }
    return rc;
}

bool connect_own(struct buf *out, const char *complete, struct err *err)
{
    static const char *const left_out[] = {"user",    "password", "passfile",    "service", "servicefile",
                                           "sslcert", "sslkey",   "sslpassword", "dbname",  NULL};
    bool local = connect_is_local(complete), known = false;
    char *database = database_of(complete);
    if (!*complete || !database)
        err_set(err, "the connection string, or the service that it names, does not say which database");
    else if (!local && geteuid() == 0 && !getenv("PGUSER"))
        err_set(err, "the database is on another machine (PGUSER sets your role there)");
    else
        known = local || check_certificates(complete, err) == 0;
    if (known && local)
        append_local(out, complete);
    else if (known)
        conninfo_without(out, complete, left_out);
    if (known)
        conninfo_append(out, "dbname", database);
    buf_append(out, "", 1);
    free(database);
    return known;
}
