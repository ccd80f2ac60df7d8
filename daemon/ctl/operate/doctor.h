/*
 * The checks of mobeyectl doctor: each prints one line or more, with advice if something is wrong.
 */
#ifndef MOBEYE_CTL_OPERATE_DOCTOR_H
#define MOBEYE_CTL_OPERATE_DOCTOR_H

#include <limits.h>
#include <pwd.h>
#include <stdbool.h>
#include <sys/types.h>

#include <libpq-fe.h>

#include "conf/conf.h"
#include "ctl/lib/connect.h"
#include "ctl/lib/scrape.h"

enum doctor_level {
    DOCTOR_OK,
    DOCTOR_WARNING, /* works at present, but is at risk */
    DOCTOR_PROBLEM, /* alerts are, or will be, late or lost; sets the exit status to 1 */
};

struct doctor {
    const char *file;             /* as given; NULL: the default file */
    char unit[CONNECT_UNIT_SIZE]; /* of the file, otherwise mobeyed; without .service */
    const char *frigate_file;     /* the configuration of mobeye-frigate; need not exist */
    const char *board_file;       /* the same of mobeye-board */
    const struct conf *conf;
    const char *conninfo; /* the database of --db, otherwise that of the file */
    PGconn *conn;         /* as the daemon, or own; NULL: cannot connect, for the reason conn_why */
    const char *unseen;   /* why doctor cannot connect as the daemon, which may well: conn is own; NULL: it can */
    struct str conn_why;
    PGconn *own;  /* as the user who runs the verb, who may be able to read people and logins; NULL: cannot connect */
    pid_t daemon; /* the process that has the journal open; 0: none, or unknown */
    bool answers; /* the daemon's /metrics do, so that it has all its ports */
    pid_t other;  /* a process that has the journal open and is not that of the file's unit; 0: none, or unknown */
    bool other_answers; /* at http.listen; the unit does not run */
    struct scrape metrics;
    bool json;
    char advice[2 * PATH_MAX + 128];      /* the last one of doctor_advise() */
    char closed_directory[PATH_MAX];      /* the last one that a user was said to be unable to enter */
    unsigned printed[DOCTOR_PROBLEM + 1]; /* number of diagnostics of each level */
};

/* Prints one diagnostic. advice: what to do, NULL for DOCTOR_OK. */
void doctor_say(struct doctor *d, enum doctor_level level, const char *check, const char *advice, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* Formats an advice, which the next call overwrites. */
const char *doctor_advise(struct doctor *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Says that a check was left out: conn is NULL, or its role may not read the relations (as the message calls them). */
void doctor_say_unread(struct doctor *d, const PGconn *conn, const char *check, const char *relations);

/* Says that a check was left out, if errno is EACCES and the user is not root; otherwise false. */
bool doctor_needs_root(struct doctor *d, const char *check, const char *path);

/* Why a query failed, without its detail and hint. */
const char *doctor_query_error(const PGconn *conn, const PGresult *result);

/* Prints the rows of a query: level ('ok', 'warning', 'problem'), text and advice. $1, where it is used, is the time of
 * this machine in seconds. */
void doctor_ask(struct doctor *d, const char *check, const char *sql);

/* Whether the user can enter every directory of the path, and of what it links to; prints once for each directory that
 * they cannot. user: NULL, unknown. */
bool doctor_can_enter(struct doctor *d, const struct passwd *user, const char *path);

/* The checks. Each prints at least one line. */
void doctor_clock(struct doctor *d);
void doctor_files(struct doctor *d);
void doctor_disk(struct doctor *d);
void doctor_flush(struct doctor *d);
void doctor_descriptors(struct doctor *d);
void doctor_daemon(struct doctor *d);
void doctor_ports(struct doctor *d);
void doctor_backlog(struct doctor *d);
void doctor_unit(struct doctor *d);
void doctor_supervision(struct doctor *d);
void doctor_frigate(struct doctor *d);
void doctor_board(struct doctor *d);
void doctor_database(struct doctor *d);
void doctor_speed(struct doctor *d); /* called by doctor_database() while connected */
void doctor_registry(struct doctor *d);

#endif
