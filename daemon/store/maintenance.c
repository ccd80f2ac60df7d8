#include "store/maintenance.h"

#include <event2/event_struct.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/identity.h"
#include "store/maintenance_jobs.h"
#include "store/pgconn.h"
#include "store/sqlstate.h"

#define SUBJECT "maintenance"

#define ROUND_US (20 * CLOCK_SECOND)

/* The database counts the silence of an endpoint from when it was told of it, which is after the daemon began to. */
#define SOON_US CLOCK_SECOND

/* An hourly job that failed is tried again by then. */
#define AGAIN_ROUNDS 15

/* Which daemon does what only one needs to do: held by the session, so that another takes over when it dies. */
#define LEAD_SQL "select pg_try_advisory_lock(1297039941, 4)"

enum maintenance_state {
    MAINTENANCE_DOWN,      /* no connection. -> PREPARING */
    MAINTENANCE_PREPARING, /* settings of the session. -> REPORTING */
    MAINTENANCE_WAITING,   /* until the next round. -> REPORTING */
    MAINTENANCE_REPORTING, /* the daemon says that it lives. -> READING */
    MAINTENANCE_READING,   /* how the jobs of all daemons last ended. -> LEADING */
    MAINTENANCE_LEADING,   /* is it this daemon that does the jobs? -> WORKING; no -> WAITING */
    MAINTENANCE_WORKING,   /* one job after the other, whether or not the last one failed. -> WORKING, NOTING */
    MAINTENANCE_NOTING,    /* how they ended. -> WAITING */
};

struct job_run {
    unsigned due;                /* the round in which it is done next */
    bool done;                   /* in this round, as error */
    char error[640];             /* empty: it succeeded */
    bool day_late;               /* no daemon did it for a day, as last read */
    struct rate_limiter limiter; /* until it succeeds */
};

struct maintenance {
    struct loop *loop;
    struct metrics *metrics;
    const struct conf *conf;
    struct maintenance_calls calls;
    void *ctx;
    struct pgconn *conn;
    char *conninfo, *instance; /* that the connection was made with */
    enum maintenance_state state;
    size_t job; /* index into maintenance_jobs and runs */
    struct job_run runs[MAINTENANCE_JOBS];
    unsigned round; /* since it leads */
    bool leading;
    bool soon;          /* another round is wanted at once */
    bool complained;    /* in this round, of what is no job */
    bool failed;        /* the statement on its way */
    struct fault fault; /* why */
    struct event timer;
    struct rate_limiter limiter;
    bool quiet;
};

static void append_literal(const struct maintenance *u, const char *text, struct buf *out)
{
    char *literal = PQescapeLiteral(pgconn_pq(u->conn), text, strlen(text));
    buf_printf(out, "%s", literal ? literal : "null");
    PQfreemem(literal);
}

static void append_time(int64_t wall_us, struct buf *out)
{
    if (wall_us == ALERT_NO_TIME)
        buf_printf(out, "null");
    else
        buf_printf(out, "to_timestamp(%" PRId64 ".%06d)", wall_us / CLOCK_SECOND, (int)(wall_us % CLOCK_SECOND));
}

static void append_endpoints(const struct maintenance *u, const struct maintenance_report *report, struct buf *out)
{
    buf_printf(out, "array[");
    for (size_t i = 0; i < report->n_endpoints; i++) {
        buf_printf(out, i ? ", " : "");
        append_literal(u, report->endpoints[i].name, out);
    }
    buf_printf(out, "]::text[], array[");
    for (size_t i = 0; i < report->n_endpoints; i++) {
        int64_t every_us = report->endpoints[i].expect_every_us;
        buf_printf(out, i ? ", " : "");
        if (every_us > 0)
            buf_printf(out, "interval '%" PRId64 " microseconds'", every_us);
        else
            buf_printf(out, "null");
    }
    buf_printf(out, "]::interval[], array[");
    for (size_t i = 0; i < report->n_endpoints; i++) {
        buf_printf(out, i ? ", " : "");
        append_time(report->endpoints[i].last_received_us, out);
    }
    buf_printf(out, "]::timestamptz[]");
}

static void report_in(struct maintenance *u)
{
    struct maintenance_report report = {0};
    struct buf sql = {0};
    char journal[IDENTITY_TEXT_SIZE];
    u->soon = false;
    u->complained = false;
    u->calls.report(u->ctx, &report);
    buf_printf(&sql, "select mobeye.report_in('%s', ", identity_text(report.journal_uuid, journal));
    append_literal(u, u->conf->instance, &sql);
    buf_printf(&sql, ", ");
    append_time(report.accepting_since_us, &sql);
    buf_printf(&sql, ", ");
    append_time(report.applied_until_us, &sql);
    buf_printf(&sql, ", ");
    append_endpoints(u, &report, &sql);
    buf_printf(&sql, ")");
    u->state = MAINTENANCE_REPORTING;
    pgconn_query(u->conn, sql.data);
    buf_free(&sql);
}

static void lead(struct maintenance *u)
{
    u->state = MAINTENANCE_LEADING;
    u->leading = false;
    pgconn_query(u->conn, LEAD_SQL);
}

