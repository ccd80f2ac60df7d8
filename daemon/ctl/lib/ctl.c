/* What the verbs share: messages, configuration, connection, progress bar. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "conf/load.h"
#include "ctl/lib/connect.h"
#include "ctl/lib/ctl.h"
#include "ctl/lib/table.h"
#include "journal/lock.h"
#include "store/conninfo.h"

static void print_message(const char *verb, const char *fmt, va_list args)
{
    fprintf(stderr, "mobeyectl %s: ", verb);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
}

int ctl_fail(const char *verb, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    print_message(verb, fmt, args);
    va_end(args);
    return CTL_FAILED;
}

int ctl_usage(const char *verb, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    print_message(verb, fmt, args);
    va_end(args);
    fprintf(stderr, "Try 'mobeyectl %s --help' for more information.\n", verb);
    return CTL_USAGE;
}

/* Advice if an object of the schema is missing; NULL for every other failure. */
static const char *schema_hint(const PGresult *result)
{
    static const char *const missing[] = {"3F000" /* schema */, "42P01" /* table */, "42883" /* function */};
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    for (size_t i = 0; state && i < ARRAY_LEN(missing); i++)
        if (strcmp(state, missing[i]) == 0)
            return "Is this the database of mobeyed, and is its schema migrated? Run mobeyectl migrate.";
    return NULL;
}

/* Why the verb runs in the right of the daemon, as the end of a sentence; NULL: it does not. */
static char *own_refusal;

/* Advice if a right is missing that the user's own role may have. */
static void print_own_refusal(const PGresult *result)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (own_refusal && state && strcmp(state, "42501") == 0)
        fprintf(stderr, "the daemon's role was used, since %s\n", own_refusal);
}

int ctl_fail_sql(const char *verb, const char *what, const PGresult *result)
{
    const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
    const char *missing = schema_hint(result);
    const char *hint = missing ? missing : PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
    if (!primary) {
        /* An error of libpq itself, such as a lost connection: only the first line matters. */
        const char *text = PQresultErrorMessage(result);
        return ctl_fail(verb, "%s: %.*s", what, (int)strcspn(text, "\n"), text);
    }
    ctl_fail(verb, "%s: %s%s%s%s%s", what, primary, detail ? ". " : "", detail ? detail : "", hint ? ". " : "",
             hint ? hint : "");
    print_own_refusal(result);
    return CTL_FAILED;
}

struct conf *ctl_load(const char *file)
{
    struct buf report = {0};
    struct conf *conf = conf_load(file ? file : CONF_DEFAULT_FILE, &report);
    /* Warnings are for the person who checks the file, not for one who uses it. */
    if (!conf)
        fwrite(report.data, 1, report.len, stderr);
    if (!conf && !file && access(CONF_DEFAULT_FILE, R_OK) != 0 && errno == EACCES)
        fputs("only root and members of its group can read it: usermod -aG mobeyed USER, or use --db CONNINFO\n",
              stderr);
    buf_free(&report);
    return conf;
}

static bool has_line(const struct buf *text, struct str line)
{
    return text->len > 0 && memmem(text->data, text->len, line.p, line.len);
}

/* libpq's message has one line for each host that it tried. ret_why: receives it as one line without repeated
 * sentences; NULL: it is printed. */
static void report_connection_error(const char *verb, const char *conninfo, const PGconn *conn, struct buf *ret_why)
{
    struct buf masked = {0};
    const char *text = connect_error(conn);
    for (const char *at = text; ret_why && *at; at += strcspn(at, "\n"), at += strspn(at, "\n\t ")) {
        struct str line = {at, strcspn(at, "\n")};
        if (has_line(ret_why, line))
            continue;
        buf_printf(ret_why, "%s", ret_why->len > 0 ? "; " : "");
        ctl_escape(ret_why, line, false);
    }
    if (ret_why)
        return;
    conninfo_mask(&masked, conninfo);
    ctl_fail(verb, "cannot connect to the database (%.*s):", (int)masked.len, masked.data);
    fprintf(stderr, "%s%s", text, *text && text[strlen(text) - 1] == '\n' ? "" : "\n");
    buf_free(&masked);
}

