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
#include <sys/wait.h>
#include <unistd.h>

#include "base/array.h"
#include "base/mem.h"
#include "base/secret.h"
#include "ctl/lib/root_only.h"
#include "ctl/lib/unit_environment.h"
#include "store/conninfo.h"

/* These override the settings of the server, the database and the role. An empty search_path: a superuser must not run
 * something that somebody else has created under the name of a PostgreSQL function. ISO: times in JSON are read back,
 * by people and by us. */
#define SETTINGS "set search_path = ''; set datestyle = 'ISO'; set standard_conforming_strings = on"

enum { VARIABLES_MAX = 128 };

/* The credentials of root, to be restored. */
struct root {
    gid_t *groups;
    int n_groups;
    gid_t gid;
    char *home;
};

static void be_root_again(struct root *root)
{
    if (seteuid(0) != 0 || setegid(root->gid) != 0 || setgroups((size_t)root->n_groups, root->groups) != 0)
        abort(); /* otherwise everything else would run with another user's rights */
    if (root->home)
        setenv("HOME", root->home, 1);
    else
        unsetenv("HOME");
    free(root->groups);
    free(root->home);
}

static char *copy_variable(const char *name)
{
    const char *value = getenv(name);
    return mem_strdup(value);
}

/* Takes the user's groups, and the home directory in which libpq looks for files. false: nothing changed, since we are
 * not root or the user does not exist. Where it fails otherwise the process ends, rather than going on as root. */
static bool become(const char *name, struct root *root)
{
    const struct passwd *user = name && geteuid() == 0 ? getpwnam(name) : NULL;
    if (!user || user->pw_uid == 0)
        return false;
    root->n_groups = getgroups(0, NULL);
    root->groups = mem_zalloc(((size_t)root->n_groups + 1) * sizeof(*root->groups));
    root->gid = getegid();
    root->home = copy_variable("HOME");
    setenv("HOME", user->pw_dir, 1);
    if (getgroups(root->n_groups, root->groups) == root->n_groups && initgroups(name, user->pw_gid) == 0 &&
        setegid(user->pw_gid) == 0 && seteuid(user->pw_uid) == 0)
        return true;
    fprintf(stderr, "mobeyectl: cannot act as the user %s: %s\n", name, strerror(errno));
    exit(1);
}

/* libpq's environment variables, to be restored: all that begin with PG. */
struct variables {
    char *lines[VARIABLES_MAX]; /* NAME=VALUE */
    size_t n;
};

static bool is_libpqs(const char *line)
{
    return strncmp(line, "PG", 2) == 0 && strchr(line, '=');
}

/* Leaves all other variables as they are. */
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

/* Whether a file is in the directory, however its path is written. slash: the last one of the path. */
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

/* Sets the variables of libpq that the unit gives to its process. -1: not all of them are known. */
static int import_variables_of_unit(const char *unit, struct err *err)
{
    struct buf variables = {0};
    int rc = unit_environment(unit, &variables, err);
    for (size_t at = 0; at < variables.len; at += strlen(variables.data + at) + 1)
        set_variable(variables.data + at);
    if (variables.len > 0)
        explicit_bzero(variables.data, variables.len);
    buf_free(&variables);
    return rc;
}

/* The service file in the home directory. The caller frees it. */
static char *service_file_in(const char *home)
{
    return mem_printf("%s/.pg_service.conf", home);
}

/* Whether we are the user who runs the program. */
static bool is_programs_user(const char *user)
{
    const struct passwd *entry = getpwnam(user);
    return entry && entry->pw_uid == geteuid() && geteuid() == getuid();
}

/* Whether we may follow the service files that the user's program follows: who can change one could have our libpq
 * connect to any server and load any code. From then on libpq does not look into a home. -1: we may not. */
