#include "ctl/lib/connect.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/address.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/secret.h"
#include "ctl/lib/unit.h"
#include "store/conninfo.h"

#define SOCKETS      "/run/postgresql" /* Debian's */
#define DEFAULT_PORT "5432"            /* libpq's */

/* These override the settings of the server, the database and the role. An empty search_path: a superuser must not run
 * what somebody else has created under the name of a function of PostgreSQL. ISO: times in JSON are read again, by
 * people and by us. */
#define SETTINGS "set search_path = ''; set datestyle = 'ISO'; set standard_conforming_strings = on"

enum { GROUPS_MAX = 256, VARIABLES_MAX = 128, ENVIRONMENT_MAX = 1 << 22 };

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

/* libpq's variables of the environment, to be restored: all that begin with PG. */
struct variables {
    char *lines[VARIABLES_MAX]; /* NAME=VALUE */
    size_t n;
};

static bool is_libpqs(const char *line)
{
    return strncmp(line, "PG", 2) == 0 && strchr(line, '=');
}

/* Leaves all others as they are. */
static void set_variable(const char *line)
{
    if (!is_libpqs(line))
        return;
    char *name = mem_strndup(line, strcspn(line, "="));
    setenv(name, strchr(line, '=') + 1, 1);
    free(name);
}

static void keep_variables(struct variables *ret)
{
    ret->n = 0;
    for (char **line = environ; line && *line && ret->n < VARIABLES_MAX; line++)
        if (is_libpqs(*line))
            ret->lines[ret->n++] = mem_strdup(*line);
}

/* PGPASSWORD may be among the variables. */
static void unset_variables(void)
{
    struct variables present;
    keep_variables(&present);
    for (size_t i = 0; i < present.n; i++) {
        char *name = mem_strndup(present.lines[i], strcspn(present.lines[i], "="));
        unsetenv(name);
        free(name);
        secret_free_text(&present.lines[i]);
    }
}

static void restore_variables(struct variables *kept)
{
    unset_variables();
    for (size_t i = 0; i < kept->n; i++) {
        set_variable(kept->lines[i]);
        secret_free_text(&kept->lines[i]);
    }
}

/* Whether the file, of which this is the last slash, is in the directory, however its path is written. */
static bool is_in(const char *directory, const char *file, const char *slash)
{
    char *path = slash ? mem_strndup(file, (size_t)(slash - file) + 1) : mem_strdup(".");
    struct stat st, st_wanted;
    bool is = stat(path, &st) == 0 && stat(directory, &st_wanted) == 0 && st.st_dev == st_wanted.st_dev &&
              st.st_ino == st_wanted.st_ino;
    free(path);
    return is;
}

bool connect_unit_of(const char *user, const char *file, char unit[CONNECT_UNIT_SIZE])
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:-";
    char directory[64];
    const char *slash = strrchr(file, '/'), *name = slash ? slash + 1 : file;
    size_t len = strlen(name);
    snprintf(directory, sizeof(directory), "/etc/%s", user);
    snprintf(unit, CONNECT_UNIT_SIZE, "%s.service", user);
    if (!is_in(directory, file, slash))
        return false;
    if (len <= 5 || len >= 200 || name[strspn(name, letters)] || strcmp(name + len - 5, ".yaml") != 0)
        return false;
    if (len - 5 != strlen(user) || strncmp(name, user, len - 5) != 0)
        snprintf(unit, CONNECT_UNIT_SIZE, "%s@%.*s.service", user, (int)(len - 5), name);
    return true;
}

