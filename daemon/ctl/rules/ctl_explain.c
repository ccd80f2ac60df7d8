/* mobeyectl explain: what the rules make of an alert, and why. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "ctl/lib/ctl.h"
#include "ctl/lib/enrich_context.h"
#include "ctl/lib/json.h"
#include "ctl/lib/options.h"
#include "ctl/rules/stored_alerts.h"
#include "enrich/rules.h"
#include "ingest/decode_cloudevents.h"
#include "ingest/validate.h"

#define VERB "explain"

static const char help[] =
    "Usage: mobeyectl explain [OPTION]... ALERT.json\n"
    "       mobeyectl explain [OPTION]... --incident ID\n"
    "Tells what the rules make of an alert (a CloudEvents document, - for standard input; without time it occurs "
    "now),\n"
    "or of the alert that began an incident: device, place, areas, the rule that decides and why each other one does\n"
    "not match, the key that tells its incident apart, priority and team. Nothing is stored.\n\n"
    "Devices, placements and areas are those of the database. Where that cannot be reached an ALERT.json is explained\n"
    "without them.\n\n"
    "      --incident ID  the incident\n"
    "      --json         as one JSON object\n"
    "  -c, --config FILE  rules, and the database (default " CTL_DEFAULT_FILE ")\n"
    "      --db CONNINFO  the database, as libpq writes it, instead of that\n"
    "  -h, --help         this text\n";

struct explain_request {
    struct ctl_call call;
    const char *incident, *alert;
};

/* An alert as the rules see it, and what came of it. */
struct explained_alert {
    const struct conf *conf;
    struct alert alert;
    bool with_registry;
    bool with_incidents; /* the login sees them: team and accepts are known */
    char *team;          /* of its areas, by the database; NULL: none */
    char *accepts;       /* the incident of its key that accepts alerts, by the database; NULL: none */
    char *incident;      /* the one that was asked for; NULL: none was */
};

/* A line of the answer: its name, and the value. */
static void put(struct buf *out, bool json, const char *name, struct str value)
{
    if (json) {
        ctl_json_text(out, name, value);
    } else {
        buf_printf(out, "%-9s ", name);
        ctl_escape(out, value, false);
        buf_printf(out, "\n");
    }
}

