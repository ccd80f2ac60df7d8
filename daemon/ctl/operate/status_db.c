/* The part of mobeyectl status that comes from the database. */
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "ctl/lib/ctl.h"
#include "ctl/lib/table.h"
#include "ctl/operate/status_db.h"

/* Each query returns one number. It is skipped if ctl_readable() does not find its relation. */
static const struct {
    size_t offset;
    const char *relation;
    const char *sql;
} numbers[] = {
    {offsetof(struct status_db, quarantined), "mobeye.quarantine", "select count(*) from mobeye.quarantine"},
    {offsetof(struct status_db, stored_age_s), "mobeye.journal_position",
     "select extract(epoch from now() - max(updated_at)) from mobeye.journal_position where instance = coalesce($1, "
     "instance) and position "
     "> 0"},
    {offsetof(struct status_db, silent), "mobeye.device_status",
     "select count(*) from mobeye.device_status where silent_since is not null"},
    {offsetof(struct status_db, muted), "mobeye.mute",
     "select count(*) from mobeye.mute where until > now() and ended_at is null"},
    {offsetof(struct status_db, rules_age_s), "mobeye.ruleset",
     "select extract(epoch from now() - max(applied_at)) from mobeye.ruleset"},
    {offsetof(struct status_db, last_change), "mobeye.counter",
     "select value from mobeye.counter where name = 'changes'"},
    {offsetof(struct status_db, alive_age_s), "mobeye.daemon",
     "select extract(epoch from now() - max(alive_at)) from mobeye.daemon where instance = coalesce($1, instance)"},
};

#define N_NUMBERS ARRAY_LEN(numbers)

static double *number_at(struct status_db *db, size_t i)
{
    void *at = (char *)db + numbers[i].offset;
    return at;
}

static double number_of(const PGresult *rows)
{
    bool one = PQresultStatus(rows) == PGRES_TUPLES_OK && PQntuples(rows) == 1 && !PQgetisnull(rows, 0, 0);
    return one ? strtod(PQgetvalue(rows, 0, 0), NULL) : NAN;
}

/* Then values are missing from the screen for another reason than missing rights: a table that somebody has locked,
 * say. A lost connection is reported on the screen. */
static void report_failure(struct status_db *ret, const PGconn *conn, const PGresult *rows, const char *relation)
{
    if (PQresultStatus(rows) == PGRES_TUPLES_OK || PQstatus(conn) != CONNECTION_OK)
        return;
    ret->failed = true;
    ctl_fail_sql("status", relation, rows);
}

/* Returns the number, or NAN; passes the instance to queries that contain $1. */
static double query_number(struct status_db *ret, PGconn *conn, const char *relation, const char *sql,
                           const char *instance)
{
    PGresult *rows = PQexecParams(conn, sql, strstr(sql, "$1") ? 1 : 0, NULL, &instance, NULL, NULL, 0);
    report_failure(ret, conn, rows, relation);
    double number = number_of(rows);
    PQclear(rows);
    return number;
}

/* NULL: they could not be read. */
static PGresult *query_what(struct status_db *ret, PGconn *conn, const char *what, const char *sql)
{
    PGresult *rows = PQexec(conn, sql);
    if (PQresultStatus(rows) == PGRES_TUPLES_OK)
        return rows;
    report_failure(ret, conn, rows, what);
    PQclear(rows);
    return NULL;
}

static PGresult *query_rows(struct status_db *ret, PGconn *conn, const char *relation, const char *sql)
{
    return ctl_readable(conn, relation) ? query_what(ret, conn, relation, sql) : NULL;
}

/* Skipped if this role may not call the function, so that the server logs no error. */
static void query_queue(struct status_db *ret, PGconn *conn)
{
    PGresult *rows = query_rows(ret, conn, "mobeye.counter",
                                "select has_function_privilege(p.oid, 'execute') from pg_proc p where p.oid = "
                                "to_regprocedure('mobeye.queue_state()')");
    bool callable = PQntuples(rows) == 1 && *PQgetvalue(rows, 0, 0) == 't';
    PQclear(rows);
    rows = callable ? query_what(ret, conn, "the queue",
                                 "select coalesce(sum(incidents), 0), coalesce(sum(overdue), 0), "
                                 "extract(epoch from now() - min(waiting_since)) from mobeye.queue_state()")
                    : NULL;
    if (rows) {
        ret->open = strtod(PQgetvalue(rows, 0, 0), NULL);
        ret->overdue = strtod(PQgetvalue(rows, 0, 1), NULL);
        ret->waiting_s = PQgetisnull(rows, 0, 2) ? NAN : strtod(PQgetvalue(rows, 0, 2), NULL);
    }
    PQclear(rows);
}

static void query_all(struct status_db *ret, PGconn *conn, const char *instance)
{
    for (size_t i = 0; i < N_NUMBERS; i++)
        if (ctl_readable(conn, numbers[i].relation))
            *number_at(ret, i) = query_number(ret, conn, numbers[i].relation, numbers[i].sql, instance);
    query_queue(ret, conn);
    ret->endpoints = query_rows(ret, conn, "mobeye.device_status",
                                "select endpoint, extract(epoch from now() - max(last_received_at)) "
                                "from mobeye.device_status group by endpoint");
    ret->jobs = query_rows(ret, conn, "mobeye.maintenance_state",
                           "select job, extract(epoch from now() - succeeded_at), error, late "
                           "from mobeye.maintenance_state order by job");
    ret->connected = PQstatus(conn) == CONNECTION_OK;
    ret->up = ret->connected && (ret->failed || !isnan(ret->quarantined));
    if (ret->up)
        return;
    if (ret->connected)
        buf_printf(&ret->why, "this role cannot read mobeye.quarantine (is the schema migrated? mobeyectl migrate)");
    else
        ctl_escape(&ret->why, (struct str){PQerrorMessage(conn), strcspn(PQerrorMessage(conn), "\n")}, false);
}

void status_db_query(struct status_db *ret, const char *verb, const struct conf *conf, const char *db)
{
    *ret = (struct status_db){.open = NAN, .overdue = NAN, .waiting_s = NAN};
    for (size_t i = 0; i < N_NUMBERS; i++)
        *number_at(ret, i) = NAN;
    PGconn *conn = conf || db ? ctl_try_connect(verb, conf, db, &ret->why) : NULL;
    ctl_wait_briefly(conn);
    if (conn)
        query_all(ret, conn, conf ? conf->instance : NULL);
    PQfinish(conn);
}

void status_db_clear(struct status_db *db)
{
    PQclear(db->endpoints);
    PQclear(db->jobs);
    buf_free(&db->why);
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
