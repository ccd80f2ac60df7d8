/* mobeyectl status --json. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "ctl/lib/json.h"
#include "ctl/operate/status.h"

static void put_endpoints(struct buf *out, const struct status *s)
{
    struct str name;
    ctl_json_name(out, "endpoints");
    buf_append_str(out, STR("["));
    for (size_t i = 0; s->daemon_up && scrape_endpoint(&s->after, i, &name); i++) {
        double last = status_last_message(s, name);
        ctl_json_comma(out);
        buf_append_str(out, STR("{"));
        ctl_json_text(out, "name", name);
        ctl_json_number(out, "received_per_second", status_rate(s, "received_total", &name));
        ctl_json_number(out, "received", scrape_value(&s->after, "received_total", &name));
        ctl_json_number(out, "rejected", scrape_value(&s->after, "rejected_total", &name));
        ctl_json_number(out, "retry", scrape_value(&s->after, "retry_total", &name));
        ctl_json_number(out, "last_received", last > 0 ? last : NAN);
        buf_append_str(out, STR("}"));
    }
    buf_append_str(out, STR("]"));
}

static void put_daemon(struct buf *out, const struct status *s)
{
    ctl_json_name(out, "daemon");
    buf_append_str(out, STR("{"));
    ctl_json_bool(out, "up", s->daemon_up);
    if (!s->daemon_up) {
        buf_append_str(out, STR("}, \"journal\": null"));
        return;
    }
    ctl_json_bool(out, "ready", s->ready);
    if (!s->ready)
        ctl_json_text(out, "not_ready", buf_str(&s->not_ready));
    ctl_json_number(out, "started", status_value(s, "start_timestamp_seconds"));
    ctl_json_number(out, "accepted_per_second", status_rate(s, "journaled_total", NULL));
    ctl_json_number(out, "stored_per_second", status_rate(s, "committed_total", NULL));
    ctl_json_number(out, "database_up", status_value(s, "database_up"));
    ctl_json_number(out, "rules_applied", status_value(s, "config_last_reload_timestamp_seconds"));
    ctl_json_number(out, "last_reload_successful", status_value(s, "config_last_reload_successful"));
    buf_append_str(out, STR("}, \"journal\": {"));
    ctl_json_number(out, "pending", status_value(s, "journal_pending"));
    ctl_json_number(out, "lag_seconds", status_value(s, "commit_lag_seconds"));
    ctl_json_number(out, "bytes", status_value(s, "journal_bytes"));
    ctl_json_number(out, "max_bytes", status_value(s, "journal_max_bytes"));
    ctl_json_number(out, "fill_ratio", status_value(s, "journal_fill_ratio"));
    ctl_json_number(out, "full_in_seconds", status_full_in_s(s));
    buf_append_str(out, STR("}"));
}

static void put_database(struct buf *out, const struct status_db *db)
{
    ctl_json_name(out, "database");
    buf_append_str(out, STR("{"));
    ctl_json_bool(out, "up", db->up);
    ctl_json_number(out, "quarantined", db->quarantined);
    ctl_json_number(out, "stored_seconds_ago", db->stored_age_s);
    ctl_json_number(out, "silent", db->silent);
    ctl_json_number(out, "muted", db->muted);
    ctl_json_number(out, "rules_changed_seconds_ago", db->rules_age_s);
    ctl_json_number(out, "alive_seconds_ago", db->alive_age_s);
    if (db->why.len > 0)
        ctl_json_text(out, "error", buf_str(&db->why));
    buf_append_str(out, STR("}"));
}

static void put_queue(struct buf *out, const struct status_db *db)
{
    ctl_json_name(out, "queue");
    buf_append_str(out, STR("{"));
    ctl_json_number(out, "open", db->open);
    ctl_json_number(out, "overdue", db->overdue);
    ctl_json_number(out, "oldest_seconds", db->waiting_s);
    buf_append_str(out, STR("}"));
}

static void put_jobs(struct buf *out, const PGresult *jobs)
{
    ctl_json_name(out, "maintenance");
    buf_append_str(out, STR("["));
    for (int row = 0; row < PQntuples(jobs); row++) {
        ctl_json_comma(out);
        buf_append_str(out, STR("{"));
        ctl_json_text(out, "job", str_from(PQgetvalue(jobs, row, 0)));
        ctl_json_bool(out, "ok", status_job_good(jobs, row));
        ctl_json_number(out, "succeeded_seconds_ago",
                        PQgetisnull(jobs, row, 1) ? NAN : strtod(PQgetvalue(jobs, row, 1), NULL));
        if (!PQgetisnull(jobs, row, 2))
            ctl_json_text(out, "error", str_from(PQgetvalue(jobs, row, 2)));
        buf_append_str(out, STR("}"));
    }
    buf_append_str(out, STR("]"));
}

static void put_watches(struct buf *out, const struct status_watches *watches)
{
    ctl_json_name(out, "watches");
    buf_append_str(out, STR("["));
    for (size_t i = 0; i < watches->n; i++) {
        const struct status_watch *w = &watches->list[i];
        ctl_json_comma(out);
        buf_append_str(out, STR("{"));
        ctl_json_text(out, "name", str_from(w->name));
        ctl_json_number(out, "behind", w->behind);
        ctl_json_number(out, "dead_letters", w->readable ? (double)w->dead : NAN);
        buf_append_str(out, STR("}"));
    }
    buf_append_str(out, STR("]"));
}

void status_print_json(const struct status *s)
{
    struct buf out = {0};
    buf_append_str(&out, STR("{"));
    ctl_json_bool(&out, "ok", status_all_is_up(s));
    if (s->conf)
        ctl_json_text(&out, "instance", str_from(s->conf->instance));
    put_daemon(&out, s);
    put_queue(&out, &s->db);
    put_database(&out, &s->db);
    put_jobs(&out, s->db.jobs);
    put_watches(&out, &s->watches);
    status_frigate_json(&out, &s->frigate);
    status_board_json(&out, &s->board);
    put_endpoints(&out, s);
    printf("%.*s}\n", (int)out.len, out.data);
    buf_free(&out);
}
