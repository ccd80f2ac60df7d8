#include "store/upkeep.h"

#include <event2/event_struct.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/identity.h"
#include "store/pgconn.h"
#include "store/sqlstate.h"

#define SUBJECT "upkeep"

#define ROUND_US CLOCK_MINUTE

/* Which daemon does what only one needs to do: held by the session, so that another takes over when it dies. */
#define LEAD_SQL "select pg_try_advisory_lock(1297039941, 4)"

enum upkeep_state {
    UPKEEP_DOWN,      /* no connection. -> PREPARING */
    UPKEEP_PREPARING, /* settings of the session. -> REPORTING */
    UPKEEP_WAITING,   /* until the next round. -> REPORTING */
    UPKEEP_REPORTING, /* the daemon says that it lives. -> LEADING */
    UPKEEP_LEADING,   /* is it this daemon that does the duties? -> DUTY; no -> WAITING */
    UPKEEP_DUTY,      /* one after the other, whether or not the last one failed. -> DUTY, WAITING */
};

struct upkeep {
    struct loop *loop;
    const struct conf *conf;
    struct upkeep_calls calls;
    void *ctx;
    struct pgconn *conn;
    char *conninfo, *instance; /* that the connection was made with */
    enum upkeep_state state;
    size_t duty;    /* index into duties */
    unsigned round; /* since it leads */
    bool leading;
    bool failed;        /* the statement on its way */
    struct fault fault; /* why */
    struct event timer;
    struct complaint complaint;
    bool quiet;
};

static void append_plain(const struct upkeep *u, const char *sql, struct buf *out)
{
    (void)u;
    buf_printf(out, "%s", sql);
}

static void append_retention(const struct upkeep *u, const char *sql, struct buf *out)
{
    const int64_t keep_us[] = {u->conf->retention.class_us[CLASS_CAMERA], u->conf->retention.class_us[CLASS_ALARM],
                               u->conf->retention.class_us[CLASS_SERVICE], u->conf->retention.incident_us};
    buf_printf(out, "%s(", sql);
    for (size_t i = 0; i < sizeof(keep_us) / sizeof(keep_us[0]); i++)
        buf_printf(out, "%sinterval '%" PRId64 " microseconds'", i ? ", " : "", keep_us[i]);
    buf_printf(out, ")");
}

static void append_tidy(const struct upkeep *u, const char *sql, struct buf *out)
{
    buf_printf(out, "%s(interval '%" PRId64 " microseconds')", sql, u->conf->retention.class_us[CLASS_ALARM]);
}

static const struct {
    const char *name; /* as a complaint says it */
    const char *sql;
    void (*append)(const struct upkeep *u, const char *sql, struct buf *out);
    unsigned every;     /* rounds */
    bool tells_devices; /* its rows are devices that were found silent */
} duties[] = {
    {"states of devices", "select mobeye.refresh_states()", append_plain, 1, false},
    {"endpoints that went silent", "select mobeye.watch_endpoints()", append_plain, 1, false},
    {"devices that went silent", "select mobeye.watch_devices()", append_plain, 1, true},
    {"overdue incidents", "select mobeye.mark_overdue()", append_plain, 1, false},
    {"unattended incidents", "select mobeye.close_unattended()", append_plain, 1, false},
    {"mutes that ended", "select mobeye.end_mutes()", append_plain, 1, false},
    {"retention", "select mobeye.apply_retention", append_retention, 60, false},
    {"what is of no use any more", "select mobeye.tidy", append_tidy, 60, false},
};

#define N_DUTIES (sizeof(duties) / sizeof(duties[0]))

static void append_literal(const struct upkeep *u, const char *text, struct buf *out)
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

static void append_endpoints(const struct upkeep *u, const struct upkeep_report *report, struct buf *out)
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

static void report_in(struct upkeep *u)
{
    struct upkeep_report report = {0};
    struct buf sql = {0};
    char journal[IDENTITY_TEXT_SIZE];
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
    u->state = UPKEEP_REPORTING;
    pgconn_query(u->conn, sql.data);
    buf_free(&sql);
}

static void lead(struct upkeep *u)
{
    u->state = UPKEEP_LEADING;
    u->leading = false;
    pgconn_query(u->conn, LEAD_SQL);
}

static void rest(struct upkeep *u)
{
    u->state = UPKEEP_WAITING;
    loop_arm(&u->timer, ROUND_US);
}

static void begin_duty(struct upkeep *u, size_t duty)
{
    while (duty < N_DUTIES && u->round % duties[duty].every != 0)
        duty++;
    if (duty == N_DUTIES) {
        u->round++;
        rest(u);
        return;
    }
    struct buf sql = {0};
    u->duty = duty;
    u->state = UPKEEP_DUTY;
    duties[duty].append(u, duties[duty].sql, &sql);
    pgconn_query(u->conn, sql.data);
    buf_free(&sql);
}

static const char *doing(const struct upkeep *u)
{
    return u->state == UPKEEP_DUTY ? duties[u->duty].name : "reporting";
}

