#include "ctl/lib/connect.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/address.h"
#include "base/mem.h"
#include "ctl/lib/ctl.h"
#include "store/conninfo.h"

#define SOCKETS "/run/postgresql" /* Debian's */

/* These override the settings of the server, the database and the role. An empty search_path: a superuser must not run
 * what somebody else has created under the name of a function of PostgreSQL. ISO: times in JSON are read again, by
 * people and by us. */
#define SETTINGS "set search_path = ''; set datestyle = 'ISO'; set standard_conforming_strings = on"

enum { GROUPS_MAX = 256, VARIABLES_MAX = 128 };

/* The credentials of root, to be restored. */
struct root {
    gid_t groups[GROUPS_MAX];
    int n_groups;
    gid_t gid;
    char *home;
};

static void be_root_again(struct root *root)
{
    if (seteuid(0) != 0 || setegid(root->gid) != 0 || setgroups((size_t)root->n_groups, root->groups) != 0)
        abort(); /* otherwise the rest would run with another user's rights */
    if (root->home)
        setenv("HOME", root->home, 1);
    else
        unsetenv("HOME");
    free(root->home);
}

static char *copy_variable(const char *name)
{
    const char *value = getenv(name);
    return mem_strdup(value);
}

/* Takes the user's groups, and the home directory in which libpq looks for files. false: nothing changed, since we are
 * not root or there is no such user. */
static bool become(const char *name, struct root *root)
{
    const struct passwd *user = name && geteuid() == 0 ? getpwnam(name) : NULL;
    if (!user || user->pw_uid == 0 || (root->n_groups = getgroups(GROUPS_MAX, root->groups)) < 0)
        return false;
    root->gid = getegid();
    root->home = copy_variable("HOME");
    setenv("HOME", user->pw_dir, 1);
    if (initgroups(name, user->pw_gid) == 0 && setegid(user->pw_gid) == 0 && seteuid(user->pw_uid) == 0)
        return true;
    be_root_again(root);
    return false;
}

/* libpq's variables, to be restored. */
struct variables {
    PQconninfoOption *options; /* which have their names */
    char *values[VARIABLES_MAX];
};

/* A program that systemd runs does not have the environment of root, who runs the verb. */
static void hide_variables(struct variables *ret)
{
    *ret = (struct variables){.options = geteuid() == 0 ? PQconninfoParse("", NULL) : NULL};
    for (size_t i = 0; i < VARIABLES_MAX && ret->options && ret->options[i].keyword; i++) {
        const char *name = ret->options[i].envvar;
        if (name && (ret->values[i] = copy_variable(name)))
            unsetenv(name);
    }
}

static void restore_variables(struct variables *kept)
{
    for (size_t i = 0; i < VARIABLES_MAX && kept->options && kept->options[i].keyword; i++) {
        const char *name = kept->options[i].envvar;
        if (name && kept->values[i])
            setenv(name, kept->values[i], 1);
        else if (name)
            unsetenv(name);
        free(kept->values[i]);
    }
    PQconninfoFree(kept->options);
}

bool connect_unit_of(const char *user, const char *file, char unit[CONNECT_UNIT_SIZE])
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:-";
    char directory[64];
    size_t start = (size_t)snprintf(directory, sizeof(directory), "/etc/%s/", user);
    snprintf(unit, CONNECT_UNIT_SIZE, "%s.service", user);
    if (strncmp(file, directory, start) != 0)
        return false;
    const char *name = file + start;
    size_t len = strlen(name);
    if (len <= 5 || len >= 200 || name[strspn(name, letters)] || strcmp(name + len - 5, ".yaml") != 0)
        return false;
    if (len - 5 != strlen(user) || strncmp(name, user, len - 5) != 0)
        snprintf(unit, CONNECT_UNIT_SIZE, "%s@%.*s.service", user, (int)(len - 5), name);
    return true;
}

/* Sets the variable NAME=VALUE if it is one of the options. */
static void take_variable(const PQconninfoOption *options, char *word)
{
    char *value = strchr(word, '=');
    if (!value)
        return;
    *value++ = '\0';
    for (; options && options->keyword; options++)
        if (options->envvar && strcmp(options->envvar, word) == 0)
            setenv(word, value, 1);
}

/* Sets the variables of libpq that the unit sets. */
static void take_variables_of_unit(const struct variables *hidden, const char *unit)
{
    char *value = ctl_unit_property(unit, "Environment"), *state = NULL;
    for (char *word = value ? strtok_r(value, " ", &state) : NULL; word; word = strtok_r(NULL, " ", &state))
        take_variable(hidden->options, word);
    free(value);
}

/* Where they are refused, nothing may run on this connection: it is cut, and PQerrorMessage() begins with the reason.
 */
