#include "store/maintenance.h"

#include <event2/event_struct.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/transition.h"
#include "store/identity.h"
#include "store/maintenance_jobs.h"
#include "store/session.h"

#define SUBJECT "maintenance"

#define CYCLE_US (20 * CLOCK_SECOND)

/* The database measures the silence of an endpoint from its first report, which is later than the daemon does. */
#define RUN_SOON_US CLOCK_SECOND

/* An hourly job that failed is retried after this many cycles. */
#define RETRY_CYCLES 15

/* The daemon whose session leads does the jobs. Another daemon takes over when that session ends. */
#define LEAD_SQL "select mobeye.is_led(); select mobeye.try_to_lead()"

/* From every state a lost connection leads to DOWN. */
enum maintenance_state {
    MAINTENANCE_DOWN,      /* no connection. -> REPORTING */
    MAINTENANCE_WAITING,   /* until the next cycle. -> REPORTING */
    MAINTENANCE_REPORTING, /* the daemon reports that it is alive. -> READING; failed -> WAITING */
    MAINTENANCE_READING,   /* how the jobs of all daemons last ended. -> LEADING */
    MAINTENANCE_LEADING,   /* does this daemon do the jobs? -> CHOSEN; another does -> WAITING */
    MAINTENANCE_CHOSEN,    /* it does. -> WORKING, NOTING */
    MAINTENANCE_WORKING,   /* one job after the other, whether or not the last one failed. -> WORKING, NOTING */
    MAINTENANCE_NOTING,    /* how they ended is stored. -> WAITING */
};

#define TO(state) STATE_BIT(MAINTENANCE_##state)

static const struct machine_state states[] = {
    [MAINTENANCE_DOWN] = {"down", TO(DOWN) | TO(REPORTING)},
    [MAINTENANCE_WAITING] = {"waiting", TO(REPORTING) | TO(DOWN)},
    [MAINTENANCE_REPORTING] = {"reporting", TO(READING) | TO(WAITING) | TO(DOWN)},
    [MAINTENANCE_READING] = {"reading", TO(LEADING) | TO(DOWN)},
    [MAINTENANCE_LEADING] = {"leading", TO(CHOSEN) | TO(WAITING) | TO(DOWN)},
    [MAINTENANCE_CHOSEN] = {"chosen", TO(WORKING) | TO(NOTING) | TO(DOWN)},
    [MAINTENANCE_WORKING] = {"working", TO(WORKING) | TO(NOTING) | TO(DOWN)},
    [MAINTENANCE_NOTING] = {"noting", TO(WAITING) | TO(DOWN)},
};

struct maintenance_run {
    unsigned due;                /* the cycle in which it is done next */
    bool done;                   /* in this cycle, as error */
    char error[640];             /* empty: it succeeded */
    bool clocks_differ;          /* that is the error, which all jobs that erase have in common */
    bool day_late;               /* no daemon has done it for a day, as last read */
    struct rate_limiter limiter; /* until it succeeds */
};

struct maintenance {
    struct loop *loop;
    struct metrics *metrics;
    const struct conf *conf;
    struct maintenance_calls calls;
    void *ctx;
    struct session *session;
    enum maintenance_state state;
    size_t job; /* index into maintenance_jobs and runs */
    struct maintenance_run runs[MAINTENANCE_JOBS];
    unsigned cycle;     /* since it leads */
    bool run_soon;      /* another cycle must follow at once */
    bool report_failed; /* in this cycle */
    struct event timer;
    struct rate_limiter limiter;
    bool log_suppressed;
    bool led; /* by any daemon, as last read */
    struct rate_limiter lead_limiter, clock_limiter;
    int64_t waiting_since_us; /* of the incident in the queue that has waited longest; ALERT_NO_TIME: none waits */
};

/* The one place where the state changes. */
static void set_state(struct maintenance *m, enum maintenance_state state, const char *reason)
{
    transition_check(states, m->state, state, SUBJECT, "", reason);
    m->state = state;
}

static void append_time(int64_t wall_us, struct buf *out)
{
    if (wall_us == ALERT_NO_TIME)
        buf_printf(out, "null");
    else
        buf_printf(out, "to_timestamp(%" PRId64 ".%06d)", wall_us / CLOCK_SECOND, (int)(wall_us % CLOCK_SECOND));
}