static int check_service_files(const char *user, const char *conninfo, struct err *err)
{
    uid_t self = geteuid();
    const struct passwd *entry = self == 0 ? getpwnam(user) : NULL;
    const char *directory_of_home = entry ? entry->pw_dir : getenv("HOME");
    char *service = conninfo_value(conninfo, "service"), *named = conninfo_value(conninfo, "servicefile");
    char *home = directory_of_home ? service_file_in(directory_of_home) : NULL, *all = NULL;
    const char *file = named ? named : getenv("PGSERVICEFILE"), *directory = getenv("PGSYSCONFDIR");
    bool is_named = service || getenv("PGSERVICE");
    struct stat st;
    struct err why;
    if (!file && home && lstat(home, &st) == 0)
        file = home;
    if (directory)
        all = mem_printf("%s/pg_service.conf", directory);
    bool is_safe = !is_named || ((!file || root_only_check_for(self, file, &why) == 0) &&
                                 (!all || root_only_check_for(self, all, &why) == 0 || errno == ENOENT));
    setenv("PGSERVICEFILE", is_named && is_safe && file ? file : "/dev/null", 1);
    free(service);
    free(named);
    free(home);
    free(all);
    return is_safe ? 0 : err_set(err, "the service that the connection string names is not looked up: %s", why.text);
}

/* Our own state, while acting as a program that systemd runs as a user. */
struct impersonation {
    struct variables kept;
    struct root root;
    bool became;
    bool knows_variables; /* all that the program has */
    bool follows;         /* where the conninfo leads */
    struct err why;       /* not, or not all */
};

/* Takes the place of the user's program with this file: its variables, of which it has none of root's, and its user. */
static void impersonate(struct impersonation *ret, const char *user, const char *file, const char *conninfo)
{
    char unit[CONNECT_UNIT_SIZE];
    bool is_its_file = connect_unit_of(user, file, unit);
    *ret = (struct impersonation){.knows_variables = true, .follows = true};
    keep_variables(&ret->kept);
    if (geteuid() == 0)
        unset_variables();
    if (geteuid() == 0 || is_its_file)
        ret->knows_variables = import_variables_of_unit(unit, &ret->why) == 0;
    if (!is_programs_user(user))
        ret->follows = check_service_files(user, conninfo, &ret->why) == 0;
    ret->became = become(user, &ret->root);
}

static void impersonate_end(struct impersonation *as)
{
    if (as->became)
        be_root_again(&as->root);
    restore_variables(&as->kept);
}

/* If they are refused, nothing may run on this connection: it is cut, and PQerrorMessage() begins with the reason. */
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

char *connect_complete(const char *user, const char *file, const char *conninfo)
{
    struct buf complete = {0};
    struct impersonation as;
    impersonate(&as, user, file, conninfo);
    if (as.follows)
        conninfo_complete(&complete, conninfo);
    impersonate_end(&as);
    buf_append(&complete, "", 1);
    return complete.data;
}

static bool sets(const char *conninfo, const char *keyword)
{
    char *value = conninfo_value(conninfo, keyword);
    bool is_set = value != NULL;
    free(value);
    return is_set;
}

/* Whether nothing is missed of variables that are not known: where it leads and, elsewhere, how that server is
 * recognised. */
static bool tells_all(const char *conninfo)
{
    char *mode = conninfo_value(conninfo, "sslmode");
    bool verifies = mode && strncmp(mode, "verify-", 7) == 0;
    /* libpq verifies by such a file with require, too. */
    bool may_verify = verifies || (mode && strcmp(mode, "require") == 0);
    bool secures = mode && (!may_verify || sets(conninfo, "sslrootcert"));
    free(mode);
    return sets(conninfo, "host") && sets(conninfo, "hostaddr") && sets(conninfo, "port") && sets(conninfo, "dbname") &&
           (secures || connect_is_local(conninfo));
}

int connect_check(const char *user, const char *file, const char *conninfo, struct err *err)
{
    struct impersonation as;
    impersonate(&as, user, file, conninfo);
    impersonate_end(&as);
    if (as.follows && (as.knows_variables || tells_all(conninfo)))
        return 0;
    return err_set(err, "%s", as.why.text);
}

/* That of whose home is HOME now, not that of the user to act as. */
static void stay_with_service_file(void)
{
    const char *home = getenv("HOME");
    char *file = home ? service_file_in(home) : NULL;
    if (!getenv("PGSERVICEFILE") && geteuid() == 0)
        setenv("PGSERVICEFILE", file && access(file, F_OK) == 0 ? file : "/dev/null", 1);
    free(file);
}