/* false: it does not run, or its environment is not ours to read, or is empty, as of one that ends. */
static bool import_variables_of_process(const char *pid)
{
    char path[64];
    struct buf environment = {0};
    snprintf(path, sizeof(path), "/proc/%.20s/environ", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool taken = fd >= 0 && file_read(fd, ENVIRONMENT_MAX, &environment) == 0 && environment.len > 0;
    buf_append(&environment, "", 1);
    for (size_t at = 0; taken && at < environment.len; at += strlen(environment.data + at) + 1)
        set_variable(environment.data + at);
    if (fd >= 0)
        close(fd);
    explicit_bzero(environment.data, environment.len);
    buf_free(&environment);
    return taken;
}

/* Sets the variables of libpq that the unit's process has, or would have by the unit alone. false: those in an
 * EnvironmentFile= are not known. */
static bool import_variables_of_unit(const char *unit)
{
    char *pid = ctl_unit_property(unit, "MainPID");
    bool taken = pid && import_variables_of_process(pid);
    free(pid);
    if (taken)
        return true;
    char *value = ctl_unit_property(unit, "Environment"), *state = NULL;
    for (char *word = value ? strtok_r(value, " ", &state) : NULL; word; word = strtok_r(NULL, " ", &state))
        set_variable(word);
    free(value);
    char *files = ctl_unit_property(unit, "EnvironmentFiles");
    bool known = !files || !*files;
    free(files);
    return known;
}

/* What oneself has, while acting as a program that systemd runs as a user. */
struct impersonation {
    struct variables kept;
    struct root root;
    bool became;
    bool knows_variables; /* all that the program has */
};

/* Takes the place of the user's program with this file: its variables, of which it has none of root's, and its user. */
static void impersonate(struct impersonation *ret, const char *user, const char *file)
{
    char unit[CONNECT_UNIT_SIZE];
    bool is_its_file = connect_unit_of(user, file, unit);
    keep_variables(&ret->kept);
    ret->knows_variables = true;
    if (geteuid() == 0)
        unset_variables();
    if (geteuid() == 0 || is_its_file)
        ret->knows_variables = import_variables_of_unit(unit);
    ret->became = become(user, &ret->root);
}

static void impersonate_end(struct impersonation *as)
{
    if (as->became)
        be_root_again(&as->root);
    restore_variables(&as->kept);
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

/* The host that libpq connects to; NULL: the default, a Unix socket. The caller frees it. */
static char *host_of(const char *complete)
{
    char *host = conninfo_value(complete, "hostaddr");
    return host ? host : conninfo_value(complete, "host");
}

bool connect_is_local_host(const char *host)
{
    struct address address = {.kind = ADDRESS_TCP};
    if (conninfo_is_socket(host) || strcmp(host, "localhost") == 0)
        return true;
    snprintf(address.host, sizeof(address.host), "%s", host);
    return address_is_loopback(&address);
}

/* ret_knows: whether the variables of the unit are known. The caller frees the result. */
static char *complete_as(const char *user, const char *file, const char *conninfo, bool *ret_knows)
{
    struct buf complete = {0};
    struct impersonation as;
    impersonate(&as, user, file);
    conninfo_complete(&complete, conninfo);
    impersonate_end(&as);
    buf_append(&complete, "", 1);
    *ret_knows = as.knows_variables;
    return complete.data;
}

char *connect_complete(const char *user, const char *file, const char *conninfo)
{
    bool knows;
    return complete_as(user, file, conninfo, &knows);
}

bool connect_lacks_variables(const char *user, const char *file, const char *conninfo)
{
    bool knows;
    char *complete = complete_as(user, file, conninfo, &knows);
    char *host = host_of(complete), *database = conninfo_value(complete, "dbname");
    bool lacks = !knows && (!host || !database);
    free(complete);
    free(host);
    free(database);
    return lacks;
}

bool connect_is_local(const char *complete)
{
    char *host = host_of(complete);
    bool local = connect_is_local_host(host);
    free(host);
    return local;
}

PGconn *connect_open(const char *verb, const char *conninfo, const char *database)
{
    struct buf complete = {0};
    conninfo_complete(&complete, conninfo);
    buf_append(&complete, "", 1);
    char *host = host_of(complete.data), *role = conninfo_value(complete.data, "user");
    PGconn *conn = open_as(conninfo_is_socket(host) ? role : NULL, verb, conninfo, database);
    buf_free(&complete);
    free(host);
    free(role);
    return conn;
}

/* Who one is, and how the server proves who it is. */
static bool is_of_login(const char *line)
{
    return strncmp(line, "PGUSER=", 7) == 0 || strncmp(line, "PGPASSWORD=", 11) == 0 ||
           strncmp(line, "PGPASSFILE=", 11) == 0 || strncmp(line, "PGSSL", 5) == 0;
}

PGconn *connect_open_own(const char *verb, const char *own, const char *database)
{
    struct variables kept;
    keep_variables(&kept);
    if (geteuid() == 0)
        unset_variables();
    for (size_t i = 0; i < kept.n; i++)
        if (is_of_login(kept.lines[i]))
            set_variable(kept.lines[i]);
    PGconn *conn = connect_open(verb, own, database);
    restore_variables(&kept);
    return conn;
}

PGconn *connect_as_daemon(const char *file, const char *verb, const char *conninfo)
{
    return connect_as_user(CONNECT_DAEMON_USER, file, verb, conninfo);
}

PGconn *connect_as_user(const char *user, const char *file, const char *verb, const char *conninfo)
{
    struct impersonation as;
    impersonate(&as, user, file);
    PGconn *conn = open_as(NULL, verb, conninfo, NULL);
    impersonate_end(&as);
    return conn;
}

int connect_try_file(const char *user, const char *path)
{
    struct root root;
    bool became = become(user, &root);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), why = fd < 0 ? errno : 0; /* a FIFO would block */
    if (became)
        be_root_again(&root);
    if (fd >= 0)
        close(fd);
    return why;
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
static void append_local(struct buf *out, const char *complete)
{
    char *host = host_of(complete), *port = conninfo_value(complete, "port");
    conninfo_append(out, "host", host && *host && conninfo_is_socket(host) ? host : SOCKETS);
    conninfo_append(out, "port", port ? port : DEFAULT_PORT);
    if (geteuid() == 0)
        conninfo_append(out, "user", "postgres");
    free(host);
    free(port);
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

bool connect_own(struct buf *out, const char *complete)
{
    static const char *const left_out[] = {"user", "password", "passfile", "service", "dbname", NULL};
    bool local = connect_is_local(complete);
    char *database = database_of(complete);
    bool known = *complete && database && (local || geteuid() != 0 || getenv("PGUSER"));
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
