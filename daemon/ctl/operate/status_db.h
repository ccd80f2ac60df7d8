/*
 * The part of mobeyectl status that comes from the database. If a relation does not exist yet, or the role may not read
 * it, its number is unknown; that is not an error.
 */
#ifndef MOBEYE_CTL_OPERATE_STATUS_DB_H
#define MOBEYE_CTL_OPERATE_STATUS_DB_H

#include <stdbool.h>

#include <libpq-fe.h>

#include "base/buf.h"

struct status_db {
    bool up;             /* connected and readable */
    double quarantined;  /* NAN: unknown; likewise for the numbers below */
    double stored_age_s; /* since this instance last stored */
    double silent;       /* devices */
    double muted;        /* devices and areas */
    double rules_age_s;  /* since any daemon first applied new rules */
    PGresult *endpoints; /* name and age in seconds of the last alert; NULL: unknown */
    PGresult *jobs;      /* maintenance: job, age in seconds of the last success, error, late; NULL: unknown */
};

/* Queries the status of one instance (NULL: of all); conn NULL: everything is unknown. Prints an error if the database
 * cannot be read. status_db_clear() the result in any case. */
void status_db_query(struct status_db *ret, PGconn *conn, const char *verb, const char *instance);
void status_db_clear(struct status_db *db);

/* Whether the job of this row last succeeded, and in time. */
bool status_job_good(const PGresult *jobs, int row);

/* Age in seconds of the last alert of the endpoint; NAN: never, or unknown. */
double status_db_last(const struct status_db *db, struct str endpoint);

#endif