static void append_endpoints(const struct maintenance *m, const struct maintenance_report *report, struct buf *out)
{
    buf_printf(out, "array[");
    for (size_t i = 0; i < report->n_endpoints; i++) {
        buf_printf(out, i ? ", " : "");
        session_append_literal(m->session, report->endpoints[i].name, out);
    }
    buf_printf(out, "]::text[], array[");
    for (size_t i = 0; i < report->n_endpoints; i++) {
        int64_t every_us = report->endpoints[i].expect_every_us;
        buf_printf(out, i ? ", " : "");
        session_append_interval(every_us > 0 ? every_us : INT64_MAX, out);
    }
    buf_printf(out, "]::interval[], array[");
    for (size_t i = 0; i < report->n_endpoints; i++) {
        buf_printf(out, i ? ", " : "");
        append_time(report->endpoints[i].last_received_us, out);
    }
    buf_printf(out, "]::timestamptz[]");
}

static void send_report(struct maintenance *m)
{
    struct maintenance_report report = {0};
    struct buf sql = {0};
    char journal[IDENTITY_TEXT_SIZE];
    m->run_soon = false;
    m->report_failed = false;
    m->calls.on_report(m->ctx, &report);
    buf_printf(&sql, "select mobeye.report_daemon('%s', ", identity_text(report.journal_uuid, journal));
    session_append_literal(m->session, m->conf->instance, &sql);
    buf_printf(&sql, ", ");
    append_time(report.accepting_since_us, &sql);
    buf_printf(&sql, ", ");
    append_time(report.applied_until_us, &sql);
    buf_printf(&sql, ", ");
    append_endpoints(m, &report, &sql);
    buf_printf(&sql, ", ");
    session_append_interval(report.unverified_us, &sql);
    buf_printf(&sql, ")");
    set_state(m, MAINTENANCE_REPORTING, "a cycle begins");
    session_send(m->session, sql.data);
    buf_free(&sql);
}

static void try_to_lead(struct maintenance *m)
{
    m->led = false;
    set_state(m, MAINTENANCE_LEADING, "the states of the jobs are read");
    session_send(m->session, LEAD_SQL);
}

static void end_cycle(struct maintenance *m)
{
    if (!m->report_failed)
        log_recover(&m->limiter, SUBJECT, "reports are stored again");
    set_state(m, MAINTENANCE_WAITING, "the cycle is over");
    loop_arm(&m->timer, m->run_soon ? RUN_SOON_US : CYCLE_US);
}

/* Read along with the states: the queue, by priority. */
#define QUEUE_SQL                                                                                                      \
    "; select priority, incidents, overdue, extract(epoch from waiting_since) * 1000000 from mobeye.queue_state()"

#define STATES_SQL "select job, coalesce(extract(epoch from succeeded_at), 0), day_late from mobeye."

static void read_states(struct maintenance *m)
{
    session_reset_backoff(m->session);
    set_state(m, MAINTENANCE_READING, "reported");
    session_send(m->session, STATES_SQL "maintenance_state" QUEUE_SQL);
}

/* As the arrays of mobeye.report_maintenance(). */
static void report_jobs(struct maintenance *m)
{
    struct buf jobs = {0}, every = {0}, errors = {0}, sql = {0};
    for (size_t i = 0; i < MAINTENANCE_JOBS; i++) {
        const char *comma = i ? ", " : "";
        buf_printf(&jobs, "%s'%s'", comma, maintenance_jobs[i].word);
        buf_printf(&every, "%sinterval '%" PRId64 " seconds'", comma,
                   maintenance_jobs[i].every * CYCLE_US / CLOCK_SECOND);
        buf_printf(&errors, "%s", comma);
        if (m->runs[i].done)
            session_append_literal(m->session, m->runs[i].error, &errors);
        else
            buf_printf(&errors, "null");
    }
    buf_printf(&sql, STATES_SQL "report_maintenance(array[%.*s], array[%.*s], array[%.*s]::text[])" QUEUE_SQL,
               (int)jobs.len, jobs.data, (int)every.len, every.data, (int)errors.len, errors.data);
    set_state(m, MAINTENANCE_NOTING, "all that are due are done");
    session_send(m->session, sql.data);
    buf_free(&jobs);
    buf_free(&every);
    buf_free(&errors);
    buf_free(&sql);
}

static void start_job(struct maintenance *m, size_t job)
{
    while (job < MAINTENANCE_JOBS && m->cycle < m->runs[job].due)
        job++;
    if (job == MAINTENANCE_JOBS) {
        m->cycle++;
        report_jobs(m);
        return;
    }
    struct buf sql = {0};
    m->job = job;
    set_state(m, MAINTENANCE_WORKING, maintenance_jobs[job].word);
    maintenance_job_append(&maintenance_jobs[job], m->conf, loop_wall_us(m->loop), &sql);
    session_send(m->session, sql.data);
    buf_free(&sql);
}

static void start_jobs(struct maintenance *m)
{
    for (size_t i = 0; i < MAINTENANCE_JOBS; i++) {
        m->runs[i].done = false;
        m->runs[i].error[0] = '\0';
        m->runs[i].clocks_differ = false;
    }
    start_job(m, 0);
}