PGconn *connect_open(const char *verb, const char *conninfo, const char *database)
{
    struct buf complete = {0};
    struct variables kept;
    conninfo_complete(&complete, conninfo);
    buf_append(&complete, "", 1);
    char *role = conninfo_value(complete.data, "user");
    bool by_socket = connect_is_by_socket(complete.data);
    keep_variables(&kept);
    if (by_socket)
        stay_with_service_file();
    PGconn *conn = open_as(by_socket ? role : NULL, verb, conninfo, database);
    restore_variables(&kept);
    buf_free(&complete);
    free(role);
    return conn;
}

/* How the client identifies itself, and how the server proves its identity: over a socket by its user, as the client
 * does, and by none of the last two. */
static bool is_of_login(const char *line, bool by_socket)
{
    static const char *const names[] = {
        "PGUSER=",       "PGPASSWORD=",   "PGPASSFILE=",       "PGSSL",         "PGREQUIREPEER=",
        "PGREQUIRESSL=", "PGGSSENCMODE=", "PGCHANNELBINDING=", "PGREQUIREAUTH="};
    bool is = false;
    for (size_t i = 0; !is && i < ARRAY_LEN(names) - (by_socket ? 2 : 0); i++)
        is = strncmp(line, names[i], strlen(names[i])) == 0;
    return is;
}

PGconn *connect_open_own(const char *verb, const char *own, const char *database)
{
    struct variables kept;
    bool by_socket = connect_is_by_socket(own);
    keep_variables(&kept);
    if (geteuid() == 0)
        unset_variables();
    for (size_t i = 0; i < kept.n; i++)
        if (is_of_login(kept.lines[i], by_socket))
            set_variable(kept.lines[i]);
    PGconn *conn = connect_open(verb, own, database);
    restore_variables(&kept);
    return conn;
}

PGconn *connect_as_daemon(const char *file, const char *verb, const char *conninfo)
{
    return connect_as_user(CONNECT_DAEMON_USER, file, verb, conninfo);
}

/* Why connect_as_user() did not connect. */
static struct err refused;

const char *connect_error(const PGconn *conn)
{
    return conn ? PQerrorMessage(conn) : refused.text;
}

bool connect_names_engine(const char *complete)
{
    char *key = conninfo_value(complete, "sslkey");
    bool names = key && strchr(key, ':');
    free(key);
    return names;
}

/* libpq loads the engine, or what its configuration names: a library in our process, though root is another user only
 * in effect. To be asked while acting as the program's user. */
static int check_engine(const char *user, const char *conninfo, struct err *err)
{
    struct buf complete = {0};
    if (is_programs_user(user))
        return 0;
    if (conninfo_check(conninfo, err) < 0)
        return -1;
    conninfo_complete(&complete, conninfo);
    buf_append(&complete, "", 1);
    bool is_engine = connect_names_engine(complete.data);
    buf_free(&complete);
    return is_engine ? err_set(err, "sslkey names an OpenSSL engine, which only the program itself loads") : 0;
}

PGconn *connect_as_user(const char *user, const char *file, const char *verb, const char *conninfo)
{
    struct impersonation as;
    impersonate(&as, user, file, conninfo);
    if (!as.follows)
        refused = as.why;
    bool may = as.follows && check_engine(user, conninfo, &refused) == 0;
    PGconn *conn = may ? open_as(NULL, verb, conninfo, NULL) : NULL;
    impersonate_end(&as);
    return conn;
}

bool connect_answers(const char *complete)
{
    static const char *const keywords[] = {"host", "hostaddr", "port"};
    struct buf server = {0};
    struct variables kept;
    buf_printf(&server, "connect_timeout=10 sslmode=disable gssencmode=disable passfile=/nonexistent");
    for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
        char *value = conninfo_value(complete, keywords[i]);
        if (value)
            conninfo_append(&server, keywords[i], value);
        free(value);
    }
    buf_append(&server, "", 1);
    keep_variables(&kept);
    unset_variables();
    bool answers = PQping(server.data) == PQPING_OK;
    restore_variables(&kept);
    buf_free(&server);
    return answers;
}

int connect_try_user(const char *user)
{
    const struct passwd *entry = geteuid() == 0 ? getpwnam(user) : NULL;
    int status = 0;
    if (!entry)
        return 0;
    pid_t child = fork();
    if (child == 0)
        _exit(initgroups(user, entry->pw_gid) == 0 && setegid(entry->pw_gid) == 0 && seteuid(entry->pw_uid) == 0
                  ? 0
                  : errno);
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : ECHILD;
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
