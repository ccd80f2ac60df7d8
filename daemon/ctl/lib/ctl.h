/*
 * mobeyectl: a verb a file. A verb is int ctl_VERB(int argc, char **argv) with argv[0] the verb; it returns the
 * exit status: 0 done, 1 it failed (one line on stderr says why), 2 the command line is wrong.
 * Data goes to stdout, everything else to stderr.
 */
#ifndef MOBEYE_CTL_LIB_CTL_H
#define MOBEYE_CTL_LIB_CTL_H

#include <stdbool.h>
#include <sys/types.h>

#include <libpq-fe.h>

#include "base/buf.h"
#include "base/err.h"
#include "conf/conf.h"

enum { CTL_OK = 0, CTL_FAILED = 1, CTL_USAGE = 2 };

#define CTL_DEFAULT_FILE "/etc/mobeyed/mobeyed.yaml"

/* What main() is to a program, for each verb. */
#define CTL_VERB(name, run, summary) int run(int argc, char **argv);
#include "ctl/lib/verbs.def"
#undef CTL_VERB

/* "mobeyectl VERB: text" on stderr. Returns CTL_FAILED. */
int ctl_fail(const char *verb, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* "mobeyectl VERB: text", then where to find help. Returns CTL_USAGE. */
int ctl_usage(const char *verb, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The same as ctl_fail() for a statement that the database refused: what was tried, its words, detail and hint. */
int ctl_fail_sql(const char *verb, const char *what, const PGresult *result);

/* Loads the file (CTL_DEFAULT_FILE where NULL), printing its complaints to stderr where it has errors: NULL. */
struct conf *ctl_load(const char *file);

/* A blocking connection for a verb: to `db` where given; else to the database of the file (NULL: the default one), as
 * whoever runs the verb (connect_own()) or, where the database does not know that one, as the daemon. application_name
 * is "mobeyectl VERB". Prints why not, passwords masked, and returns NULL. PQfinish() it. */
PGconn *ctl_connect(const char *verb, const char *file, const char *db);

/* The same with the configuration at hand. */
PGconn *ctl_connect_to(const char *verb, const struct conf *conf, const char *db);

/* The same, as the daemon. */
PGconn *ctl_connect_daemon(const char *verb, const struct conf *conf);

/* What the statement gives; NULL: it was refused, which is printed as of `what`. PQclear() it. */
PGresult *ctl_query(PGconn *conn, const char *verb, const char *what, const char *sql, int n,
                    const char *const *values);

/* Whether the person at the terminal says yes to the question. */
bool ctl_says_yes(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Appends the whole file, - for standard input. CTL_FAILED: printed why not, as where it is longer than max bytes. */
int ctl_read(const char *verb, const char *file, size_t max, struct buf *text);

/* What was renamed or made in the directory of the file is on the disk. */
void ctl_sync_directory(const char *file);

/* Runs systemctl with these words, of which the first is its own name and the last NULL. Its status; -1: there is none.
 */
int ctl_systemctl(const char *const *words);

/* The process that has the journal open. 0: none has, or errno is set: the directory cannot be looked into. */
pid_t ctl_daemon(const struct conf *conf);

/* Whether SCHEMA.NAME is there and the role may read any of it; asked without an error in the server's log. */
bool ctl_readable(PGconn *conn, const char *relation);

/* A timestamptz column of a select list as RFC 3339 text in UTC, under its own name. */
#define CTL_UTC(column) "to_char(" column " at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') as " column

/* What to do about a refusal of the database to show what only its owner sees; "" for every other failure. */
const char *ctl_owner_hint(const PGresult *result);

/* Brings the schema up; says on stderr why it cannot, and what it does on stdout unless it is to be quiet. */
int ctl_migrate_schema(PGconn *conn, bool quiet);

/* Prints the rows as a table that people can read: header, columns aligned (numbers to the right), control bytes
 * escaped; or, as JSON, an array of objects, a number or boolean where the column has such a type, null where it is
 * null. Bytes (bytea) are printed as the text that they are meant to be. */
void ctl_print_rows(const PGresult *rows, bool json);

/* Appends text for a terminal: control characters and bytes that are not UTF-8 become \xNN; `lines` leaves line feeds
 * and tabs as they are. */
void ctl_escape(struct buf *out, struct str text, bool lines);

/* A progress bar on stderr where that is a terminal; else nothing. Call with done == total to end its line. */
void ctl_progress(const char *what, unsigned long done, unsigned long total);

/* Appends text as a JSON string with its quotes; control characters are escaped, bytes that are not UTF-8 become
 * U+FFFD. */
void ctl_json_string(struct buf *out, struct str text);

#endif