/* The schema may belong to another program or not exist yet: the writer logs that, and waits as well. */
static void note_failure(struct maintenance *m, const struct fault *fault)
{
    if (m->state == MAINTENANCE_WORKING) {
        snprintf(m->runs[m->job].error, sizeof(m->runs[m->job].error), "%s (SQLSTATE %s)", fault->text,
                 fault->sqlstate);
        m->runs[m->job].clocks_differ = strcmp(fault->sqlstate, MAINTENANCE_CLOCKS) == 0;
        return;
    }
    m->report_failed = true;
    if (!m->log_suppressed)
        log_limited(&m->limiter, loop_mono_us(m->loop), LOG_LEVEL_WARNING, SUBJECT, "report failed: %s (SQLSTATE %s)",
                    fault->text, fault->sqlstate);
}

static void report_silent(struct maintenance *m, const PGresult *result)
{
    for (int i = 0; i < PQntuples(result); i++)
        m->calls.on_silent(m->ctx, (struct str){PQgetvalue(result, i, 0), (size_t)PQgetlength(result, i, 0)});
}

static void on_job_result(struct maintenance *m, const PGresult *result)
{
    struct maintenance_run *run = &m->runs[m->job];
    struct buf why = {0};
    if (maintenance_jobs[m->job].rows == MAINTENANCE_ROWS_SILENT)
        report_silent(m, result);
    else if (maintenance_rows_fail(&maintenance_jobs[m->job], result, &why)) {
        snprintf(run->error, sizeof(run->error), "%.*s", (int)why.len, why.data);
        fault_cut_text(run->error, sizeof(run->error));
    }
    buf_free(&why);
}

static void on_job_end(struct maintenance *m)
{
    const struct maintenance_job *job = &maintenance_jobs[m->job];
    struct maintenance_run *run = &m->runs[m->job];
    run->done = true;
    run->due = m->cycle + job->every;
    if (run->error[0] == '\0') {
        log_recover(&run->limiter, SUBJECT, "%s: succeeded again", job->word);
        if (job->rows == MAINTENANCE_ROWS_ERASED)
            log_recover(&m->clock_limiter, SUBJECT, "the clocks agree again: what is past its retention is erased");
        return;
    }
    if (job->every > RETRY_CYCLES)
        run->due = m->cycle + RETRY_CYCLES;
    m->metrics->maintenance_failures_total[m->job]++;
    if (run->clocks_differ) {
        log_limited(&m->clock_limiter, loop_mono_us(m->loop), LOG_LEVEL_ERROR, SUBJECT, "%s", run->error);
        return;
    }
    bool overdue = job->rows == MAINTENANCE_ROWS_OVERDUE || run->day_late;
    log_limited(&run->limiter, loop_mono_us(m->loop), overdue ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING, SUBJECT,
                "%s: %s%s", job->word, run->error, run->day_late ? "; it has not succeeded for a day" : "");
}

static void on_states(struct maintenance *m, const PGresult *result)
{
    for (int row = 0; row < PQntuples(result); row++)
        for (size_t i = 0; i < MAINTENANCE_JOBS; i++)
            if (strcmp(PQgetvalue(result, row, 0), maintenance_jobs[i].word) == 0) {
                m->metrics->maintenance_last_success_timestamp_seconds[i] = strtod(PQgetvalue(result, row, 1), NULL);
                m->runs[i].day_late = PQgetvalue(result, row, 2)[0] == 't';
            }
}

static void on_queue(struct maintenance *m, const PGresult *result)
{
    m->waiting_since_us = ALERT_NO_TIME;
    m->metrics->queue_overdue = 0;
    memset(m->metrics->queue_open, 0, sizeof(m->metrics->queue_open));
    for (int row = 0; row < PQntuples(result); row++) {
        int priority = atoi(PQgetvalue(result, row, 0));
        int64_t since_us = strtoll(PQgetvalue(result, row, 3), NULL, 10);
        if (priority >= 1 && priority <= METRICS_PRIORITIES)
            m->metrics->queue_open[priority - 1] = strtod(PQgetvalue(result, row, 1), NULL);
        m->metrics->queue_overdue += strtod(PQgetvalue(result, row, 2), NULL);
        if (!PQgetisnull(result, row, 3) && (m->waiting_since_us == ALERT_NO_TIME || since_us < m->waiting_since_us))
            m->waiting_since_us = since_us;
    }
}

static void on_leading_result(struct maintenance *m, const PGresult *result)
{
    if (PQntuples(result) != 1)
        return;
    bool yes = PQgetvalue(result, 0, 0)[0] == 't';
    if (strcmp(PQfname(result, 0), "is_led") == 0)
        m->led = yes;
    else if (yes)
        set_state(m, MAINTENANCE_CHOSEN, "leading");
}

