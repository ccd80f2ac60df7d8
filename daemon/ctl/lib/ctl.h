/*
 * mobeyectl: one verb per file. A verb is int ctl_VERB(int argc, char **argv), where argv[0] is the verb; it returns
 * the exit status: 0 success, 1 failure (one line on stderr gives the reason), 2 usage error.
 * Data goes to stdout, everything else to stderr.
 */
#ifndef MOBEYE_CTL_LIB_CTL_H
#define MOBEYE_CTL_LIB_CTL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <libpq-fe.h>

#include "base/buf.h"
#include "base/err.h"
#include "conf/conf.h"

enum { CTL_OK = 0, CTL_FAILED = 1, CTL_USAGE = 2 };

#define CTL_DRILL_SOURCE "/mobeyectl/setup" /* the CloudEvents source of setup's drill alert */

/* The main function of each verb. */
#define CTL_VERB(name, run, summary) int run(int argc, char **argv);
#include "ctl/lib/verbs.def"
#undef CTL_VERB

/* "mobeyectl VERB: text" on stderr. Returns CTL_FAILED. */
int ctl_fail(const char *verb, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* "mobeyectl VERB: text" on stderr, then where to find help. Returns CTL_USAGE. */
int ctl_usage(const char *verb, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Like ctl_fail(), for a statement that the database refused: prints what was tried, then message, detail and hint. */
int ctl_fail_sql(const char *verb, const char *what, const PGresult *result);

/* Loads the configuration file; NULL means CONF_DEFAULT_FILE. Returns NULL if it has errors, which are printed on
 * stderr. conf_free() it. */
struct conf *ctl_load(const char *file);

/* Opens a blocking connection for a verb: to `db` if given; otherwise to the database of the file (NULL: the default
 * file), as the user who runs the verb (connect_own()) or, if the database does not accept that user, as the daemon.
 * application_name is "mobeyectl VERB". On failure prints the reason with passwords masked and returns NULL.
 * PQfinish() it. */
PGconn *ctl_connect(const char *verb, const char *file, const char *db);

/* The same for a configuration that is already loaded. */
PGconn *ctl_connect_to(const char *verb, const struct conf *conf, const char *db);

/* The same, but appends the reason to ret_why, as one line, instead of printing it (NULL: prints it). */
PGconn *ctl_try_connect(const char *verb, const struct conf *conf, const char *db, struct buf *ret_why);

/* The same, but always as the daemon. */
PGconn *ctl_connect_daemon(const char *verb, const struct conf *conf, struct buf *ret_why);

/* Whether libpq can read the conninfo; otherwise prints the reason, or appends it to ret_why, with the origin of the
 * conninfo. Never connect with a refused one: libpq's message may quote a part of the password. */
bool ctl_check_conninfo(const char *verb, const char *from, const char *conninfo, struct buf *ret_why);

/* Whether it is known here which server and database the daemon with this file and conninfo uses; otherwise prints the
 * reason, or appends it to ret_why. */
bool ctl_knows_database(const char *verb, const char *file, const char *conninfo, struct buf *ret_why);

/* What to do if a role is missing. */
#define CTL_ROLE_MISSING "if it was renamed, rename it back; after a restore: psql -f mobeye.roles, then the dump again"

/* If the database or the role of the daemon does not exist, or its password has expired, appends that, and what to do;
 * appends nothing otherwise, or if the server does not let this user look. */
void ctl_explain_missing(const char *verb, const struct conf *conf, struct buf *ret);

/* Runs the statement. Returns NULL if it was refused; the error is printed with `what` as its subject. PQclear() it. */
PGresult *ctl_query(PGconn *conn, const char *verb, const char *what, const char *sql, int n,
                    const char *const *values);

/* The only column of the only row, as text; NULL: none, or the query failed. value: $1; NULL: the query has none. The
 * caller frees it. */
char *ctl_query_text(PGconn *conn, const char *sql, const char *value);

/* The first column of the i-th row; NULL: there are no more. rows: a PGresult, as nearest_word() takes its words. */
const char *ctl_name_of_row(const void *rows, size_t i);

/* Asks the question on the terminal and returns whether the answer is yes. Without a terminal on standard input prints
 * that --yes skips the confirmation and returns false. */
bool ctl_confirm(const char *verb, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Appends the whole file (-: standard input). CTL_FAILED: the reason is printed; a file of more than max bytes is an
 * error. */
int ctl_read(const char *verb, const char *file, size_t max, struct buf *text);

/* The process that has the journal open; 0: none. -1: the directory cannot be opened, so that it is unknown. */
int ctl_daemon(const struct conf *conf, pid_t *ret_pid, struct err *err);

/* From now on a statement that has to wait for a lock on a table, such as that of VACUUM FULL, fails after 5 s: for
 * verbs that show something. NULL: does nothing. */
void ctl_wait_briefly(PGconn *conn);

/* Whether SCHEMA.NAME exists and the role may read at least one column; causes no error in the server's log. */
bool ctl_readable(PGconn *conn, const char *relation);

/* Advice for an "insufficient privilege" error of the database; "" for every other failure. */
const char *ctl_owner_hint(const PGresult *result);

/* Creates or upgrades the schema. Prints each migration on stdout unless quiet; prints errors on stderr. */
int ctl_migrate_schema(PGconn *conn, bool quiet);

/* From now on local times, and those of ctl_local_time(), are in this time zone. */
void ctl_use_zone(const char *zone);

enum { CTL_LOCAL_TIME_SIZE = 40 };

/* A wall clock time as people read it: "2026-11-28 14:00:00+0100". Returns out. */
char *ctl_local_time(int64_t wall_us, char out[CTL_LOCAL_TIME_SIZE]);

/* The plural ending of a noun after this number: "s", or "" for 1. */
const char *ctl_plural(unsigned long n);

/* Draws a progress bar on stderr if that is a terminal. Call with done == total to end its line. */
void ctl_progress(const char *what, unsigned long done, unsigned long total);

#endif
