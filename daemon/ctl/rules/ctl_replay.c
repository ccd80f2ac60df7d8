/* mobeyectl replay: shows which incidents other rules would have created from stored alerts. */
#include "ctl/rules/replay.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/json_write.h"
#include "conf/near_value.h"
#include "conf/value.h"
#include "ctl/lib/ctl.h"
#include "ctl/lib/options.h"
#include "ctl/lib/rule_team.h"
#include "ctl/lib/table.h"

#define VERB "replay"

static const char help[] =
    "Usage: mobeyectl replay [OPTION]... [--since 7d]\n"
    "Shows which incidents the rules of a configuration would have created from the alerts received recently.\n\n"
    "Lists incidents that would be created additionally (gained), stored incidents that would not be created (lost),\n"
    "and incidents that would have another priority. Incidents that people closed are closed at the same time;\n"
    "devices, placements and areas are the present ones; a device that reports its location was last seen where it\n"
    "was when the alert came. Nothing is changed.\n\n"
    "      --since TIME   how far to go back (default: 7d)\n"
    "      --json         print one JSON object\n"
    "  -c, --config FILE  configuration file with the rules (default: " CONF_DEFAULT_FILE ")\n"
    "      --db CONNINFO  libpq connection string; overrides database.conninfo\n"
    "  -h, --help         print this help\n\n"
    "Example:\n"
    "  $ mobeyectl replay -c new.yaml --since 30d\n\n" CTL_EXIT_HELP;

/* A difference: its kind, and the incident before and after; at least one is set. */
struct row {
    const char *change;
    const struct replay_incident *stored; /* NULL: gained */
    const struct incident *replayed;      /* NULL: lost */
};

static struct str rule_of(const struct row *row)
{
    return row->replayed ? row->replayed->terms.rule : str_from(row->stored->rule);
}

static struct str device_of(const struct row *row)
{
    return row->replayed ? row->replayed->device : str_from(row->stored->device);
}

static int64_t first_seen_us(const struct row *row)
{
    return row->replayed ? row->replayed->first_seen_us : row->stored->first_seen_us;
}

static void format_time(int64_t us, char out[32])
{
    time_t seconds = (time_t)(us / CLOCK_SECOND);
    struct tm tm;
    localtime_r(&seconds, &tm);
    strftime(out, 32, "%Y-%m-%d %H:%M:%S", &tm);
}

static void put_priority(struct buf *out, bool known, int priority)
{
    buf_printf(out, known ? "%d" : "-", priority);
}

static void put_row(struct buf *out, const struct row *row)
{
    char when[32];
    struct buf priority = {0};
    struct str device = device_of(row), rule = rule_of(row);
    format_time(first_seen_us(row), when);
    put_priority(&priority, row->stored, row->stored ? row->stored->priority : 0);
    buf_append_str(&priority, STR(" -> "));
    put_priority(&priority, row->replayed, row->replayed ? row->replayed->priority : 0);
    buf_printf(out, "%-11s %s  %-11s %-8.*s ", row->change, when, row->stored ? row->stored->reference : "-",
               (int)priority.len, priority.data);
    ctl_escape(out, device, false);
    buf_printf(out, "  ");
    ctl_escape(out, rule, false);
    buf_printf(out, "\n");
    buf_free(&priority);
}

static void put_json(struct buf *out, const struct row *row)
{
    char when[CLOCK_RFC3339_SIZE];
    const struct replay_incident *stored = row->stored;
    clock_format_rfc3339(first_seen_us(row), 0, when);
    json_write_comma(out);
    buf_printf(out, "{");
    json_write_text(out, "change", str_from(row->change));
    json_write_text(out, "first_seen", str_from(when));
    if (stored)
        json_write_count(out, "incident_id", stored->id);
    else
        json_write_number(out, "incident_id", NAN);
    json_write_number(out, "priority_stored", stored ? stored->priority : NAN);
    json_write_number(out, "priority", row->replayed ? row->replayed->priority : NAN);
    json_write_text(out, "device", device_of(row));
    json_write_text(out, "rule", rule_of(row));
    buf_printf(out, "}");
}

static void put_rows(const struct replay *replay, bool json, struct buf *out)
{
    void (*put)(struct buf *, const struct row *) = json ? put_json : put_row;
    for (size_t i = 0; i < replay->store.set.n_incidents; i++) {
        const struct incident *replayed = &replay->store.set.incidents[i];
        const struct replay_incident *stored = replay_same(replay, i);
        if (!stored)
            put(out, &(struct row){"gained", NULL, replayed});
        else if (stored->priority != replayed->priority)
            put(out,
                &(struct row){replayed->priority < stored->priority ? "more urgent" : "less urgent", stored, replayed});
    }
    for (size_t i = 0; i < replay->n_stored; i++)
        if (replay_lost(replay, &replay->stored[i]))
            put(out, &(struct row){"lost", &replay->stored[i], NULL});
}

static void print_replay(const struct replay *replay, bool json)
{
    struct buf out = {0}, rows = {0};
    struct replay_counts counts = replay_count(replay);
    put_rows(replay, json, &rows);
    if (json) {
        buf_append_str(&out, STR("{"));
        json_write_count(&out, "alerts", replay->alerts);
        json_write_count(&out, "stored", counts.stored);
        json_write_count(&out, "replayed", counts.replayed);
        json_write_count(&out, "same", counts.same);
        json_write_count(&out, "gained", counts.gained);
        json_write_count(&out, "lost", counts.lost);
        json_write_count(&out, "more_urgent", counts.more_urgent);
        json_write_count(&out, "less_urgent", counts.less_urgent);
        json_write_name(&out, "changes");
        buf_append_str(&out, STR("["));
        buf_append_str(&out, buf_str(&rows));
        buf_printf(&out, "]}\n");
    } else {
        if (rows.len > 0)
            buf_printf(&out, "%-11s %-19s  %-11s %-8s %s\n", "CHANGE", "FIRST SEEN", "INCIDENT", "PRIORITY",
                       "DEVICE  RULE");
        buf_append_str(&out, buf_str(&rows));
        replay_summary(replay, &out);
    }
    fwrite(out.data, 1, out.len, stdout);
    buf_free(&rows);
    buf_free(&out);
}

static int replay_rules(const struct ctl_call *call, int64_t since_us)
{
    struct err err;
    struct replay replay;
    struct conf *conf = ctl_load(call->file);
    if (!conf)
        return CTL_FAILED;
    PGconn *conn = ctl_connect_to(VERB, conf, call->db);
    int rc = conn ? CTL_OK : CTL_FAILED;
    if (conn) {
        rule_team_warn(VERB, conn, conf);
        if (replay_run(&replay, conn, conf, since_us, &err) == 0)
            print_replay(&replay, call->json);
        else
            rc = ctl_fail(VERB, "%s", err.text);
        replay_free(&replay);
    }
    PQfinish(conn);
    conf_free(&conf);
    return rc;
}

static const struct ctl_verb verb = {VERB, .takes = "config db json", .help = help};

int ctl_replay(int argc, char **argv)
{
    const char *since = NULL;
    const struct ctl_option options[] = {{"since", .text = &since}, {0}};
    struct ctl_call call;
    struct err err;
    int64_t since_us = 7 * CLOCK_DAY;
    int status = ctl_parse(argc, argv, &verb, options, &call);
    if (status != CTL_GO)
        return status;
    if (since && value_duration(since, &since_us, &err) < 0)
        return ctl_usage(VERB, "--since: \"%s\" %s%s (expected 20s, 5m, 4h30m, 7d)", since, err.text,
                         near_duration(since).text);
    return replay_rules(&call, since_us);
}
