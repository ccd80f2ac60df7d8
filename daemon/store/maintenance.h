/*
 * Maintenance: jobs that no alert triggers, in cycles of 20 seconds (sql/code/maintenance.sql). Every daemon reports
 * that it is alive; the one whose session leads (mobeye.leader) does the rest: silence, overdue and unattended
 * incidents, retention.
 *
 * On a separate connection: a job that takes long, or fails, does not delay alerts, and the other jobs are still done.
 * It is retried when it is next due, an hourly job after five minutes. mobeye.maintenance records how each job last
 * ended; metrics, mobeyectl status and doctor read it there.
 */
#ifndef MOBEYE_STORE_MAINTENANCE_H
#define MOBEYE_STORE_MAINTENANCE_H

#include "base/buf.h"
#include "base/loop.h"
#include "base/metrics.h"
#include "conf/conf.h"

struct maintenance;

/* The jobs, by number from 0, and their words: label job of the metrics. */
#define MAINTENANCE_JOBS 23
const char *maintenance_job(size_t i);

/* What the daemon reports about itself. Wall times; ALERT_NO_TIME: never. */
struct maintenance_report {
    const uint8_t *journal_uuid; /* 16 bytes */
    int64_t accepting_since_us;  /* since when it has accepted alerts without a break */
    int64_t applied_until_us;    /* everything received before this is stored, and device status written */
    int64_t unverified_us;       /* as writer_unverified_us() */
    struct maintenance_endpoint {
        const char *name;
        int64_t expect_every_us; /* 0: it may stay silent */
        int64_t last_received_us;
    } * endpoints; /* owned by the callee, valid until the next on_report() */
    size_t n_endpoints;
};

struct maintenance_calls {
    /* Fills the report, at the beginning of each cycle. */
    void (*on_report)(void *ctx, struct maintenance_report *ret);
    /* A device was found silent: its next alert ends that, and its status must be written at once. */
    void (*on_silent)(void *ctx, struct str device);
};

/* Begins to connect. conf must live until the next maintenance_reload() or maintenance_free(), metrics longer than
 * that. */
struct maintenance *maintenance_new(struct loop *loop, struct metrics *metrics, const struct conf *conf,
                                    const struct maintenance_calls *calls, void *ctx);
void maintenance_free(struct maintenance **maintenance); /* safe on NULL; the server finishes what it was sent */

/* While suppressed, as initially, failures are not logged: the writer logs what is wrong with the database. */
void maintenance_suppress_log(struct maintenance *maintenance, bool suppress);

/* An endpoint has gone silent, or received something again: the next cycle begins in a second, or soon after the
 * current one. */
void maintenance_run_soon(struct maintenance *maintenance);

/* Updates queue_oldest_seconds, which rises between two reads of the queue. */
void maintenance_gauges(struct maintenance *maintenance);

/* Another configuration; reconnects if conninfo or instance differ. */
void maintenance_reload(struct maintenance *maintenance, const struct conf *conf);

#endif