static void round_over(struct maintenance *u)
{
    if (!u->complained)
        log_recover(&u->limiter, SUBJECT, "goes on");
    u->state = MAINTENANCE_WAITING;
    loop_arm(&u->timer, u->soon ? SOON_US : ROUND_US);
}

#define STATES_SQL "select job, coalesce(extract(epoch from succeeded_at), 0), day_late from mobeye."

static void read_states(struct maintenance *u)
{
    pgconn_reset_backoff(u->conn);
    u->state = MAINTENANCE_READING;
    pgconn_query(u->conn, STATES_SQL "maintenance_state");
}

/* As the arrays of mobeye.report_maintenance(). */
static void note_jobs(struct maintenance *u)
{
    struct buf jobs = {0}, every = {0}, errors = {0}, sql = {0};
    for (size_t i = 0; i < MAINTENANCE_JOBS; i++) {
        const char *comma = i ? ", " : "";
        buf_printf(&jobs, "%s'%s'", comma, maintenance_jobs[i].word);
        buf_printf(&every, "%sinterval '%" PRId64 " seconds'", comma,
                   maintenance_jobs[i].every * ROUND_US / CLOCK_SECOND);
        buf_printf(&errors, "%s", comma);
        if (u->runs[i].done)
            append_literal(u, u->runs[i].error, &errors);
        else
            buf_printf(&errors, "null");
    }
    buf_printf(&sql, STATES_SQL "report_maintenance(array[%.*s], array[%.*s], array[%.*s]::text[])", (int)jobs.len,
               jobs.data, (int)every.len, every.data, (int)errors.len, errors.data);
    u->state = MAINTENANCE_NOTING;
    pgconn_query(u->conn, sql.data);
    buf_free(&jobs);
    buf_free(&every);
    buf_free(&errors);
    buf_free(&sql);
}

static void begin_job(struct maintenance *u, size_t job)
{
    while (job < MAINTENANCE_JOBS && u->round < u->runs[job].due)
        job++;
    if (job == MAINTENANCE_JOBS) {
        u->round++;
        note_jobs(u);
        return;
    }
    struct buf sql = {0};
    u->job = job;
    u->state = MAINTENANCE_WORKING;
    maintenance_jobs[job].append(maintenance_jobs[job].sql, u->conf, &sql);
    pgconn_query(u->conn, sql.data);
    buf_free(&sql);
}

static void begin_jobs(struct maintenance *u)
{
    for (size_t i = 0; i < MAINTENANCE_JOBS; i++) {
        u->runs[i].done = false;
        u->runs[i].error[0] = '\0';
    }
    begin_job(u, 0);
}

/* The schema may be another program's or not be there yet: the writer tells of that, and waits as well. */
static void complain(struct maintenance *u, const PGresult *result)
{
    fault_read(&u->fault, result);
    u->failed = true;
    if (u->state == MAINTENANCE_WORKING)
        snprintf(u->runs[u->job].error, sizeof(u->runs[u->job].error), "%s (SQLSTATE %s)", u->fault.text,
                 u->fault.sqlstate);
    else
        u->complained = true;
    if (u->complained && !u->quiet)
        log_limited(&u->limiter, loop_mono_us(u->loop), LOG_LEVEL_WARNING, SUBJECT, "reporting: %s (SQLSTATE %s)",
                    u->fault.text, u->fault.sqlstate);
}

static void tell_devices(struct maintenance *u, const PGresult *result)
{
    for (int i = 0; i < PQntuples(result); i++)
        u->calls.silent(u->ctx, (struct str){PQgetvalue(result, i, 0), (size_t)PQgetlength(result, i, 0)});
}

static void take_job(struct maintenance *u, const PGresult *result)
{
    struct job_run *run = &u->runs[u->job];
    struct buf why = {0};
    if (maintenance_jobs[u->job].rows == MAINTENANCE_ROWS_SILENT)
        tell_devices(u, result);
    else if (maintenance_rows_fail(&maintenance_jobs[u->job], result, &why))
        snprintf(run->error, sizeof(run->error), "%.*s", (int)why.len, why.data);
    buf_free(&why);
}

static void job_over(struct maintenance *u)
{
    const struct maintenance_job *job = &maintenance_jobs[u->job];
    struct job_run *run = &u->runs[u->job];
    run->done = true;
    run->due = u->round + job->every;
    if (run->error[0] == '\0') {
        log_recover(&run->limiter, SUBJECT, "%s: succeeded again", job->word);
        return;
    }
    if (job->every > AGAIN_ROUNDS)
        run->due = u->round + AGAIN_ROUNDS;
    u->metrics->maintenance_failures_total[u->job]++;
    bool overdue = job->rows == MAINTENANCE_ROWS_OVERDUE || run->day_late;
    log_limited(&run->limiter, loop_mono_us(u->loop), overdue ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING, SUBJECT,
                "%s: %s%s", job->word, run->error, run->day_late ? "; it has not succeeded for a day" : "");
}

