/*
 * The parts of the database backend: the server, the initial state, the view. Private to scenario_database.c,
 * scenario_server.c, scenario_setup.c and scenario_view.c.
 */
#ifndef MOBEYE_CTL_RULES_SCENARIO_DATABASE_H
#define MOBEYE_CTL_RULES_SCENARIO_DATABASE_H

#include <event2/event_struct.h>
#include <libpq-fe.h>

#include "base/loop.h"
#include "ctl/rules/scenario_backend.h"

/* The part that all scenarios of a run share. */
struct scenario_server {
    PGconn *admin;  /* to the database of the conninfo; creates and drops the temporary one */
    PGconn *conn;   /* to the temporary database, as superuser */
    char name[64];  /* of the temporary database */
    char *conninfo; /* of the temporary database, for the writer, with the daemon's role */
};

struct scenario_daemon {
    struct scenario_database *database;
    uint8_t journal[16];
    const char *instance;
    uint64_t seq;    /* of its last alert */
    uint64_t stored; /* of its last alert in the database */
};

struct scenario_database {
    struct scenario_server *server;
    struct fixture *fixture;
    struct loop *loop;
    struct event tick; /* ends a turn of the loop */
    struct scenario_daemon daemons[DAEMONS];
    int64_t shift_us;          /* added to the scenario's times */
    int64_t *last_received_us; /* for each endpoint of the first configuration */
    struct buf view;           /* memory of the strings of the last view */
    struct alert_areas *areas;
};

/* Runs a statement with parameters in text format. PQclear() the result; NULL with err set. */
PGresult *server_query(PGconn *conn, const char *what, const char *sql, int n, const char *const *values,
                       struct err *err);
int server_run(PGconn *conn, const char *what, const char *sql, int n, const char *const *values, struct err *err);

/* Creates the database with the schema; drops it. */
int database_open_server(void **ret_server, const char *where, struct err *err);
void database_close_server(void *server);

/* Formats a time of the scenario for to_timestamp(); NULL for no time or infinity. */
const char *database_time(const struct scenario_database *d, int64_t us, char out[32]);

/* Removes everything of the previous scenario and writes the fixture. */
int database_set_up(struct scenario_database *d, struct err *err);

/* Shifts all times so that now_us is the server's present time. */
int database_set_now(struct scenario_database *d, int64_t now_us, struct err *err);

/* See struct backend_ops. */
int database_list_incidents(void *backend, uint64_t **ret_ids, size_t *ret_n, struct err *err);
int database_view_incident(void *backend, uint64_t id, struct incident_view *ret, struct err *err);

#endif
