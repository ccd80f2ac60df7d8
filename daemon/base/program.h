/*
 * What the daemons' main functions share: the options of the command line, how the errors of a configuration file are
 * reported, signals, watchdog and status, and the port of /metrics.
 *
 * main() calls, in this order: program_parse(); program_report() after loading the file; program_begin();
 * program_listen() and program_ready() once everything is built; loop_run(); program_disarm() before anything that the
 * calls use is freed; program_end(). The last two are safe on a program that failed to begin.
 */
#ifndef MOBEYE_BASE_PROGRAM_H
#define MOBEYE_BASE_PROGRAM_H

#include <stdbool.h>

#include <event2/event_struct.h>

#include "base/http.h"
#include "base/log.h"
#include "base/loop.h"

/* Exit statuses, beside EXIT_SUCCESS. */
enum { PROGRAM_FATAL = 1, PROGRAM_CONFIGURATION = 2 };

/* Members may be NULL unless stated otherwise. ctx is that of program_begin(). */
struct program_calls {
    void (*on_stop)(void *ctx);    /* SIGTERM or SIGINT. NULL: loop_stop() */
    void (*on_reload)(void *ctx);  /* SIGHUP; not after a stop has begun. NULL: a warning that nothing is reloaded */
    bool (*progresses)(void *ctx); /* whether the watchdog may be notified. NULL: always, while the loop runs */
    /* One line for the service manager, every 5 s and after a reload. */
    void (*on_status)(void *ctx, struct buf *ret_text);
    http_answer_fn answer_metrics; /* /metrics; required by program_listen() */
    http_answer_fn answer_ready;   /* /readyz */
};

struct program {
    const char *name;
    const struct program_calls *calls;
    void *ctx;
    struct loop *loop; /* of the program; NULL before program_begin() */
    struct http *http;
    bool stopping;
    struct event term, interrupt, hangup, watchdog, status;
};

struct program_options {
    const char *name;
    const char *usage;
    void (*print_version)(void);
    const char *file; /* in: the default; out: the file of -c */
    bool check;       /* --check */
    bool has_db;      /* in: whether --db exists; it requires --check */
    const char *db;
};

/* To be called first in main: from then on SIGTERM and SIGINT end the program with status 0, and SIGHUP waits for
 * program_begin(). Parses the arguments and opens the log. Returns -1 to go on, or the exit status: after --help and
 * --version, or an error that is printed. */
int program_parse(struct program_options *options, int argc, char **argv);

/* The diagnostics of a configuration file, a line each: to stderr as they are, or to journald with their priority. The
 * report is freed. */
void program_report(struct buf *report, bool good);

/* Prints for --check that the file is valid, and what was not checked: " (...)" or "". Returns the exit status. */
int program_valid(const char *file, const char *unchecked);

/* Logs each line of a report, which is left empty. */
void program_log_report(enum log_level level, const char *subject, struct buf *report);

/* Ignores SIGPIPE, raises the limit of file descriptors, and creates the loop with the signals armed: one that arrives
 * while the rest is being built waits for the loop. -1 with err set. `calls` must outlive the program. */
int program_begin(struct program *program, const char *name, const struct program_calls *calls, void *ctx,
                  struct err *err);

/* Serves /metrics, /healthz and, if answer_ready is set, /readyz on that address. NULL: nowhere. -1 with err set. */
int program_listen(struct program *program, const char *address, struct err *err);

/* Arms watchdog and status, and notifies the service manager. */
void program_ready(struct program *program);

/* Nothing is called from then on; the port is closed. */
void program_disarm(struct program *program);

/* Frees the loop. */
void program_end(struct program *program);

#endif
