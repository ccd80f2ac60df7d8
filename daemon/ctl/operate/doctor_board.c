/* mobeyectl doctor: mobeye-board on this machine: its file, its login, its service, its socket. */
#include <errno.h>
#include <grp.h>
#include <math.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conf/conf_board.h"
#include "ctl/lib/connect.h"
#include "ctl/lib/ctl.h"
#include "ctl/lib/scrape.h"
#include "ctl/operate/doctor.h"
#include "ctl/operate/unit_state.h"
#include "store/conninfo.h"

#define CHECK      "board"
#define BOARD_UNIT "mobeye-board.service"
#define BUILD_INFO "\nmobeye_board_build_info{version=\"" MOBEYE_VERSION "\"} 1\n"

/* What a login can do besides acting for people, as a text; null: nothing. Functions of PostGIS and of PostgreSQL,
 * which everybody may call, do not count. */
#define OTHER_RIGHTS                                                                                                   \
    "select concat_ws(', ', case when rolsuper then 'is a superuser' end,"                                             \
    " case when rolcreaterole or rolbypassrls or rolreplication or rolcreatedb then 'is privileged' end,"              \
    " (select 'is a member of ' || string_agg(m.roleid::regrole::text, ', ' order by 1) from pg_auth_members m"        \
    "   where m.member = r.oid),"                                                                                      \
    " (select 'owns ' || count(*) || ' objects' from pg_shdepend o where o.refobjid = r.oid"                           \
    "   and o.refclassid = 'pg_authid'::regclass and o.deptype = 'o' having count(*) > 0),"                            \
    " (select 'may read or change ' || string_agg(c.oid::regclass::text, ', ' order by 1) from pg_class c"             \
    "   where c.relnamespace in ('mobeye'::regnamespace, 'patrol'::regnamespace) and c.relkind in ('r', 'p', 'v', "    \
    "'S')"                                                                                                             \
    "   and not r.rolsuper and not c.relispartition"                                                                   \
    "   and case when c.relkind = 'S' then has_sequence_privilege(r.oid, c.oid, 'usage, select, update') else"         \
    "       has_any_column_privilege(r.oid, c.oid, 'select, insert, update')"                                          \
    "       or has_table_privilege(r.oid, c.oid, 'delete, truncate') end),"                                            \
    " (select 'may call ' || string_agg(f.oid::regproc::text, ', ' order by 1) from pg_proc f"                         \
    "   where f.pronamespace in ('mobeye'::regnamespace, 'patrol'::regnamespace) and not r.rolsuper"                   \
    "   and has_schema_privilege(r.oid, f.pronamespace, 'usage') and has_function_privilege(r.oid, f.oid, 'execute')"  \
    "   and f.oid::regproc::text not in ('patrol.board', 'patrol.board_changes', 'patrol.board_image',"                \
    "       'patrol.number_changes')))"                                                                                \
    " from pg_roles r where rolname = $1 and rolcanlogin"

/* ---- the login ---- */

static void say_login(struct doctor *d, const char *login)
{
    PGresult *row = PQexecParams(d->own, OTHER_RIGHTS, 1, NULL, &login, NULL, NULL, 0);
    if (PQresultStatus(row) != PGRES_TUPLES_OK)
        doctor_say(d, DOCTOR_WARNING, CHECK, "run mobeyectl doctor --db as a member of mobeye_owner",
                   "the rights of %s cannot be read: %s", login, doctor_query_error(d->own, row));
    else if (PQntuples(row) == 1 && *PQgetvalue(row, 0, 0))
        doctor_say(d, DOCTOR_PROBLEM, CHECK,
                   "a person who controls the board has these rights without being identified: revoke them",
                   "the login %s has rights beyond acting for people: it %s", login, PQgetvalue(row, 0, 0));
    else if (PQntuples(row) == 1)
        doctor_say(d, DOCTOR_OK, CHECK, NULL, "the login %s can do nothing but act for people", login);
    PQclear(row);
}