static void on_leading_end(struct maintenance *m)
{
    if (m->state == MAINTENANCE_CHOSEN || m->led)
        log_recover(&m->lead_limiter, SUBJECT, "maintenance is running again");
    else if (!m->log_suppressed)
        log_limited(&m->lead_limiter, loop_mono_us(m->loop), LOG_LEVEL_WARNING, SUBJECT,
                    "no daemon has run maintenance for 5 minutes (mobeye.leader names the session that holds the lead, "
                    "which may hang)");
}

static void on_result(void *ctx, PGresult *result)
{
    struct maintenance *m = ctx;
    if (m->state == MAINTENANCE_LEADING)
        on_leading_result(m, result);
    else if (m->state == MAINTENANCE_WORKING)
        on_job_result(m, result);
    else if (m->state == MAINTENANCE_READING || m->state == MAINTENANCE_NOTING) {
        bool queue = PQnfields(result) > 0 && strcmp(PQfname(result, 0), "priority") == 0;
        (queue ? on_queue : on_states)(m, result);
    }
}

/* A failed statement does not keep the next from being tried. A failed report ends the cycle: it needs only the schema.
 */
static void on_end(void *ctx, const struct fault *fault)
{
    struct maintenance *m = ctx;
    if (fault)
        note_failure(m, fault);
    if (m->state == MAINTENANCE_WORKING)
        on_job_end(m);
    else if (m->state == MAINTENANCE_LEADING || m->state == MAINTENANCE_CHOSEN)
        on_leading_end(m);
    if (fault && fault->class == SQLSTATE_RECONNECT) /* it is a standby: another server is looked for */
        session_drop(m->session, fault->text);
    else if (m->state == MAINTENANCE_REPORTING && !fault)
        read_states(m);
    else if (m->state == MAINTENANCE_READING)
        try_to_lead(m);
    else if (m->state == MAINTENANCE_CHOSEN)
        start_jobs(m);
    else if (m->state == MAINTENANCE_WORKING)
        start_job(m, m->job + 1);
    else
        end_cycle(m);
}

static void on_ready(void *ctx)
{
    send_report(ctx);
}

static void on_lost(void *ctx, const char *reason)
{
    struct maintenance *m = ctx;
    set_state(m, MAINTENANCE_DOWN, reason);
    evtimer_del(&m->timer);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    send_report(arg);
}

/* A job must not wait long for a lock: it is tried again in a later cycle. */
static const struct session_kind kind = {
    .name = "maintenance",
    .subject = SUBJECT,
    .meanwhile = "nothing is found silent, and nothing is erased",
    .settings = "; set lock_timeout = '5s'",
};

void maintenance_run_soon(struct maintenance *m)
{
    m->run_soon = true;
    if (m->state == MAINTENANCE_WAITING)
        loop_arm(&m->timer, RUN_SOON_US);
}

void maintenance_gauges(struct maintenance *m)
{
    int64_t waits_us = m->waiting_since_us == ALERT_NO_TIME ? 0 : loop_wall_us(m->loop) - m->waiting_since_us;
    m->metrics->queue_oldest_seconds = waits_us > 0 ? (double)waits_us / 1e6 : 0;
}

void maintenance_suppress_log(struct maintenance *m, bool suppress)
{
    m->log_suppressed = suppress;
    session_suppress_log(m->session, suppress);
}

struct maintenance *maintenance_new(struct loop *loop, struct metrics *metrics, const struct conf *conf,
                                    const struct maintenance_calls *calls, void *ctx)
{
    static const struct session_calls session_calls = {
        .on_ready = on_ready, .on_lost = on_lost, .on_result = on_result, .on_end = on_end};
    struct maintenance *m = mem_zalloc(sizeof(*m));
    m->loop = loop;
    m->metrics = metrics;
    m->conf = conf;
    m->calls = *calls;
    m->ctx = ctx;
    m->waiting_since_us = ALERT_NO_TIME;
    evtimer_assign(&m->timer, loop_base(loop), on_timer, m);
    m->session = session_new(loop, &kind, conf->database.conninfo, conf->instance, &session_calls, m);
    maintenance_suppress_log(m, true);
    session_start(m->session);
    return m;
}

void maintenance_free(struct maintenance **maintenance)
{
    struct maintenance *m = *maintenance;
    if (!m)
        return;
    session_free(&m->session);
    event_del(&m->timer);
    free(m);
    *maintenance = NULL;
}

void maintenance_reload(struct maintenance *m, const struct conf *conf)
{
    m->conf = conf;
    if (!session_configure(m->session, conf->database.conninfo, conf->instance))
        return;
    set_state(m, MAINTENANCE_DOWN, "the configuration changed");
    evtimer_del(&m->timer);
}