/* The schema may be another program's or not be there yet: the writer tells of that, and waits as well. */
static void complain(struct upkeep *u, const PGresult *result)
{
    fault_read(&u->fault, result);
    u->failed = true;
    if (!u->quiet)
        log_complain(&u->complaint, loop_mono_us(u->loop), LOG_LEVEL_WARNING, SUBJECT, "%s: %s (SQLSTATE %s)", doing(u),
                     u->fault.text, u->fault.sqlstate);
}

static void tell_devices(struct upkeep *u, const PGresult *result)
{
    for (int i = 0; i < PQntuples(result); i++)
        u->calls.silent(u->ctx, (struct str){PQgetvalue(result, i, 0), (size_t)PQgetlength(result, i, 0)});
}

static void take(struct upkeep *u, const PGresult *result)
{
    if (PQresultStatus(result) == PGRES_FATAL_ERROR)
        complain(u, result);
    else if (u->state == UPKEEP_LEADING && PQntuples(result) == 1)
        u->leading = PQgetvalue(result, 0, 0)[0] == 't';
    else if (u->state == UPKEEP_DUTY && duties[u->duty].tells_devices)
        tell_devices(u, result);
}

static void over(struct upkeep *u)
{
    bool failed = u->failed;
    u->failed = false;
    if (failed && u->fault.class == SQLSTATE_RECONNECT) { /* it follows another server, which is looked for */
        pgconn_drop(u->conn, u->fault.text);
    } else if (u->state == UPKEEP_PREPARING) {
        report_in(u);
    } else if (u->state == UPKEEP_REPORTING && failed) {
        rest(u);
    } else if (u->state == UPKEEP_REPORTING) {
        pgconn_settled(u->conn);
        log_recover(&u->complaint, SUBJECT, "goes on");
        lead(u);
    } else if (u->state == UPKEEP_LEADING) {
        begin_duty(u, u->leading ? 0 : N_DUTIES);
    } else {
        begin_duty(u, u->duty + 1);
    }
}

static void result_cb(void *ctx, PGresult *result)
{
    struct upkeep *u = ctx;
    if (result)
        take(u, result);
    else
        over(u);
}

static void up_cb(void *ctx)
{
    struct upkeep *u = ctx;
    u->state = UPKEEP_PREPARING;
    u->failed = false;
    pgconn_query(u->conn, "set client_min_messages = warning; set timezone = 'UTC'; set lock_timeout = '5s'; "
                          "set idle_in_transaction_session_timeout = 0");
}

static void down_cb(void *ctx, const char *why)
{
    (void)why;
    struct upkeep *u = ctx;
    u->state = UPKEEP_DOWN;
    evtimer_del(&u->timer);
}

static void waiting_cb(void *ctx, const char *text)
{
    (void)ctx, (void)text;
}

static void notified_cb(void *ctx, const char *payload)
{
    (void)ctx, (void)payload;
}

static bool chunk_cb(void *ctx, struct str *ret)
{
    (void)ctx, (void)ret;
    return false;
}

static void timer_cb(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    report_in(arg);
}

static void configure(struct upkeep *u)
{
    struct buf name = {0};
    char *conninfo = mem_strdup(u->conf->database.conninfo), *instance = mem_strdup(u->conf->instance);
    free(u->conninfo);
    free(u->instance);
    u->conninfo = conninfo;
    u->instance = instance;
    buf_printf(&name, "mobeyed %s upkeep", instance);
    pgconn_configure(u->conn, conninfo, name.data);
    buf_free(&name);
}

void upkeep_quiet(struct upkeep *u, bool quiet)
{
    u->quiet = quiet;
    pgconn_quiet(u->conn, quiet);
}

struct upkeep *upkeep_new(struct loop *loop, const struct conf *conf, const struct upkeep_calls *calls, void *ctx)
{
    static const struct pgconn_calls conn_calls = {
        .up = up_cb,
        .down = down_cb,
        .waiting = waiting_cb,
        .result = result_cb,
        .chunk = chunk_cb,
        .notified = notified_cb,
    };
    struct upkeep *u = mem_zalloc(sizeof(*u));
    u->loop = loop;
    u->conf = conf;
    u->calls = *calls;
    u->ctx = ctx;
    evtimer_assign(&u->timer, loop_base(loop), timer_cb, u);
    u->conn = pgconn_new(loop, &conn_calls, u);
    pgconn_speak_as(u->conn, SUBJECT, "silence and retention are not looked after");
    upkeep_quiet(u, true);
    configure(u);
    pgconn_start(u->conn);
    return u;
}

void upkeep_free(struct upkeep **upkeep)
{
    struct upkeep *u = *upkeep;
    if (!u)
        return;
    pgconn_free(&u->conn);
    event_del(&u->timer);
    free(u->conninfo);
    free(u->instance);
    free(u);
    *upkeep = NULL;
}

void upkeep_reload(struct upkeep *u, const struct conf *conf)
{
    u->conf = conf;
    if (strcmp(u->conninfo, conf->database.conninfo) == 0 && strcmp(u->instance, conf->instance) == 0)
        return;
    u->state = UPKEEP_DOWN;
    evtimer_del(&u->timer);
    configure(u);
}
