/*
 * Database connections of the verbs, and the user each is opened as. Peer authentication and access to password files
 * depend on the operating system user; root can act as any of them. Nobody else follows what the user of a program can
 * change: its process's environment, its home's service file; nor loads libraries that its connection string names.
 * PQstatus() and connect_error() tell whether a result is connected. PQfinish() it.
 */
#ifndef MOBEYE_CTL_LIB_CONNECT_H
#define MOBEYE_CTL_LIB_CONNECT_H

#include <stdbool.h>

#include <libpq-fe.h>

#include "base/buf.h"
#include "base/err.h"

#define CONNECT_DAEMON_USER "mobeyed"      /* the user that runs the daemon */
#define CONNECT_BOARD_USER  "mobeye-board" /* the one that runs the board */

/* Connects with the conninfo. Over a Unix socket root acts as the operating system user with the name of the role, if
 * there is one. database: overrides that of the conninfo, unless NULL. */
PGconn *connect_open(const char *verb, const char *conninfo, const char *database);

enum { CONNECT_UNIT_SIZE = 288 };

/* The unit that runs the user's program with this file: /etc/USER/USER.yaml or, for an instance, /etc/USER/NAME.yaml.
 * false: no unit does; unit is then that of USER.yaml. */
bool connect_unit_of(const char *user, const char *file, char unit[CONNECT_UNIT_SIZE]);

/* Connects as the daemon with this file would: root acts as the daemon's user, with its groups, if that user exists,
 * and has the unit's variables of libpq instead of its own. */
PGconn *connect_as_daemon(const char *file, const char *verb, const char *conninfo);

/* The same as a program that another system user runs. NULL, as libpq has it for one that is not connected: we must
 * not follow the connection string. */
PGconn *connect_as_user(const char *user, const char *file, const char *verb, const char *conninfo);

/* Why it is not connected: PQerrorMessage(), or why connect_as_user() just returned NULL. */
const char *connect_error(const PGconn *conn);

/* 0, or with which errno root fails to act as the user, as in a namespace that lacks it: the functions above end the
 * process then. */
int connect_try_user(const char *user);

/* Opens the file for reading as the user, if we are root and there is one. 0, or errno. */
int connect_try_file(const char *user, const char *path);

enum connect_refusal {
    CONNECT_REFUSED,        /* for another reason, or by no server */
    CONNECT_LACKS_PASSWORD, /* the server does not accept the role without a password, or with this one */
    CONNECT_LACKS_DATABASE, /* it accepts the role */
};

/* Why conn, which the user failed to open, was refused. Connects again to find out independently of the server's
 * language: PQerrorMessage() changes. */
enum connect_refusal connect_refusal(const char *user, PGconn *conn);

/* The conninfo as the user's program with this file completes it, by the environment in its unit, and by a service
 * file. The server and the database of the program are taken from this, after connect_check(). Empty: we must not
 * follow it. The caller frees it. */
char *connect_complete(const char *user, const char *file, const char *conninfo);

/* Whether it is known which server and database that is. -1: the file of its service cannot be followed, or an
 * EnvironmentFile= of its unit, which overrides all that the conninfo itself does not say: it cannot be read, or is not
 * only root's to change (a service file: or ours). */
int connect_check(const char *user, const char *file, const char *conninfo, struct err *err);

/* Appends, with a NUL at the end, the conninfo by which the user who runs the verb connects to the daemon's database,
 * by the daemon's complete conninfo, under their own role: root as user postgres, others as the role of their name;
 * over the Unix socket if the server is on this machine. false: that cannot be told, for the reason err: a service is
 * named that has no database or is not defined; or the server is remote, and root has no role there by PGUSER,
 * or its certificate is verified by a file that is not only root's or ours to change. */
bool connect_own(struct buf *out, const char *complete, struct err *err);

/* Connects with what connect_own() appended, to that database (NULL: its own) on the daemon's server: of root's own
 * variables of libpq only those of the login count. */
PGconn *connect_open_own(const char *verb, const char *own, const char *database);

/* Whether the server of the complete conninfo accepts connections, whosever: none is authenticated. */
bool connect_answers(const char *complete);

/* The hosts of the complete conninfo, with commas between them; NULL: the default, a Unix socket. The caller frees
 * it. */
char *connect_hosts(const char *complete);

/* Whether the key of the complete conninfo is in an OpenSSL engine, as libpq takes one with a colon: only the program
 * itself can connect with it. */
bool connect_names_engine(const char *complete);

/* Whether the server of the complete conninfo is on this machine, each of several. */
bool connect_is_local(const char *complete);
bool connect_is_local_host(const char *host); /* as PQhost() returns it */

/* Whether libpq connects to each host of the complete conninfo over a Unix socket. */
bool connect_is_by_socket(const char *complete);

#endif