/* Every login that the database lets act for people, including that of the board. */
static void say_logins(struct doctor *d)
{
    if (!d->own || !ctl_readable(d->own, "mobeye.proxy_login")) {
        doctor_say_unread(d, d->own, CHECK, "mobeye.proxy_login");
        return;
    }
    PGresult *rows = PQexec(d->own, "select login from mobeye.proxy_login order by login");
    bool own = PQresultStatus(rows) != PGRES_TUPLES_OK;
    if (own)
        doctor_say(d, DOCTOR_WARNING, CHECK, "run mobeyectl doctor --db as a member of mobeye_owner",
                   "mobeye.proxy_login cannot be read: %s", doctor_query_error(d->own, rows));
    for (int row = 0; row < PQntuples(rows); row++) {
        own |= strcmp(PQgetvalue(rows, row, 0), "mobeye_board") == 0;
        say_login(d, PQgetvalue(rows, row, 0));
    }
    if (!own)
        doctor_say(d, DOCTOR_PROBLEM, CHECK, "insert into mobeye.proxy_login values ('mobeye_board')",
                   "mobeye_board is not in mobeye.proxy_login: the board cannot act for anybody");
    PQclear(rows);
}

/* Connects as the board does. level: if it cannot. */
static void say_connection(struct doctor *d, const struct conf_board *conf, enum doctor_level level)
{
    struct err err;
    if (conninfo_check(conf->database.conninfo, &err) != 0) {
        doctor_say(d, level, CHECK, "correct it", "%s: database.conninfo: %s", d->board_file, err.text);
        return;
    }
    if (connect_check(CONNECT_BOARD_USER, d->board_file, conf->database.conninfo, &err) != 0) {
        bool is_root = geteuid() == 0;
        doctor_say(d, is_root ? level : DOCTOR_OK, CHECK,
                   is_root ? "correct that, or name host, hostaddr, port and dbname in database.conninfo" : NULL,
                   "%swhere it connects to is not known: %s", is_root ? "" : "not checked: ", err.text);
        return;
    }
    char *complete = connect_complete(CONNECT_BOARD_USER, d->board_file, conf->database.conninfo);
    bool is_engine = connect_names_engine(complete);
    free(complete);
    if (is_engine) {
        doctor_say(d, DOCTOR_OK, CHECK, NULL, "not checked: its key is in an OpenSSL engine, which only it loads");
        return;
    }
    PGconn *conn = connect_as_user(CONNECT_BOARD_USER, d->board_file, "doctor", conf->database.conninfo);
    const char *user = PQuser(conn);
    if (PQstatus(conn) != CONNECTION_OK)
        doctor_say(d, level, CHECK, d->conn ? "run mobeyectl setup --board" : "the daemon cannot either: see database",
                   "it cannot connect to the database: %.*s", (int)strcspn(connect_error(conn), "\n"),
                   connect_error(conn));
    else if (strcmp(user, "mobeye_board") != 0)
        doctor_say(d, DOCTOR_WARNING, CHECK, "user=mobeye_board in database.conninfo is the login created for it",
                   "it connects to the database as %s", user);
    else
        doctor_say(d, DOCTOR_OK, CHECK, NULL, "it can connect to the database as %s", user);
    PQfinish(conn);
}

/* ---- the service and its socket ---- */

/* 0, or the errno of the user's attempt to connect to the socket. As root, in a separate process running as that
 * user. */
static int try_connect(const char *path, const char *user)
{
    const struct passwd *as = getpwnam(user);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        if (geteuid() == 0 && as &&
            (initgroups(user, as->pw_gid) != 0 || setgid(as->pw_gid) != 0 || setuid(as->pw_uid) != 0))
            _exit(errno);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        _exit(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 ? 0 : errno);
    }
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : ECHILD;
}

static void say_socket(struct doctor *d, const struct conf_board *conf)
{
    for (size_t i = 0; i < conf->identity.n_peers; i++) {
        int why = try_connect(conf->socket_path, conf->identity.peers[i]);
        if (why == 0)
            doctor_say(d, DOCTOR_OK, CHECK, NULL, "%s can connect to %s", conf->identity.peers[i], conf->socket_path);
        else
            doctor_say(d, DOCTOR_PROBLEM, CHECK,
                       why == EACCES ? "every directory of the path must be open to it (mode 0755)"
                                     : "systemctl status mobeye-board gives the reason",
                       "%s cannot connect to %s: %s", conf->identity.peers[i], conf->socket_path, strerror(why));
    }
}

