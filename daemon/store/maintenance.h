/*
 * Maintenance: what has to be done three times a minute though no alert asks for it (sql/code/maintenance.sql). Every daemon
 * reports that it lives; the rest is done by one of them, the one that holds the advisory lock: silence, overdue and
 * unattended incidents, retention.
 *
 * On a connection of its own: a job that takes long, or fails, holds up no alert and no other job. It is tried again
 * when it is due again. How each job last ended stands in mobeye.maintenance, by which the metrics of every daemon,
 * mobeyectl status and doctor tell of it.
 */
#ifndef MOBEYE_STORE_MAINTENANCE_H
#define MOBEYE_STORE_MAINTENANCE_H

#include "base/buf.h"
#include "base/loop.h"
#include "base/metrics.h"
#include "conf/conf.h"

struct maintenance;

/* The jobs, by number from 0, and their words: label job of the metrics. */
#define MAINTENANCE_JOBS 19
const char *maintenance_job(size_t i);

/* What the daemon says of itself. Wall times; ALERT_NO_TIME: never. */
struct maintenance_report {
    const uint8_t *journal_uuid; /* 16 bytes */
    int64_t accepting_since_us;  /* since when it takes alerts without a break */
    int64_t applied_until_us;    /* what it received before this is stored, and known as a sign of life */
    struct maintenance_endpoint {
        const char *name;
        int64_t expect_every_us; /* 0: it may be silent for ever */
        int64_t last_received_us;
    } * endpoints; /* the callee's, until it is asked again */
    size_t n_endpoints;
};

struct maintenance_calls {
    /* Asked for right before each round. */
    void (*report)(void *ctx, struct maintenance_report *ret);
    /* A device has been found silent: its next alert ends that, and is to be told to the database at once. */
    void (*silent)(void *ctx, struct str device);
};

/* Begins to connect. conf must live until the next maintenance_reload() or maintenance_free(), metrics longer than
 * that. */
struct maintenance *maintenance_new(struct loop *loop, struct metrics *metrics, const struct conf *conf,
                                    const struct maintenance_calls *calls, void *ctx);
void maintenance_free(
    struct maintenance **maintenance); /* safe on NULL; whatever is on its way is left to the server */

/* While it is quiet, as it is at first, it does not complain: the writer tells what is wrong with the database. */
void maintenance_suppress_log(struct maintenance *maintenance, bool quiet);

/* An endpoint has gone silent, or is heard again: the next round begins in a second, or soon after the one that is
 * under way. */
void maintenance_run_soon(struct maintenance *maintenance);

/* Another configuration; connects anew where conninfo or instance differ. */
void maintenance_reload(struct maintenance *maintenance, const struct conf *conf);

#endif
