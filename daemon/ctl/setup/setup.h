/*
 * The parts of mobeyectl setup: the database, logins, keys, the configuration, the daemon, the drill, the board. Each
 * part first checks what exists, reports it as unchanged, and does the rest; with dry_run it reports what it would do.
 * A part that was interrupted is completed when setup runs again. Functions that return int return CTL_OK, or have
 * printed the reason.
 */
#ifndef MOBEYE_CTL_SETUP_SETUP_H
#define MOBEYE_CTL_SETUP_SETUP_H

#include <stdbool.h>

#include <libpq-fe.h>

#include "base/buf.h"
#include "conf/conf.h"
#include "ctl/lib/connect.h"

#define SETUP_VERB "setup"

/* A program that connects to the database, and its configuration. */
struct setup_program {
    const char *name;    /* in messages: "the daemon" */
    const char *user;    /* the system user that runs it, with a group of the same name */
    const char *role;    /* its role in the database */
    const char *file;    /* of its configuration */
    char *file_conninfo; /* the conninfo in the existing file; NULL: none */
    char *conninfo;      /* the one to write; NULL: that of the file works, or none was given */
    bool unchecked;      /* only its running unit has its password, or only it can use its key */
};

struct setup {
    struct setup_program daemon;
    const char *admin; /* conninfo of a superuser, without a database; NULL: that of the daemon's server here */
    char *database;    /* its name */
    char *instance;    /* NULL: that of the file */
    bool dry_run, yes; /* yes: do not ask */
    bool fresh;        /* the file does not exist yet, or is the sample as shipped */
    bool replace;      /* an existing file may be replaced; the old one is kept */
    bool drill;        /* send a drill alert at the end */
    bool curve;        /* set up CURVE */
    bool board;        /* set up the board on this machine */
    char *server_key;  /* the daemon's secret key and the client list: those of the file; else, with curve, those */
    char *clients;     /* to write to it */
    char *drill_key;   /* with curve: file of the drill's secret key */
    PGconn *conn;      /* the superuser's connection, to the database itself as soon as it exists */
    unsigned long changes;
};

/* Prints "done: ..." or, with dry_run, "would be done: ..."; setup_is() prints "unchanged: ...". */
void setup_did(struct setup *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void setup_is(struct setup *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Prints "left to do: ...": what only the administrator can do. */
void setup_left(struct setup *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Asks a yes-or-no question; false without a terminal. */
bool setup_ask_yes(const struct setup *s, const char *about, const char *question);

/* Absolute path of NAME in the directory of the file. The caller frees it. */
char *setup_beside(const char *file, const char *name);

/* The path, with its directory absolute and without links. The caller frees it. */
char *setup_resolve_directory(const char *path);

/* Whether both name the same file, which need not exist, by links of directories too. */
bool setup_is_same_path(const char *a, const char *b);

/* Appends the whole file. 1: read; 0: it does not exist; -1: the error was printed. */
int setup_read(const char *path, struct buf *ret);

/* Whether only root decides which file the path names; prints why not. Otherwise the daemon's user could have root
 * replace any file, and give it away. Without root, or without that user, nothing is checked. */
int setup_check_place(const char *path);

/* Creates or replaces the file atomically, readable by the group of the user; secret: by the user only. */
int setup_write(const char *path, struct str text, const char *user, bool secret);

/* Whether the file belongs to the user and is accessible only to the user, like a secret that setup_write() wrote.
 * Without root, the owner is not checked. */
bool setup_is_secret(const char *path, const char *user);

/* A file: its present and its desired text. */
struct setup_file {
    const char *path;
    const char *user;                /* whose group may read it */
    const struct buf *old;           /* NULL: the file does not exist */
    bool shipped;                    /* the old text is that of the package, unchanged */
    bool own;                        /* or was changed only by setup */
    const struct buf *text;          /* the desired text */
    bool (*check)(const char *path); /* returns whether the file is valid, and prints errors; NULL: not checked */
};

/* Writes the file; an old one is kept unless it is as shipped. One that was edited by hand is replaced only with
 * --replace or after confirmation; otherwise the new one is written next to it. */
int setup_put(struct setup *s, const struct setup_file *file);

/* The conninfo that the daemon uses or will use, by connect_complete(); NULL: not known. The caller frees it. */
char *setup_complete_conninfo(const struct setup *s);

/* Connects as the superuser; creates database and schema. */
int setup_database(struct setup *s);

bool setup_run(PGconn *conn, const char *what, const char *sql);

/* Makes sure that the program can connect: with the conninfo that was given or that the file has, otherwise with a
 * password for its role, stored in a passfile next to its configuration; program->conninfo then uses it. */
int setup_login(struct setup *s, struct setup_program *program);

/* Checks what setup_login() could not before the unit ran. */
int setup_check_login(const struct setup *s, const struct setup_program *program);

/* With curve: creates the keys of the daemon and of the drill and adds the latter to the client list. */
int setup_curve(struct setup *s);

/* Whether the text of a client list has the key; prints the line to add to the list if the drill's is missing. */
bool setup_lists(struct str list, const char *public_key);
void setup_list_drill(struct setup *s, const char *list, const char *public_key);

/* Creates the configuration from the sample, or updates instance and conninfo of an existing one. */
int setup_configuration(struct setup *s);

/* The same for the configuration of the board: sets its conninfo. */
int setup_board_configuration(struct setup *s, const struct setup_program *board);

/* Whether setup may set the conninfo of the program's file: the file does not exist, or is the sample as setup changes
 * it with this passfile, or is to be replaced. */
bool setup_may_change(const struct setup *s, const struct setup_program *program, const char *passfile);

/* Whether the text is the sample configuration. */
bool setup_is_sample(struct str text);

/* Sets the time zone of the database to that of the configuration. */
int setup_timezone(struct setup *s);

/* When the file was last changed or replaced, by the wall clock in seconds; 0: it does not exist, or path is NULL. */
double setup_changed_at(const char *path);

/* Refuses a file whose journal or address another daemon has, so that the unit of the file could not start. */
int setup_check_instance(const struct setup *s);

/* Has systemd start the daemon, or reload it if it has not read the present files; prints what of that is left to the
 * administrator. Does nothing without root, or if systemd does not run. */
int setup_daemon(struct setup *s);

/* Sends a drill alert and waits until it is stored in the database. */
int setup_drill(struct setup *s);

/* The board: its login, its configuration and its unit; prints what is left to the administrator. Requires the user
 * that its package creates, which setup_board_user() checks before anything is changed. */
int setup_board_user(void);
int setup_board(struct setup *s);

#endif
