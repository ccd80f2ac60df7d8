/*
 * mobeyectl setup in parts: the database, keys, the configuration, the daemon, the drill. Each part looks first, says
 * what is so already, and does the rest; with dry_run it says what it would do. A part that was interrupted, by
 * whatever and wherever, is completed when setup runs again. All that return int return CTL_OK or have printed why not.
 */
#ifndef MOBEYE_CTL_SETUP_SETUP_H
#define MOBEYE_CTL_SETUP_SETUP_H

#include <stdbool.h>

#include <libpq-fe.h>

#include "base/buf.h"
#include "conf/conf.h"
#include "ctl/lib/connect.h"

#define SETUP_VERB "setup"
#define SETUP_USER CONNECT_DAEMON_USER
#define SETUP_ROLE "mobeye_ingest"

struct setup {
    const char *file;  /* of the configuration */
    const char *admin; /* conninfo of a superuser, without a database; NULL: user postgres of this machine */
    char *database;    /* its name */
    char *instance;    /* NULL: that of the file */
    char *known;       /* the conninfo of the file as it is; NULL: there is none */
    char *conninfo;    /* the daemon's; NULL: that of the file where it works, else one with a password */
    bool dry_run, yes; /* yes: asks nothing */
    bool fresh;        /* there is no file yet, or it is as it was shipped */
    bool replace;      /* an existing file may be replaced; the old one is kept beside it */
    bool drill;        /* send one in the end */
    bool curve;        /* CURVE is wanted */
    char *server_key;  /* with curve: the file of the daemon's secret key */
    char *clients;     /* with curve: the list of clients */
    char *drill_key;   /* with curve: the file of the drill's */
    PGconn *conn;      /* the superuser's, to the database itself once that is there */
    unsigned long changes;
};

/* "done: ..." or, with dry_run, "would be done: ..."; "is so: ..." for what was found as it should be. */
void setup_did(struct setup *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void setup_is(struct setup *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Whether a person says so; false where nobody can be asked. */
bool setup_ask_yes(const struct setup *s, const char *about, const char *question);

/* NAME beside the configuration, absolute. The caller frees it. */
char *setup_beside(const struct setup *s, const char *name);

/* Appends the whole file. 1: read; 0: there is none; -1: printed why not. */
int setup_read(const char *path, struct buf *ret);

/* Makes the file, or replaces it, as a whole: for the daemon's group to read; secret: for the daemon's user alone. */
int setup_write(const char *path, struct str text, bool secret);

/* A file as it is and as it should be. */
struct setup_file {
    const char *path;
    const struct buf *old;           /* NULL: there is none */
    bool shipped;                    /* the old one is the package's, which nobody has changed */
    const struct buf *text;          /* what it should be */
    bool (*check)(const char *path); /* whether a file of that name is good, and prints why not; NULL: it is */
};

/* Writes it. One that somebody has changed is changed only with --replace or where a person says so, and the old one
 * kept; else the new one is put beside it. */
int setup_put(struct setup *s, const struct setup_file *file);

/* Connects as the superuser, makes database and schema. */
int setup_database(struct setup *s);

/* One column of one row as text; NULL: none. The caller frees it. */
char *setup_query(PGconn *conn, const char *sql, const char *value);
bool setup_run(PGconn *conn, const char *what, const char *sql);

/* Sees to it that the daemon gets in: by the conninfo that was given or that the file has, or else by a password of its
 * role, in a passfile beside the configuration; s->conninfo is then what uses it. */
int setup_way_in(struct setup *s);

/* With curve: makes the keys of the daemon and of the drill and puts the latter on the list of clients. */
int setup_curve(struct setup *s);

/* Makes the file of its sample, or brings instance and conninfo of an existing one up to date. */
int setup_configuration(struct setup *s);

/* Whether the text is the sample of the configuration. */
bool setup_is_sample(struct str text);

/* Has systemd start the daemon, or reload it where what runs is older than its files. Where systemd does not run, or
 * the file is no unit's, nothing is done. */
int setup_daemon(struct setup *s);

/* Sends one and waits until it is in the database. */
int setup_drill(struct setup *s);

#endif
