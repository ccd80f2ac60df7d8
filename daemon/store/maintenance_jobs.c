#include "store/maintenance_jobs.h"

#include <inttypes.h>

#include "base/array.h"
#include "base/clock.h"
#include "store/session.h"

#define HOURLY 180

static void append_keep(const struct conf *conf, int64_t wall_us, struct buf *out)
{
    (void)wall_us;
    const int64_t keep_us[] = {conf->retention.class_us[CLASS_CAMERA], conf->retention.class_us[CLASS_ALARM],
                               conf->retention.class_us[CLASS_SERVICE], conf->retention.incident_us,
                               conf->retention.burglary_us};
    for (size_t i = 0; i < ARRAY_LEN(keep_us); i++) {
        buf_printf(out, i ? ", " : "");
        session_append_interval(keep_us[i], out);
    }
}

/* The server compares its clock with it before it erases. */
static void append_wall(int64_t wall_us, struct buf *out)
{
    buf_printf(out, ", wall => to_timestamp(%" PRId64 ")", wall_us / CLOCK_SECOND);
}

static void append_keep_and_wall(const struct conf *conf, int64_t wall_us, struct buf *out)
{
    append_keep(conf, wall_us, out);
    append_wall(wall_us, out);
}

static void append_keep_alarm(const struct conf *conf, int64_t wall_us, struct buf *out)
{
    session_append_interval(conf->retention.class_us[CLASS_ALARM], out);
    append_wall(wall_us, out);
}

/* What is erased by age, by the word of mobeye.apply_retention(). */
#define ERASE(what)                                                                                                    \
    {                                                                                                                  \
        "retention_" what, "select what, class, partition, n, error from mobeye.apply_retention('" what "', ",         \
            append_keep_and_wall, HOURLY, MAINTENANCE_ROWS_ERASED                                                      \
    }

const struct maintenance_job maintenance_jobs[MAINTENANCE_JOBS] = {
    {"device_states", "select mobeye.refresh_states(", NULL, 1, MAINTENANCE_ROWS_NONE},
    {"silent_endpoints", "select mobeye.watch_endpoints(", NULL, 1, MAINTENANCE_ROWS_NONE},
    {"silent_devices", "select * from mobeye.watch_devices(", NULL, 1, MAINTENANCE_ROWS_SILENT},
    {"overdue", "select mobeye.mark_overdue(", NULL, 1, MAINTENANCE_ROWS_NONE},
    {"unattended", "select mobeye.close_unattended(", NULL, 3, MAINTENANCE_ROWS_NONE},
    {"mutes", "select mobeye.end_mutes(", NULL, 1, MAINTENANCE_ROWS_NONE},
    {"identity_period", "select mobeye.turn_identity_period(", NULL, 3, MAINTENANCE_ROWS_NONE},
    {"identity_filters", "select mobeye.make_identity_filters(", NULL, 1, MAINTENANCE_ROWS_NONE},
    ERASE("camera"),
    ERASE("images"),
    ERASE("alarm"),
    ERASE("service"),
    ERASE("incident"),
    ERASE("burglary"),
    ERASE("quarantine"),
    ERASE("devices"),
    ERASE("fixes"),
    ERASE("mutes"),
    ERASE("placements"),
    ERASE("identities"),
    {"retention", "select job, ceil(extract(epoch from now() - since) / 3600), n from mobeye.retention_overdue(",
     append_keep, HOURLY, MAINTENANCE_ROWS_OVERDUE},
    {"purge", "select mobeye.purge(", append_keep_alarm, HOURLY, MAINTENANCE_ROWS_NONE},
    /* The last: it looks back to when it last succeeded, which is reported at the end of a cycle. */
    {"secrecy", "select mobeye.hide_late(", NULL, 3, MAINTENANCE_ROWS_NONE},
};

_Static_assert(MAINTENANCE_JOBS <= METRICS_JOBS_MAX, "every job has its metrics");

void maintenance_job_append(const struct maintenance_job *job, const struct conf *conf, int64_t wall_us,
                            struct buf *sql)
{
    buf_printf(sql, "%s", job->sql);
    if (job->append)
        job->append(conf, wall_us, sql);
    buf_printf(sql, ")");
}

const char *maintenance_job(size_t i)
{
    return maintenance_jobs[i].word;
}

static void append_failed_erasures(const PGresult *rows, struct buf *out)
{
    for (int i = 0; i < PQntuples(rows); i++) {
        if (PQgetisnull(rows, i, 4))
            continue;
        const char *what = PQgetvalue(rows, i, PQgetisnull(rows, i, 2) ? 0 : 2);
        buf_printf(out, "%s%s: %s", out->len > 0 ? "; " : "", what, PQgetvalue(rows, i, 4));
    }
}

static void append_overdue(const PGresult *rows, struct buf *out)
{
    for (int i = 0; i < PQntuples(rows); i++)
        buf_printf(out, "%s%s: %s rows should have been erased up to %s hours ago (expected less than 24)",
                   out->len > 0 ? "; " : "", PQgetvalue(rows, i, 0), PQgetvalue(rows, i, 2), PQgetvalue(rows, i, 1));
}

bool maintenance_rows_fail(const struct maintenance_job *job, const PGresult *rows, struct buf *ret_why)
{
    size_t before = ret_why->len;
    if (job->rows == MAINTENANCE_ROWS_ERASED)
        append_failed_erasures(rows, ret_why);
    else if (job->rows == MAINTENANCE_ROWS_OVERDUE)
        append_overdue(rows, ret_why);
    return ret_why->len > before;
}