static void say_metrics(struct doctor *d, const struct scrape *scrape)
{
    if (!memmem(scrape->text.data, scrape->text.len, BUILD_INFO, strlen(BUILD_INFO)))
        doctor_say(d, DOCTOR_WARNING, CHECK,
                   "install the same version of both packages; systemctl restart mobeye-board",
                   "the version that runs is not that of mobeyectl, " MOBEYE_VERSION);
    if (scrape_plain(scrape, "mobeye_board", "database_connections") == 0)
        doctor_say(d, DOCTOR_PROBLEM, CHECK, "journalctl -u mobeye-board gives the reason",
                   "it runs, and has no connection to the database");
    else
        doctor_say(d, DOCTOR_OK, CHECK, NULL, "it runs; %.0f %s the changes",
                   scrape_plain(scrape, "mobeye_board", "streams"),
                   scrape_plain(scrape, "mobeye_board", "streams") == 1 ? "page follows" : "pages follow");
}

/* false: it is not running. */
static bool say_process(struct doctor *d, const struct conf_board *conf)
{
    struct err err;
    struct scrape scrape = {0};
    bool runs = true;
    if (!conf->http_listen)
        doctor_say(d, DOCTOR_WARNING, CHECK, "set http.listen in its configuration",
                   "its version and its connections are not known");
    else if (scrape_fetch_of("mobeye_board", conf->http_listen, &scrape, &err) != 0)
        runs = false;
    else
        say_metrics(d, &scrape);
    if (!runs && unit_state(BOARD_UNIT) == UNIT_DOWN)
        doctor_say(d, DOCTOR_PROBLEM, CHECK, "systemctl status mobeye-board; journalctl -u mobeye-board -n 20",
                   "it is enabled and not running: %s", err.text);
    else if (!runs)
        doctor_say(d, DOCTOR_WARNING, CHECK, "mobeyectl setup --board starts it", "it is not running: %s", err.text);
    buf_free(&scrape.text);
    return runs;
}

/* If the board is only being tried. */
static void say_fixed(struct doctor *d, const char *login)
{
    doctor_say(d, DOCTOR_WARNING, CHECK, "put a reverse proxy before it, and set identity.header",
               "everybody on this machine is treated as %s (identity.fixed)", login);
    if (!d->own || !ctl_readable(d->own, "mobeye.person"))
        return;
    PGresult *rows = PQexecParams(d->own, "select from mobeye.person where login = $1", 1, NULL, &login, NULL, NULL, 0);
    if (PQresultStatus(rows) == PGRES_TUPLES_OK && PQntuples(rows) == 0)
        doctor_say(d, DOCTOR_PROBLEM, CHECK, "mobeyectl people import registers people",
                   "%s (identity.fixed) is not a registered person: nobody can use the board", login);
    PQclear(rows);
}

/* What the board's user cannot open, for which no password and no restart helps. */
static void say_files(struct doctor *d, const struct conf_board *conf)
{
    const struct passwd *user = geteuid() == 0 ? getpwnam(CONNECT_BOARD_USER) : NULL;
    char *passfile = conninfo_value(conf->database.conninfo, "passfile");
    int why =
        user && doctor_can_enter(d, user, d->board_file) ? connect_try_file(CONNECT_BOARD_USER, d->board_file) : 0;
    if (why != 0)
        doctor_say(
            d, DOCTOR_PROBLEM, CHECK,
            doctor_advise(d, "chown root:" CONNECT_BOARD_USER " %s && chmod 0640 %s", d->board_file, d->board_file),
            "the user " CONNECT_BOARD_USER " cannot open %s: %s", d->board_file, strerror(why));
    if (passfile && *passfile == '/' && strncmp(passfile, "/run/credentials/", 17) != 0)
        doctor_can_enter(d, user, passfile);
    free(passfile);
}

void doctor_board(struct doctor *d)
{
    struct buf report = {0};
    say_logins(d);
    if (access(d->board_file, R_OK) != 0) {
        doctor_say(d, DOCTOR_OK, CHECK, NULL, "not %s: %s: %s", errno == ENOENT ? "installed" : "checked",
                   d->board_file, strerror(errno));
        return;
    }
    struct conf_board *conf = conf_board_load(d->board_file, &report);
    if (!conf) {
        buf_append(&report, "", 1);
        doctor_say(d, DOCTOR_PROBLEM, CHECK, "run mobeye-board --check", "the configuration is not valid: %.*s",
                   (int)strcspn(report.data, "\n"), report.data);
    } else {
        if (conf->identity.fixed)
            say_fixed(d, conf->identity.fixed);
        say_files(d, conf);
        bool runs = say_process(d, conf);
        say_connection(d, conf, runs ? DOCTOR_PROBLEM : DOCTOR_WARNING);
        if (runs && conf->socket_path)
            say_socket(d, conf);
    }
    conf_board_free(&conf);
    buf_free(&report);
}