static void take_states(struct maintenance *u, const PGresult *result)
{
    for (int row = 0; row < PQntuples(result); row++)
        for (size_t i = 0; i < MAINTENANCE_JOBS; i++)
            if (strcmp(PQgetvalue(result, row, 0), maintenance_jobs[i].word) == 0) {
                u->metrics->maintenance_last_success_timestamp_seconds[i] = strtod(PQgetvalue(result, row, 1), NULL);
                u->runs[i].day_late = PQgetvalue(result, row, 2)[0] == 't';
            }
}

static void take(struct maintenance *u, const PGresult *result)
{
    if (PQresultStatus(result) == PGRES_FATAL_ERROR)
        complain(u, result);
    else if (u->state == MAINTENANCE_LEADING && PQntuples(result) == 1)
        u->leading = PQgetvalue(result, 0, 0)[0] == 't';
    else if (u->state == MAINTENANCE_WORKING)
        take_job(u, result);
    else if (u->state == MAINTENANCE_READING || u->state == MAINTENANCE_NOTING)
        take_states(u, result);
}

/* A statement that failed is no reason not to try the next, but the report is, which needs no more than the schema. */
static void over(struct maintenance *u)
{
    bool failed = u->failed;
    u->failed = false;
    if (u->state == MAINTENANCE_WORKING)
        job_over(u);
    if (failed && u->fault.class == SQLSTATE_RECONNECT) /* it follows another server, which is looked for */
        pgconn_drop(u->conn, u->fault.text);
    else if (u->state == MAINTENANCE_PREPARING)
        report_in(u);
    else if (u->state == MAINTENANCE_REPORTING && !failed)
        read_states(u);
    else if (u->state == MAINTENANCE_READING)
        lead(u);
    else if (u->state == MAINTENANCE_LEADING && u->leading)
        begin_jobs(u);
    else if (u->state == MAINTENANCE_WORKING)
        begin_job(u, u->job + 1);
    else
        round_over(u);
}

static void result_cb(void *ctx, PGresult *result)
{
    struct maintenance *u = ctx;
    if (result)
        take(u, result);
    else
        over(u);
}

static void up_cb(void *ctx)
{
    struct maintenance *u = ctx;
    u->state = MAINTENANCE_PREPARING;
    u->failed = false;
    pgconn_query(u->conn, "set client_min_messages = warning; set timezone = 'UTC'; set lock_timeout = '5s'; "
                          "set idle_in_transaction_session_timeout = 0");
}

static void down_cb(void *ctx, const char *why)
{
    (void)why;
    struct maintenance *u = ctx;
    u->state = MAINTENANCE_DOWN;
    evtimer_del(&u->timer);
}

static void waiting_cb(void *ctx, const char *text)
{
    (void)ctx, (void)text;
}

static void timer_cb(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    report_in(arg);
}

static void configure(struct maintenance *u)
{
    struct buf name = {0};
    char *conninfo = mem_strdup(u->conf->database.conninfo), *instance = mem_strdup(u->conf->instance);
    free(u->conninfo);
    free(u->instance);
    u->conninfo = conninfo;
    u->instance = instance;
    buf_printf(&name, "mobeyed %s maintenance", instance);
    pgconn_configure(u->conn, conninfo, name.data);
    buf_free(&name);
}

void maintenance_run_soon(struct maintenance *u)
{
    u->soon = true;
    if (u->state == MAINTENANCE_WAITING)
        loop_arm(&u->timer, SOON_US);
}

void maintenance_suppress_log(struct maintenance *u, bool quiet)
{
    u->quiet = quiet;
    pgconn_suppress_log(u->conn, quiet);
}

struct maintenance *maintenance_new(struct loop *loop, struct metrics *metrics, const struct conf *conf,
                                    const struct maintenance_calls *calls, void *ctx)
{
    static const struct pgconn_calls conn_calls = {
        .up = up_cb, .down = down_cb, .waiting = waiting_cb, .result = result_cb};
    struct maintenance *u = mem_zalloc(sizeof(*u));
    u->loop = loop;
    u->metrics = metrics;
    u->conf = conf;
    u->calls = *calls;
    u->ctx = ctx;
    evtimer_assign(&u->timer, loop_base(loop), timer_cb, u);
    u->conn = pgconn_new(loop, &conn_calls, u);
    pgconn_set_log_texts(u->conn, SUBJECT, "silence and retention are not looked after");
    maintenance_suppress_log(u, true);
    configure(u);
    pgconn_start(u->conn);
    return u;
}

void maintenance_free(struct maintenance **maintenance)
{
    struct maintenance *u = *maintenance;
    if (!u)
        return;
    pgconn_free(&u->conn);
    event_del(&u->timer);
    free(u->conninfo);
    free(u->instance);
    free(u);
    *maintenance = NULL;
}

void maintenance_reload(struct maintenance *u, const struct conf *conf)
{
    u->conf = conf;
    if (strcmp(u->conninfo, conf->database.conninfo) == 0 && strcmp(u->instance, conf->instance) == 0)
        return;
    u->state = MAINTENANCE_DOWN;
    evtimer_del(&u->timer);
    configure(u);
}
