/*
 * What mobeyectl doctor finds: one line each, with advice where something is wrong.
 */
#ifndef MOBEYE_CTL_OPERATE_DOCTOR_H
#define MOBEYE_CTL_OPERATE_DOCTOR_H

#include <stdbool.h>
#include <sys/types.h>

#include <libpq-fe.h>

#include "conf/conf.h"

enum doctor_level {
    DOCTOR_OK,
    DOCTOR_WARNING, /* it works, until something happens */
    DOCTOR_PROBLEM, /* alerts are, or will be, late or lost; makes the exit status 1 */
};

struct doctor {
    const char *file; /* as given; NULL: the default one */
    const struct conf *conf;
    const char *conninfo; /* the database of the file, or that of --db */
    PGconn *conn;         /* NULL: it does not answer */
    pid_t daemon;         /* that has the journal open; 0: none, or it cannot be seen */
    bool json;
    unsigned told[DOCTOR_PROBLEM + 1];
};

/* Prints one finding. advice: what to do, NULL where it is ok. */
void doctor_say(struct doctor *d, enum doctor_level level, const char *check, const char *advice, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* The checks. Each says at least one line. */
void doctor_clock(struct doctor *d);
void doctor_files(struct doctor *d);
void doctor_disk(struct doctor *d);
void doctor_flush(struct doctor *d);
void doctor_descriptors(struct doctor *d);
void doctor_ports(struct doctor *d);
void doctor_unit(struct doctor *d);
void doctor_supervision(struct doctor *d);
void doctor_database(struct doctor *d);

#endif
