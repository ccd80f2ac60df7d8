/*
 * The part of mobeyectl status that comes from the database. If a relation does not exist yet, or the role may not read
 * it, its number is unknown; that is not an error.
 */
#ifndef MOBEYE_CTL_OPERATE_STATUS_DB_H
#define MOBEYE_CTL_OPERATE_STATUS_DB_H

#include <stdbool.h>

#include <libpq-fe.h>

#include "base/buf.h"
#include "conf/conf.h"

struct status_db {
    bool connected;       /* even if nothing can be read */
    bool up;              /* connected and readable */
    bool failed;          /* a query failed, as reported on standard error: that may be why a value is unknown */
    double quarantined;   /* NAN: unknown; likewise for the numbers below */
    double stored_age_s;  /* since this instance last stored */
    double silent;        /* devices */
    double muted;         /* devices and areas */
    double rules_age_s;   /* since any daemon first applied new rules */
    double alive_age_s;   /* since a daemon of this instance last reported that it is alive */
    double open, overdue; /* incidents in the queue of all teams, and those that are overdue */
    double waiting_s;     /* longest time that an incident has been waiting for acknowledgement; NAN also: none */
    double last_change;   /* its number */
    struct buf why;       /* why it is not up, on one line */
    PGresult *endpoints;  /* name and age in seconds of the last alert; NULL: unknown */
    PGresult *jobs;       /* maintenance: job, age in seconds of the last success, error, late; NULL: unknown */
};

/* Connects (ctl_try_connect()) and queries the status of one instance; conf and db NULL: everything is unknown. If the
 * database cannot be read, ret->why says why. status_db_clear() the result in any case. */
void status_db_query(struct status_db *ret, const char *verb, const struct conf *conf, const char *db);
void status_db_clear(struct status_db *db);

/* Whether the job of this row last succeeded, and in time. */
bool status_job_good(const PGresult *jobs, int row);

/* Age in seconds of the last alert of the endpoint; NAN: never, or unknown. */
double status_db_last(const struct status_db *db, struct str endpoint);

#endif