static bool connected(const PGconn *conn)
{
    return PQstatus(conn) == CONNECTION_OK;
}

bool ctl_check_conninfo(const char *verb, const char *from, const char *conninfo, struct buf *ret_why)
{
    struct err err;
    if (conninfo_check(conninfo, &err) == 0)
        return true;
    if (ret_why)
        buf_printf(ret_why, "%s: %s", from, err.text);
    else
        ctl_fail(verb, "%s: %s", from, err.text);
    return false;
}

bool ctl_knows_database(const char *verb, const char *file, const char *conninfo, struct buf *ret_why)
{
    struct err err;
    if (connect_check(CONNECT_DAEMON_USER, file, conninfo, &err) == 0)
        return true;
    char *why =
        mem_printf("%s (%s, or name host, hostaddr (may be ''), port and dbname, and for another machine sslmode and "
                   "sslrootcert, but no service, in database.conninfo of %s)",
                   err.text, geteuid() == 0 ? "correct that" : "run this as root", file);
    if (ret_why)
        buf_printf(ret_why, "%s", why);
    else
        ctl_fail(verb, "%s", why);
    free(why);
    return false;
}

static PGconn *connect_to(const char *verb, const char *conninfo, struct buf *ret_why)
{
    if (!ctl_check_conninfo(verb, "--db", conninfo, ret_why))
        return NULL;
    PGconn *conn = connect_open(verb, conninfo, NULL);
    if (connected(conn))
        return conn;
    report_connection_error(verb, conninfo, conn, ret_why);
    PQfinish(conn);
    return NULL;
}

/* In our own words: the server's may be in any language, and "password authentication failed" does not say whether the
 * role exists or its password has expired. */
static void append_missing(PGconn *conn, const char *database, const char *role, struct buf *ret)
{
    const char *values[] = {database, role};
    PGresult *rows = PQexecParams(conn,
                                  "select exists (select from pg_catalog.pg_database where datname = $1), "
                                  "exists (select from pg_catalog.pg_roles where rolname = $2), "
                                  "(select rolvaliduntil from pg_catalog.pg_roles where rolname = $2 and "
                                  "rolvaliduntil <= now())",
                                  2, NULL, values, NULL, NULL, 0);
    if (PQntuples(rows) == 1 && database && *PQgetvalue(rows, 0, 0) == 'f')
        buf_printf(ret, "the database %s does not exist (mobeyectl setup creates it)", database);
    else if (PQntuples(rows) == 1 && role && *PQgetvalue(rows, 0, 1) == 'f')
        buf_printf(ret, "the role %s does not exist (" CTL_ROLE_MISSING ")", role);
    else if (PQntuples(rows) == 1 && role && !PQgetisnull(rows, 0, 2))
        buf_printf(ret, "the password of %s has expired (alter role %s valid until 'infinity'): %s", role, role,
                   PQgetvalue(rows, 0, 2));
    PQclear(rows);
}

static char *complete_conninfo(const struct conf *conf)
{
    return connect_complete(CONNECT_DAEMON_USER, conf->file, conf->database.conninfo);
}

void ctl_explain_missing(const char *verb, const struct conf *conf, struct buf *ret)
{
    struct buf own = {0};
    if (connect_check(CONNECT_DAEMON_USER, conf->file, conf->database.conninfo, NULL) < 0)
        return;
    char *complete = complete_conninfo(conf);
    PGconn *conn = connect_own(&own, complete, NULL) ? connect_open_own(verb, own.data, "postgres") : NULL;
    char *database = conninfo_value(own.data, "dbname"), *role = conninfo_value(complete, "user");
    if (connected(conn))
        append_missing(conn, database, role, ret);
    PQfinish(conn);
    buf_free(&own);
    free(complete);
    free(database);
    free(role);
}

