/*
 * mobeyectl setup in parts: the database, keys, the configuration, the drill. Each part looks first, says what is so
 * already, and does the rest; with dry_run it says what it would do.
 */
#ifndef MOBEYE_CTL_SETUP_H
#define MOBEYE_CTL_SETUP_H

#include <stdbool.h>

#include <libpq-fe.h>

#include "base/buf.h"
#include "conf/conf.h"

#define SETUP_VERB "setup"
#define SETUP_USER "mobeyed" /* who runs the daemon */

struct setup {
    const char *file;  /* of the configuration, as it was given; NULL: the default one */
    const char *admin; /* conninfo of a superuser, without a database; NULL: user postgres of this machine */
    char *database;    /* its name */
    char *instance;    /* NULL: that of the file, or of its sample */
    char *conninfo;    /* the daemon's; NULL: that of the file where it works, else one with a password */
    bool dry_run, yes; /* yes: asks nothing */
    bool replace;      /* an existing file may be replaced; the old one is kept beside it */
    bool drill;        /* send one in the end */
    bool curve;        /* CURVE is wanted */
    char *server_key;  /* with curve: the file of the daemon's secret key */
    char *clients;     /* with curve: the list of clients */
    char *drill_key;   /* with curve: the file of the drill's */
    PGconn *conn;      /* the superuser's, to the database itself once that is there */
    unsigned long changes;
};

/* "made: ..." or, with dry_run, "would be made: ..."; "is so: ..." for what was found as it should be. */
void setup_did(struct setup *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void setup_is(struct setup *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Whether a person says so; false where nobody can be asked. */
bool setup_ask_yes(const struct setup *s, const char *about, const char *question);

/* Appends the whole file. 1: read; 0: there is none; -1: printed why not. */
int setup_read(const char *path, struct buf *ret);

/* Writes the file, mode 0640 for the daemon's group. old: what it holds, NULL where it is not there. One that is there
 * is changed only with --replace or where a person says so, and the old one kept; else the new one is put beside it.
 * check: whether a file of that name is good, and prints why not; NULL: it is. */
typedef bool setup_check(const char *path);
int setup_put(struct setup *s, const char *path, const struct buf *old, const struct buf *text, setup_check *check);

/* Connects as the superuser, makes database and schema. All return CTL_OK or have printed why not. */
int setup_database(struct setup *s);

/* Whether the daemon would get in with this conninfo: tried as its user where we are root. */
bool setup_gets_in(const struct setup *s, const char *conninfo);

/* Gives the daemon's role a password, in a new passfile beside the configuration; sets s->conninfo to what uses it. */
int setup_password(struct setup *s);

/* With curve: makes the keys of the daemon and of the drill and puts the latter on the list of clients. */
int setup_curve(struct setup *s);

/* Makes the file of its sample, or brings instance and conninfo of an existing one up to date. */
int setup_file(struct setup *s);
const char *setup_file_name(const struct setup *s);

/* Sends one and waits until it is in the database. */
int setup_drill(struct setup *s);

#endif
