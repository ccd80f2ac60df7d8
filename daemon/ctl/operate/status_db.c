/* The figures of mobeyectl status that the database has. */
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/lib/ctl.h"
#include "ctl/operate/status_db.h"

/* Each a number of one row. What ctl_readable() does not find is not asked for. */
static const struct {
    size_t offset;
    const char *relation;
    const char *sql;
} incident_stats[] = {
    {offsetof(struct status_db, quarantined), "mobeye.quarantine", "select count(*) from mobeye.quarantine"},
    {offsetof(struct status_db, stored_age_s), "mobeye.journal_position",
     "select extract(epoch from now() - max(updated_at)) from mobeye.journal_position where instance = $1 and position "
     "> 0"},
    {offsetof(struct status_db, silent), "mobeye.device_status",
     "select count(*) from mobeye.device_status where silent_since is not null"},
    {offsetof(struct status_db, muted), "mobeye.mute",
     "select count(*) from mobeye.mute where until > now() and ended_at is null"},
    {offsetof(struct status_db, rules_age_s), "mobeye.ruleset",
     "select extract(epoch from now() - max(applied_at)) from mobeye.ruleset"},
};

#define N_INCIDENT_STATS (sizeof(incident_stats) / sizeof(incident_stats[0]))

static double *incident_stat(struct status_db *db, size_t i)
{
    return (double *)((char *)db + incident_stats[i].offset);
}

static double number_of(const PGresult *rows)
{
    bool one = PQresultStatus(rows) == PGRES_TUPLES_OK && PQntuples(rows) == 1 && !PQgetisnull(rows, 0, 0);
    return one ? strtod(PQgetvalue(rows, 0, 0), NULL) : NAN;
}

/* The figure, or NAN; $1 is given to those that want it. */
static double ask(PGconn *conn, const char *sql, const char *instance)
{
    PGresult *rows = PQexecParams(conn, sql, strstr(sql, "$1") ? 1 : 0, NULL, &instance, NULL, NULL, 0);
    double number = number_of(rows);
    PQclear(rows);
    return number;
}

static PGresult *ask_rows(PGconn *conn, const char *relation, const char *sql)
{
    if (!ctl_readable(conn, relation))
        return NULL;
    PGresult *rows = PQexec(conn, sql);
    if (PQresultStatus(rows) == PGRES_TUPLES_OK)
        return rows;
    PQclear(rows);
    return NULL;
}

void status_db_ask(struct status_db *ret, PGconn *conn, const char *verb, const char *instance)
{
    *ret = (struct status_db){0};
    for (size_t i = 0; i < N_INCIDENT_STATS; i++)
        *incident_stat(ret, i) = NAN;
    if (!conn)
        return;
    for (size_t i = 0; i < N_INCIDENT_STATS; i++)
        if (ctl_readable(conn, incident_stats[i].relation))
            *incident_stat(ret, i) = ask(conn, incident_stats[i].sql, instance);
    ret->endpoints = ask_rows(conn, "mobeye.device_status",
                              "select endpoint, extract(epoch from now() - max(last_received_at)) "
                              "from mobeye.device_status group by endpoint");
    ret->jobs = ask_rows(conn, "mobeye.maintenance_state",
                         "select job, extract(epoch from now() - succeeded_at), error, late "
                         "from mobeye.maintenance_state order by job");
    ret->up = PQstatus(conn) == CONNECTION_OK && !isnan(ret->quarantined);
    if (!ret->up)
        ctl_fail(verb, "the database has no answer: %s",
                 PQstatus(conn) == CONNECTION_OK ? "there is no mobeye.quarantine for this role (mobeyectl migrate)"
                                                 : PQerrorMessage(conn));
}

void status_db_clear(struct status_db *db)
{
    PQclear(db->endpoints);
    PQclear(db->jobs);
    db->endpoints = db->jobs = NULL;
}

double status_db_last(const struct status_db *db, struct str endpoint)
{
    for (int i = 0; i < PQntuples(db->endpoints); i++)
        if (str_eq(str_from(PQgetvalue(db->endpoints, i, 0)), endpoint))
            return strtod(PQgetvalue(db->endpoints, i, 1), NULL);
    return NAN;
}

bool status_job_good(const PGresult *jobs, int row)
{
    return PQgetisnull(jobs, row, 2) && PQgetvalue(jobs, row, 3)[0] == 'f';
}