static void report_missing(const char *verb, const struct conf *conf, struct buf *ret_why)
{
    struct buf missing = {0};
    ctl_explain_missing(verb, conf, &missing);
    if (missing.len > 0 && ret_why)
        buf_printf(ret_why, "; %.*s", (int)missing.len, missing.data);
    else if (missing.len > 0)
        fprintf(stderr, "%.*s\n", (int)missing.len, missing.data);
    buf_free(&missing);
}

/* Connects to the database of the file: as the user, who may have more rights than the daemon, otherwise as the daemon.
 */
static PGconn *connect_to_daemons(const char *verb, const struct conf *conf, struct buf *ret_why)
{
    const char *conninfo = conf->database.conninfo;
    struct buf own = {0};
    struct err err;
    if (!ctl_check_conninfo(verb, "database.conninfo", conninfo, ret_why) ||
        !ctl_knows_database(verb, conf->file, conninfo, ret_why))
        return NULL;
    char *complete = complete_conninfo(conf);
    PGconn *as_own = connect_own(&own, complete, &err) ? connect_open_own(verb, own.data, NULL) : NULL;
    PGconn *conn = as_own;
    if (!connected(as_own))
        conn = connect_as_daemon(conf->file, verb, conninfo);
    if (!connected(conn)) {
        if (as_own && (ret_why || strcmp(PQerrorMessage(as_own), connect_error(conn)) != 0))
            report_connection_error(verb, own.data, as_own, ret_why);
        else if (!as_own && ret_why)
            buf_printf(ret_why, "your own role was not tried: %s", err.text);
        else if (!as_own)
            ctl_fail(verb, "your own role was not tried: %s", err.text);
        report_connection_error(verb, conninfo, conn, ret_why);
        report_missing(verb, conf, ret_why);
        PQfinish(conn);
        conn = NULL;
    } else if (conn != as_own) {
        const char *why = PQerrorMessage(as_own);
        free(own_refusal);
        own_refusal = as_own ? mem_printf("your own was refused: %.*s", (int)strcspn(why, "\n"), why)
                             : mem_printf("your own was not tried: %s", err.text);
    }
    if (conn != as_own)
        PQfinish(as_own);
    buf_free(&own);
    free(complete);
    return conn;
}

PGconn *ctl_connect(const char *verb, const char *file, const char *db)
{
    if (db)
        return connect_to(verb, db, NULL);
    struct conf *conf = ctl_load(file);
    PGconn *conn = conf ? connect_to_daemons(verb, conf, NULL) : NULL;
    conf_free(&conf);
    return conn;
}

PGconn *ctl_connect_to(const char *verb, const struct conf *conf, const char *db)
{
    return ctl_try_connect(verb, conf, db, NULL);
}

void ctl_wait_briefly(PGconn *conn)
{
    if (conn)
        PQclear(PQexec(conn, "set lock_timeout = '5s'"));
}

PGconn *ctl_try_connect(const char *verb, const struct conf *conf, const char *db, struct buf *ret_why)
{
    return db ? connect_to(verb, db, ret_why) : connect_to_daemons(verb, conf, ret_why);
}

PGconn *ctl_connect_daemon(const char *verb, const struct conf *conf, struct buf *ret_why)
{
    if (!ctl_check_conninfo(verb, "database.conninfo", conf->database.conninfo, ret_why) ||
        !ctl_knows_database(verb, conf->file, conf->database.conninfo, ret_why))
        return NULL;
    PGconn *conn = connect_as_daemon(conf->file, verb, conf->database.conninfo);
    if (connected(conn))
        return conn;
    report_connection_error(verb, conf->database.conninfo, conn, ret_why);
    PQfinish(conn);
    return NULL;
}

PGresult *ctl_query(PGconn *conn, const char *verb, const char *what, const char *sql, int n, const char *const *values)
{
    PGresult *result = PQexecParams(conn, sql, n, NULL, values, NULL, NULL, 0);
    if (PQresultStatus(result) == PGRES_TUPLES_OK || PQresultStatus(result) == PGRES_COMMAND_OK)
        return result;
    ctl_fail_sql(verb, what, result);
    PQclear(result);
    return NULL;
}