static void put_text(struct buf *out, bool json, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static void put_text(struct buf *out, bool json, const char *name, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    put(out, json, name, str_from(text));
}

static void put_number(struct buf *out, bool json, const char *name, int value)
{
    if (json)
        ctl_json_number(out, name, value);
    else
        put_text(out, json, name, "%d", value);
}

static void put_alert(struct buf *out, bool json, const struct alert *alert)
{
    time_t seconds = (time_t)(alert->occurred_us / CLOCK_SECOND);
    struct tm tm;
    char when[64];
    localtime_r(&seconds, &tm);
    strftime(when, sizeof(when), "%a %Y-%m-%d %H:%M:%S %z", &tm);
    put(out, json, "device", alert->device);
    put(out, json, "kind", alert->kind == KIND_UNKNOWN ? alert->kind_word : str_from(alert_kind_word(alert->kind)));
    put_text(out, json, "phase", "%s", alert_phase_word(alert->phase));
    if (alert->input != ALERT_NO_INT)
        put_number(out, json, "input", alert->input);
    put_text(out, json, "occurred", "%s", when);
    struct buf flags = {0};
    const char *word;
    for (unsigned bit = 0; (word = alert_flag_word(bit)); bit++)
        if (alert->flags & (1u << bit))
            buf_printf(&flags, "%s%s", flags.len ? ", " : "", word);
    if (flags.len > 0)
        put(out, json, "flags", buf_str(&flags));
    buf_free(&flags);
}

static void put_place(struct buf *out, bool json, const struct explained_alert *subject)
{
    const struct alert *alert = &subject->alert;
    struct buf areas = {0};
    if (!subject->with_registry)
        put_text(out, json, "registry", "not known: no database was asked");
    else
        put_text(out, json, "registry", "%s%s%.*s", alert->registered ? "registered" : "not registered",
                 alert->group.len ? ", group " : "", (int)alert->group.len, alert->group.p ? alert->group.p : "");
    if (alert->location_source == LOCATION_NONE)
        put_text(out, json, "place", "none");
    else
        put_text(out, json, "place", "%.5f,%.5f (%s)", alert->place_lon, alert->place_lat,
                 alert_location_word(alert->location_source));
    for (size_t i = 0; alert->areas && i < alert->areas->n; i++)
        buf_printf(&areas, "%s%.*s %.*s", i ? ", " : "", (int)alert->areas->area[i].layer.len,
                   alert->areas->area[i].layer.p, (int)alert->areas->area[i].code.len, alert->areas->area[i].code.p);
    put(out, json, "areas", areas.len ? buf_str(&areas) : STR("none"));
    buf_free(&areas);
}

static void put_key(struct buf *out, bool json, const uint8_t key[16])
{
    char text[33];
    for (int i = 0; i < 16; i++)
        sprintf(text + 2 * i, "%02x", key[i]);
    put_text(out, json, "key", "%.8s-%.4s-%.4s-%.4s-%s", text, text + 8, text + 12, text + 16, text + 20);
}

static void put_decision(struct buf *out, bool json, const struct explained_alert *subject)
{
    const struct alert *alert = &subject->alert;
    const struct incident_terms *terms = alert->terms;
    put(out, json, "rule", alert->rule.len ? alert->rule : STR("none: it is stored, nothing more"));
    if (!terms) {
        if (alert->rule.len)
            put_text(out, json, "action", "store");
        return;
    }
    put_text(out, json, "category", "%s", incident_category_word(terms->category));
    put_number(out, json, "priority", terms->priority);
    put_key(out, json, alert->key);
    struct str team = terms->team.len ? terms->team : alert->placement_team;
    struct str unseen = subject->with_registry ? STR("not known: that of its areas takes a member of mobeye_owner")
                                               : STR("not known: no database was asked");
    put(out, json, "team",
        team.len                  ? team
        : subject->team           ? str_from(subject->team)
        : subject->with_incidents ? STR("none")
                                  : unseen);
    if (alert->phase == PHASE_RESTORE)
        put_text(out, json, "makes", "nothing: a restore joins what is there");
    if (subject->accepts)
        put_text(out, json, "joins", "incident %s, which accepts alerts of this key", subject->accepts);
}

/* Each rule, up to the one that decides and behind it. */
static void put_rules(struct buf *out, bool json, const struct explained_alert *subject)
{
    bool decided = false;
    buf_printf(out, json ? ", \"rules\": [" : "\nThe rules in their order:\n");
    for (size_t i = 0; i < subject->conf->n_rules; i++) {
        const struct conf_rule *rule = &subject->conf->rules[i];
        struct buf why = {0};
        bool matches = rules_explain(&rule->match, &subject->alert, &why);
        if (matches)
            buf_printf(&why, decided ? "would match too, but an earlier one decides" : "matches, and decides");
        if (json) {
            ctl_json_comma(out);
            buf_printf(out, "{");
            ctl_json_text(out, "rule", str_from(rule->name));
            ctl_json_bool(out, "matches", matches);
            ctl_json_bool(out, "decides", matches && !decided);
            ctl_json_text(out, "why", buf_str(&why));
            buf_printf(out, "}");
        } else {
            buf_printf(out, "%s %-20s ", matches && !decided ? "->" : "  ", rule->name);
            ctl_escape(out, buf_str(&why), false);
            buf_printf(out, "\n");
        }
        decided = decided || matches;
        buf_free(&why);
    }
    if (json)
        buf_printf(out, "]");
}

static void print(const struct explained_alert *subject, bool json)
{
    struct buf out = {0};
    if (json)
        buf_printf(&out, "{");
    if (subject->incident)
        put(&out, json, "incident", str_from(subject->incident));
    put_alert(&out, json, &subject->alert);
    put_place(&out, json, subject);
    put_decision(&out, json, subject);
    put_rules(&out, json, subject);
    buf_printf(&out, json ? "}\n" : "");
    fwrite(out.data, 1, out.len, stdout);
    buf_free(&out);
}

/* One text of the database, to be freed; NULL: none, or it cannot say. */
static char *ask(PGconn *conn, const char *sql, const char *value)
{
    PGresult *result = PQexecParams(conn, sql, 1, NULL, &value, NULL, NULL, 0);
    bool has = PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1 && !PQgetisnull(result, 0, 0);
    char *text = has ? strdup(PQgetvalue(result, 0, 0)) : NULL;
    PQclear(result);
    return text;
}

static void ask_team(PGconn *conn, struct explained_alert *subject)
{
    struct buf areas = {0};
    for (size_t i = 0; subject->alert.areas && i < subject->alert.areas->n; i++) {
        const struct alert_area *area = &subject->alert.areas->area[i];
        buf_printf(&areas, "%s%.*s:%.*s", i ? "\x1f" : "", (int)area->layer.len, area->layer.p, (int)area->code.len,
                   area->code.p);
    }
    buf_append(&areas, "", 1);
    subject->team = ask(conn, "select mobeye.team_of(null, nullif($1, ''))", areas.data);
    buf_free(&areas);
}

static void ask_accepting(PGconn *conn, struct explained_alert *subject)
{
    char key[33];
    for (int i = 0; i < 16; i++)
        sprintf(key + 2 * i, "%02x", subject->alert.key[i]);
    if (subject->alert.terms)
        subject->accepts =
            ask(conn, "select incident_id from mobeye.incident where incident_key = $1::uuid and accepting", key);
}

static void explain(PGconn *conn, struct known *known, struct explained_alert *subject, bool json)
{
    enrich_tool_enrich(known, &subject->alert);
    subject->with_incidents = conn && ctl_readable(conn, "mobeye.incident");
    if (subject->with_incidents) {
        ask_team(conn, subject);
        ask_accepting(conn, subject);
    }
    print(subject, json);
    free(subject->team);
    free(subject->accepts);
}

static int explain_alert(const struct explain_request *request, PGconn *conn, struct known *known,
                         struct explained_alert *subject)
{
    struct buf text = {0};
    struct decoder *decoder = decoder_new();
    struct reject reject;
    int rc = ctl_read(VERB, request->alert, 2 * ALERT_PAYLOAD_MAX, &text);
    if (rc == CTL_OK && !decode_cloudevents(decoder, buf_str(&text), &subject->alert, &reject))
        rc = ctl_fail(VERB, "%s: %s: %s%s%s", request->alert, reject_word(reject.code), reject.field,
                      *reject.field ? ": " : "", reject.reason);
    if (rc == CTL_OK) {
        subject->alert.endpoint = str_from(subject->conf->endpoints[0].name);
        validate_time(&subject->alert, clock_wall_us(), subject->conf->retention.class_us);
        explain(conn, known, subject, request->call.json);
    }
    decoder_free(&decoder);
    buf_free(&text);
    return rc;
}

static int explain_incident(const struct explain_request *request, PGconn *conn, struct known *known,
                            struct explained_alert *subject)
{
    struct err err;
    struct batch *batch = batch_new(1);
    uint64_t incident;
    PQclear(PQexec(conn, "begin isolation level repeatable read read only"));
    struct stored *stored = stored_open(conn, request->incident, NULL, &err);
    int rc = stored && stored_next(stored, batch, &incident, &err) == 0 ? CTL_OK : ctl_fail(VERB, "%s", err.text);
    if (rc == CTL_OK && batch->n == 0)
        rc = ctl_fail(VERB, "there is no incident %s with alerts", request->incident);
    if (rc == CTL_OK) {
        subject->alert = batch->rows[0].alert;
        subject->incident = ask(conn,
                                "select format('%s: %s, %s, priority %s, rule %s, team %s, %s alerts', incident_id, "
                                "category, status, priority, coalesce(rule, 'none'), coalesce(team, 'none'), "
                                "alert_count) from mobeye.incident where incident_id = $1::bigint",
                                request->incident);
        explain(conn, known, subject, request->call.json);
        free(subject->incident);
    }
    stored_close(&stored);
    batch_free(&batch);
    return rc;
}

static const struct ctl_verb verb = {VERB, .takes = "config db json", .argument = "ALERT.json", .most = 1,
                                     .help = help};

int ctl_explain(int argc, char **argv)
{
    struct explain_request request = {0};
    struct err err;
    struct known known;
    const struct ctl_option options[] = {{"incident", .text = &request.incident}, {0}};
    int rc = ctl_parse(argc, argv, &verb, options, &request.call);
    if (rc != CTL_GO)
        return rc;
    request.alert = request.call.arguments[0];
    if ((request.alert != NULL) == (request.incident != NULL))
        return ctl_usage(VERB, "one ALERT.json, or --incident ID");
    struct conf *conf = ctl_load(request.call.file);
    if (!conf)
        return CTL_FAILED;
    setenv("TZ", conf->timezone, 1);
    tzset();
    PGconn *conn = ctl_connect_to(VERB, conf, request.call.db);
    if (conn && enrich_tool_load(&known, conn, conf, &err) != 0) {
        ctl_fail(VERB, "%s", err.text);
        PQfinish(conn);
        conn = NULL;
    }
    struct explained_alert subject = {.conf = conf, .with_registry = conn != NULL};
    if (!conn)
        enrich_tool_empty(&known, conf);
    if (request.alert)
        rc = explain_alert(&request, conn, &known, &subject);
    else
        rc = conn ? explain_incident(&request, conn, &known, &subject) : CTL_FAILED;
    enrich_tool_free(&known);
    PQfinish(conn);
    conf_free(&conf);
    return rc;
}
