#include "store/maintenance_jobs.h"

#include <inttypes.h>

#define HOURLY 180

static void append_plain(const char *sql, const struct conf *conf, struct buf *out)
{
    (void)conf;
    buf_printf(out, "%s()", sql);
}

static void append_interval(int64_t us, struct buf *out)
{
    buf_printf(out, "interval '%" PRId64 " microseconds'", us);
}

static void append_keep(const struct conf *conf, struct buf *out)
{
    append_interval(conf->retention.class_us[CLASS_CAMERA], out);
    buf_printf(out, ", ");
    append_interval(conf->retention.class_us[CLASS_ALARM], out);
    buf_printf(out, ", ");
    append_interval(conf->retention.class_us[CLASS_SERVICE], out);
    buf_printf(out, ", ");
    append_interval(conf->retention.incident_us, out);
    buf_printf(out, ", ");
    append_interval(conf->retention.burglary_us, out);
}

/* sql names the job: apply_retention('camera' */
static void append_erase(const char *sql, const struct conf *conf, struct buf *out)
{
    buf_printf(out, "select what, class, partition, n, error from mobeye.apply_retention('%s', ", sql);
    append_keep(conf, out);
    buf_printf(out, ")");
}

static void append_check(const char *sql, const struct conf *conf, struct buf *out)
{
    buf_printf(out, "%s(", sql);
    append_keep(conf, out);
    buf_printf(out, ")");
}

static void append_purge(const char *sql, const struct conf *conf, struct buf *out)
{
    buf_printf(out, "%s(", sql);
    append_interval(conf->retention.class_us[CLASS_ALARM], out);
    buf_printf(out, ")");
}

const struct maintenance_job maintenance_jobs[MAINTENANCE_JOBS] = {
    {"device_states", "select mobeye.refresh_states", append_plain, 1, MAINTENANCE_ROWS_NONE},
    {"silent_endpoints", "select mobeye.watch_endpoints", append_plain, 1, MAINTENANCE_ROWS_NONE},
    {"silent_devices", "select * from mobeye.watch_devices", append_plain, 1, MAINTENANCE_ROWS_SILENT},
    {"overdue", "select mobeye.mark_overdue", append_plain, 1, MAINTENANCE_ROWS_NONE},
    {"unattended", "select mobeye.close_unattended", append_plain, 3, MAINTENANCE_ROWS_NONE},
    {"mutes", "select mobeye.end_mutes", append_plain, 1, MAINTENANCE_ROWS_NONE},
    {"identity_period", "select mobeye.turn_identity_period", append_plain, 3, MAINTENANCE_ROWS_NONE},
    {"identity_filters", "select mobeye.make_identity_filters", append_plain, 1, MAINTENANCE_ROWS_NONE},
    {"retention_camera", "camera", append_erase, HOURLY, MAINTENANCE_ROWS_ERASED},
    {"retention_images", "images", append_erase, HOURLY, MAINTENANCE_ROWS_ERASED},
    {"retention_alarm", "alarm", append_erase, HOURLY, MAINTENANCE_ROWS_ERASED},
    {"retention_service", "service", append_erase, HOURLY, MAINTENANCE_ROWS_ERASED},
    {"retention_incident", "incident", append_erase, HOURLY, MAINTENANCE_ROWS_ERASED},
    {"retention_burglary", "burglary", append_erase, HOURLY, MAINTENANCE_ROWS_ERASED},
    {"retention_quarantine", "quarantine", append_erase, HOURLY, MAINTENANCE_ROWS_ERASED},
    {"retention_devices", "devices", append_erase, HOURLY, MAINTENANCE_ROWS_ERASED},
    {"retention_fixes", "fixes", append_erase, HOURLY, MAINTENANCE_ROWS_ERASED},
    {"retention_mutes", "mutes", append_erase, HOURLY, MAINTENANCE_ROWS_ERASED},
    {"retention_placements", "placements", append_erase, HOURLY, MAINTENANCE_ROWS_ERASED},
    {"retention_identities", "identities", append_erase, HOURLY, MAINTENANCE_ROWS_ERASED},
    {"retention", "select job, ceil(extract(epoch from now() - since) / 3600), n from mobeye.retention_overdue",
     append_check, HOURLY, MAINTENANCE_ROWS_OVERDUE},
    {"purge", "select mobeye.purge", append_purge, HOURLY, MAINTENANCE_ROWS_NONE},
    /* The last: it looks back to when it last succeeded, which is reported at the end of a cycle. */
    {"secrecy", "select mobeye.hide_late", append_plain, 3, MAINTENANCE_ROWS_NONE},
};

_Static_assert(MAINTENANCE_JOBS <= METRICS_JOBS_MAX, "every job has its metrics");

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