char *ctl_query_text(PGconn *conn, const char *sql, const char *value)
{
    PGresult *rows = PQexecParams(conn, sql, value ? 1 : 0, NULL, &value, NULL, NULL, 0);
    char *text = PQntuples(rows) == 1 && !PQgetisnull(rows, 0, 0) ? mem_strdup(PQgetvalue(rows, 0, 0)) : NULL;
    PQclear(rows);
    return text;
}

const char *ctl_name_of_row(const void *rows, size_t i)
{
    const PGresult *names = rows;
    return i < (size_t)PQntuples(names) ? PQgetvalue(names, (int)i, 0) : NULL;
}

bool ctl_confirm(const char *verb, const char *fmt, ...)
{
    char answer[16];
    va_list args;
    if (!isatty(STDIN_FILENO)) {
        ctl_fail(verb, "not a terminal; use --yes to skip the confirmation");
        return false;
    }
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputs(" [y/N] ", stderr);
    return fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

int ctl_read(const char *verb, const char *file, size_t max, struct buf *text)
{
    bool is_stdin = strcmp(file, "-") == 0;
    int fd = is_stdin ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC);
    int rc = fd < 0 ? -1 : file_read(fd, max, text), why = errno;
    if (fd >= 0 && !is_stdin)
        close(fd);
    return rc == 0 ? CTL_OK : ctl_fail(verb, "%s: %s", is_stdin ? "standard input" : file, strerror(why));
}

int ctl_daemon(const struct conf *conf, pid_t *ret_pid, struct err *err)
{
    const char *directory = conf->journal.directory;
    int dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *ret_pid = dir < 0 ? 0 : lock_holder(dir);
    if (dir < 0 && errno != ENOENT) /* nobody has it open before it exists */
        return err_set(err, "%s: %s", directory, strerror(errno));
    if (dir >= 0)
        close(dir);
    return 0;
}

const char *ctl_owner_hint(const PGresult *result)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    return state && strcmp(state, "42501") == 0 ? " (requires root or a member of mobeye_owner: --db CONNINFO)" : "";
}

bool ctl_readable(PGconn *conn, const char *relation)
{
    PGresult *rows =
        PQexecParams(conn,
                     "select 1 from pg_class c join pg_namespace n on n.oid = c.relnamespace "
                     "where n.nspname = split_part($1, '.', 1) and c.relname = split_part($1, '.', 2) "
                     "and has_schema_privilege(n.oid, 'usage') and has_any_column_privilege(c.oid, 'select')",
                     1, NULL, &relation, NULL, NULL, 0);
    bool readable = PQntuples(rows) == 1;
    PQclear(rows);
    return readable;
}

const char *ctl_plural(unsigned long n)
{
    return n == 1 ? "" : "s";
}

void ctl_progress(const char *what, unsigned long done, unsigned long total)
{
    enum { CELLS = 30, REDRAWS = 200 };
    if ((done < total && done % (total / REDRAWS + 1) != 0) || !isatty(STDERR_FILENO))
        return;
    double part = total && done < total ? (double)done / (double)total : 1;
    int full = (int)(part * CELLS);
    fprintf(stderr, "\r%s [%.*s%*s] %3d%% %lu/%lu%s", what, full, "##############################", CELLS - full, "",
            (int)(part * 100), done, total, done >= total ? "\n" : "");
}

void ctl_use_zone(const char *zone)
{
    setenv("TZ", zone, 1);
    tzset();
}

char *ctl_local_time(int64_t wall_us, char out[CTL_LOCAL_TIME_SIZE])
{
    time_t seconds = (time_t)(wall_us / CLOCK_SECOND);
    struct tm tm;
    strftime(out, CTL_LOCAL_TIME_SIZE, "%Y-%m-%d %H:%M:%S%z", localtime_r(&seconds, &tm));
    return out;
}
