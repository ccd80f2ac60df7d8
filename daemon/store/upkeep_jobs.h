/*
 * The jobs of the upkeep: a statement each, one after the other. What is erased by age is a job for each class, in a
 * transaction of its own, so that one that fails stops no other; the job "retention" after them looks whether anything
 * is a day overdue all the same.
 */
#ifndef MOBEYE_STORE_UPKEEP_JOBS_H
#define MOBEYE_STORE_UPKEEP_JOBS_H

#include <libpq-fe.h>

#include "base/buf.h"
#include "conf/conf.h"
#include "store/upkeep.h"

/* What the rows of its result are. */
enum upkeep_rows {
    UPKEEP_ROWS_NONE,    /* of no interest */
    UPKEEP_ROWS_SILENT,  /* devices that were found silent */
    UPKEEP_ROWS_ERASED,  /* what was erased, or why not: columns what, class, partition, n, error */
    UPKEEP_ROWS_OVERDUE, /* what should have been erased a day ago: columns job, hours, n; none is success */
};

struct upkeep_job {
    const char *word; /* as the log and the metrics call it */
    const char *sql;  /* a call up to its arguments */
    void (*append)(const char *sql, const struct conf *conf, struct buf *out);
    unsigned every; /* rounds */
    enum upkeep_rows rows;
};

extern const struct upkeep_job upkeep_jobs[UPKEEP_JOBS];

/* Did the job fail though its statement did not? Appends why to ret_why, a sentence without line feeds. */
bool upkeep_rows_fail(const struct upkeep_job *job, const PGresult *rows, struct buf *ret_why);

#endif