static PGconn *with_settings(PGconn *conn)
{
    if (PQstatus(conn) != CONNECTION_OK)
        return conn; /* PQerrorMessage() says why */
    PGresult *result = PQexec(conn, SETTINGS);
    if (PQresultStatus(result) != PGRES_COMMAND_OK && PQstatus(conn) == CONNECTION_OK) {
        shutdown(PQsocket(conn), SHUT_RDWR);
        PQconsumeInput(conn);
    }
    PQclear(result);
    return conn;
}

static PGconn *open_as(const char *user, const char *verb, const char *conninfo, const char *database)
{
    char name[64];
    struct root root;
    snprintf(name, sizeof(name), "mobeyectl %s", verb);
    /* The later of two equal keys counts, and NULL values are ignored: the conninfo can override the timeouts, but not
     * the keys after it. Without them a query on a connection whose other end is gone would hang for a quarter of an
     * hour. */
    const char *keys[] = {"connect_timeout",     "tcp_user_timeout", "keepalives_idle",
                          "keepalives_interval", "dbname",           "dbname",
                          "application_name",    "client_encoding",  NULL};
    const char *values[] = {"10", "20000", "10", "5", conninfo, database, name, "UTF8", NULL};
    bool became = become(user, &root);
    PGconn *conn = PQconnectdbParams(keys, values, 1);
    if (became)
        be_root_again(&root);
    return with_settings(conn);
}

/* The host that libpq would choose; NULL: the default, a Unix socket. The caller frees it. */
static char *host_of(const char *conninfo)
{
    char *host = conninfo_value(conninfo, "hostaddr");
    if (!host)
        host = conninfo_value(conninfo, "host");
    return host ? host : copy_variable("PGHOST");
}

bool connect_is_local_host(const char *host)
{
    struct address address = {.kind = ADDRESS_TCP};
    if (conninfo_is_socket(host) || strcmp(host, "localhost") == 0)
        return true;
    snprintf(address.host, sizeof(address.host), "%s", host);
    return address_is_loopback(&address);
}

bool connect_is_local(const char *conninfo)
{
    char *host = host_of(conninfo);
    bool local = connect_is_local_host(host);
    free(host);
    return local;
}

PGconn *connect_open(const char *verb, const char *conninfo, const char *database)
{
    char *host = host_of(conninfo), *role = conninfo_value(conninfo, "user");
    if (!role)
        role = copy_variable("PGUSER");
    PGconn *conn = open_as(conninfo_is_socket(host) ? role : NULL, verb, conninfo, database);
    free(host);
    free(role);
    return conn;
}

PGconn *connect_as_daemon(const char *file, const char *verb, const char *conninfo)
{
    return connect_as_user(CONNECT_DAEMON_USER, file, verb, conninfo);
}

PGconn *connect_as_user(const char *user, const char *file, const char *verb, const char *conninfo)
{
    struct variables kept;
    char unit[CONNECT_UNIT_SIZE];
    connect_unit_of(user, file, unit);
    hide_variables(&kept);
    if (geteuid() == 0)
        take_variables_of_unit(&kept, unit);
    PGconn *conn = open_as(user, verb, conninfo, NULL);
    restore_variables(&kept);
    return conn;
}

enum connect_refusal connect_refusal(const char *user, PGconn *conn)
{
    struct root root;
    if (PQconnectionNeedsPassword(conn))
        return CONNECT_LACKS_PASSWORD;
    PQsetErrorVerbosity(conn, PQERRORS_SQLSTATE);
    bool became = become(user, &root);
    PQreset(conn);
    if (became)
        be_root_again(&root);
    const char *why = PQstatus(conn) == CONNECTION_OK ? "" : PQerrorMessage(conn);
    if (strstr(why, ":  28P01"))
        return CONNECT_LACKS_PASSWORD;
    return strstr(why, ":  3D000") ? CONNECT_LACKS_DATABASE : CONNECT_REFUSED;
}

/* Uses the Unix socket, where peer authentication applies. What else the conninfo says, such as of TLS, is for the way
 * that the daemon takes. */
static void append_local(struct buf *out, const char *conninfo)
{
    static const char *const kept[] = {"port", "dbname"};
    char *host = host_of(conninfo);
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        char *value = conninfo_value(conninfo, kept[i]);
        if (value)
            conninfo_append(out, kept[i], value);
        free(value);
    }
    conninfo_append(out, "host", host && *host && conninfo_is_socket(host) ? host : SOCKETS);
    if (geteuid() == 0)
        conninfo_append(out, "user", "postgres");
    free(host);
}

bool connect_own(struct buf *out, const char *conninfo)
{
    static const char *const left_out[] = {"user", "password", "passfile", NULL};
    bool local = connect_is_local(conninfo);
    if (!local && geteuid() == 0 && !getenv("PGUSER"))
        return false;
    if (local)
        append_local(out, conninfo);
    else
        conninfo_without(out, conninfo, left_out);
    buf_append(out, "", 1);
    return true;
}
