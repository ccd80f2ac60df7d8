/* mobeyectl status --json. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json_write.h"
#include "ctl/operate/status.h"

static void put_endpoints(struct buf *out, const struct status *s)
{
    struct str name;
    json_write_name(out, "endpoints");
    buf_append_str(out, STR("["));
    for (size_t i = 0; s->daemon_up && scrape_endpoint(&s->after, i, &name); i++) {
        double last = status_last_message(s, name);
        json_write_comma(out);
        buf_append_str(out, STR("{"));
        json_write_text(out, "name", name);
        json_write_number(out, "received_per_second", status_rate(s, "received_total", &name));
        json_write_number(out, "received", scrape_value(&s->after, "received_total", &name));
        json_write_number(out, "rejected", scrape_value(&s->after, "rejected_total", &name));
        json_write_number(out, "retry", scrape_value(&s->after, "retry_total", &name));
        json_write_number(out, "last_received", last > 0 ? last : NAN);
        buf_append_str(out, STR("}"));
    }
    buf_append_str(out, STR("]"));
}

static void put_daemon(struct buf *out, const struct status *s)
{
    json_write_name(out, "daemon");
    buf_append_str(out, STR("{"));
    json_write_bool(out, "up", s->daemon_up);
    if (!s->daemon_up) {
        buf_append_str(out, STR("}, \"journal\": null"));
        return;
    }
    json_write_bool(out, "ready", s->ready);
    if (!s->ready)
        json_write_text(out, "not_ready", buf_str(&s->not_ready));
    json_write_number(out, "started", status_value(s, "start_timestamp_seconds"));
    json_write_number(out, "accepted_per_second", status_rate(s, "journaled_total", NULL));
    json_write_number(out, "stored_per_second", status_rate(s, "committed_total", NULL));
    json_write_number(out, "database_up", status_value(s, "database_up"));
    json_write_number(out, "rules_applied", status_value(s, "config_last_reload_timestamp_seconds"));
    json_write_number(out, "last_reload_successful", status_value(s, "config_last_reload_successful"));
    buf_append_str(out, STR("}, \"journal\": {"));
    json_write_number(out, "pending", status_value(s, "journal_pending"));
    json_write_number(out, "lag_seconds", status_value(s, "commit_lag_seconds"));
    json_write_number(out, "bytes", status_value(s, "journal_bytes"));
    json_write_number(out, "max_bytes", status_value(s, "journal_max_bytes"));
    json_write_number(out, "fill_ratio", status_value(s, "journal_fill_ratio"));
    json_write_number(out, "full_in_seconds", status_full_in_s(s));
    buf_append_str(out, STR("}"));
}

static void put_database(struct buf *out, const struct status_db *db)
{
    json_write_name(out, "database");
    buf_append_str(out, STR("{"));
    json_write_bool(out, "up", db->up);
    json_write_number(out, "quarantined", db->quarantined);
    json_write_number(out, "stored_seconds_ago", db->stored_age_s);
    json_write_number(out, "silent", db->silent);
    json_write_number(out, "muted", db->muted);
    json_write_number(out, "rules_changed_seconds_ago", db->rules_age_s);
    json_write_number(out, "alive_seconds_ago", db->alive_age_s);
    if (db->why.len > 0)
        json_write_text(out, "error", buf_str(&db->why));
    buf_append_str(out, STR("}"));
}

static void put_queue(struct buf *out, const struct status_db *db)
{
    json_write_name(out, "queue");
    buf_append_str(out, STR("{"));
    json_write_number(out, "open", db->open);
    json_write_number(out, "overdue", db->overdue);
    json_write_number(out, "oldest_seconds", db->waiting_s);
    buf_append_str(out, STR("}"));
}

static void put_jobs(struct buf *out, const PGresult *jobs)
{
    json_write_name(out, "maintenance");
    buf_append_str(out, STR("["));
    for (int row = 0; row < PQntuples(jobs); row++) {
        json_write_comma(out);
        buf_append_str(out, STR("{"));
        json_write_text(out, "job", str_from(PQgetvalue(jobs, row, 0)));
        json_write_bool(out, "ok", status_job_good(jobs, row));
        json_write_number(out, "succeeded_seconds_ago",
                          PQgetisnull(jobs, row, 1) ? NAN : strtod(PQgetvalue(jobs, row, 1), NULL));
        if (!PQgetisnull(jobs, row, 2))
            json_write_text(out, "error", str_from(PQgetvalue(jobs, row, 2)));
        buf_append_str(out, STR("}"));
    }
    buf_append_str(out, STR("]"));
}

static void put_watches(struct buf *out, const struct status_watches *watches)
{
    json_write_name(out, "watches");
    buf_append_str(out, STR("["));
    for (size_t i = 0; i < watches->n; i++) {
        const struct status_watch *w = &watches->list[i];
        json_write_comma(out);
        buf_append_str(out, STR("{"));
        json_write_text(out, "name", str_from(w->name));
        json_write_number(out, "behind", w->behind);
        json_write_number(out, "dead_letters", w->readable ? (double)w->dead : NAN);
        buf_append_str(out, STR("}"));
    }
    buf_append_str(out, STR("]"));
}

void status_print_json(const struct status *s)
{
    struct buf out = {0};
    buf_append_str(&out, STR("{"));
    json_write_bool(&out, "ok", status_all_is_up(s));
    if (s->conf)
        json_write_text(&out, "instance", str_from(s->conf->instance));
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
