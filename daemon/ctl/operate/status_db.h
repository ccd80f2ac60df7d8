/*
 * What mobeyectl status knows from the database. A relation that is not there yet, or that the role may not read,
 * leaves its figure unknown and is no error.
 */
#ifndef MOBEYE_CTL_OPERATE_STATUS_DB_H
#define MOBEYE_CTL_OPERATE_STATUS_DB_H

#include <stdbool.h>

#include <libpq-fe.h>

#include "base/buf.h"

struct status_db {
    bool up;             /* it answers us */
    double quarantined;  /* NAN where not known, as all that follow */
    double stored_age_s; /* since this instance last stored */
    double silent;       /* devices */
    double muted;        /* devices and areas */
    double rules_age_s;  /* since any daemon first applied rules that were new */
    PGresult *endpoints; /* name and age in seconds of the last alert; NULL: not known */
    PGresult *jobs; /* of the upkeep: word, age in seconds of the last success, why it fails, late; NULL: not known */
};

/* Asks for the figures of one instance; prints why where the database has no answer. status_db_clear() them in any
 * case. */
void status_db_ask(struct status_db *ret, PGconn *conn, const char *verb, const char *instance);
void status_db_clear(struct status_db *db);

/* A row of jobs: it succeeded last, and in time. */
bool status_job_good(const PGresult *jobs, int row);

/* How long ago the last alert of the endpoint came, in seconds; NAN: never, or not known. */
double status_db_last(const struct status_db *db, struct str endpoint);

#endif
