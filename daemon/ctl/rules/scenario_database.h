/*
 * The parts of the world in a database: the server that it is on, what is written there before, how it is looked at.
 * For scenario_database.c and its neighbours alone.
 */
#ifndef MOBEYE_CTL_RULES_SCENARIO_DATABASE_H
#define MOBEYE_CTL_RULES_SCENARIO_DATABASE_H

#include <event2/event_struct.h>
#include <libpq-fe.h>

#include "base/loop.h"
#include "ctl/rules/scenario_backend.h"

/* What all scenarios of a run share. */
struct scenario_server {
    PGconn *maintenance; /* to the database that the conninfo names: makes and drops ours */
    PGconn *conn;        /* to ours, as its superuser */
    char name[64];       /* of ours */
    char *conninfo;      /* by which the writer comes into it, as the daemon's role */
};

struct scenario_daemon {
    struct database *database;
    uint8_t journal[16];
    const char *instance;
    uint64_t seq;    /* of its last alert */
    uint64_t stored; /* the last that the database has */
};

struct database {
    struct scenario_server *server;
    struct fixture *fixture;
    struct loop *loop;
    struct event tick; /* so that a turn of the loop ends */
    struct scenario_daemon daemons[DAEMONS];
    int64_t shift_us;          /* what is added to the scenario's times */
    int64_t *last_received_us; /* of each endpoint of the configuration that there was at first */
    struct buf view;           /* what the last view's strings are slices of */
    struct alert_areas *areas;
};

/* Parameters as text. The rows are to be cleared; NULL: err says why there are none. */
PGresult *server_ask(PGconn *conn, const char *what, const char *sql, int n, const char *const *values,
                     struct err *err);
int server_run(PGconn *conn, const char *what, const char *sql, int n, const char *const *values, struct err *err);

/* Makes the database, with the schema, and drops it. */
int server_open(void **ret_server, const char *where, struct err *err);
void server_close(void *server);

/* A time of the scenario for to_timestamp(); NULL where it is none or without end. */
const char *database_time(const struct database *d, int64_t us, char out[32]);

/* Nothing of the scenario before is there any more, and what the setting says is. */
int database_set_up(struct database *d, struct err *err);

/* The scenario's present becomes the real one. */
int database_set_now(struct database *d, int64_t now_us, struct err *err);

/* As the world's. */
int database_list(void *backend, uint64_t **ret_ids, size_t *ret_n, struct err *err);
int database_view(void *backend, uint64_t id, struct incident_view *ret, struct err *err);

#endif
