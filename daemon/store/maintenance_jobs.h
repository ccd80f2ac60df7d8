/*
 * The maintenance jobs: one statement each, one after the other. Erasure by age is one job per class, in a separate
 * transaction, so that a failure affects no other class; the job "retention" after them checks whether anything is
 * nevertheless overdue by a day.
 */
#ifndef MOBEYE_STORE_MAINTENANCE_JOBS_H
#define MOBEYE_STORE_MAINTENANCE_JOBS_H

#include <libpq-fe.h>

#include "base/buf.h"
#include "conf/conf.h"
#include "store/maintenance.h"

/* What the rows of its result are. */
enum maintenance_rows {
    MAINTENANCE_ROWS_NONE,    /* ignored */
    MAINTENANCE_ROWS_SILENT,  /* devices found silent */
    MAINTENANCE_ROWS_ERASED,  /* what was erased, or why not: columns what, class, partition, n, error */
    MAINTENANCE_ROWS_OVERDUE, /* what should have been erased a day ago: columns job, hours, n; none is success */
};

struct maintenance_job {
    const char *word; /* its name in the log and in metrics */
    const char *sql;  /* a call, up to what append adds */
    /* Its arguments; NULL: it has none. wall_us: now. */
    void (*append)(const struct conf *conf, int64_t wall_us, struct buf *out);
    unsigned every; /* cycles */
    enum maintenance_rows rows;
};

/* The SQLSTATE of a job that erases if the server's clock differs from the daemon's (mobeye.check_clocks()). */
#define MAINTENANCE_CLOCKS "MB002"

extern const struct maintenance_job maintenance_jobs[MAINTENANCE_JOBS];

/* Appends the job's statement. wall_us: now. */
void maintenance_job_append(const struct maintenance_job *job, const struct conf *conf, int64_t wall_us,
                            struct buf *sql);

/* Whether the job failed although its statement did not. Appends why to ret_why, a sentence without line feeds. */
bool maintenance_rows_fail(const struct maintenance_job *job, const PGresult *rows, struct buf *ret_why);

#endif
