/* mobeyectl explain: how the rules treat an alert, and why. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/json_write.h"
#include "ctl/lib/ctl.h"
#include "ctl/lib/enrich_tool.h"
#include "ctl/lib/incident_reference.h"
#include "ctl/lib/options.h"
#include "ctl/lib/rule_team.h"
#include "ctl/lib/table.h"
#include "ctl/rules/explain_raised.h"
#include "ctl/rules/stored_alerts.h"
#include "enrich/rules.h"
#include "ingest/decode_cloudevents.h"
#include "ingest/validate.h"
#include "store/identity.h"
#include "store/incident_rows.h"

#define VERB "explain"

static const char help[] =
    "Usage: mobeyectl explain [OPTION]... ALERT.json\n"
    "       mobeyectl explain [OPTION]... --incident ID | --reference REFERENCE\n"
    "Explains how the rules treat an alert, or the first alert of an incident.\n\n"
    "The alert is a CloudEvents document (- for standard input); without a time it occurs now. Prints device, place,\n"
    "areas, the rule that decides, why each other rule does not match, the incident key, priority and team; of an\n"
    "incident also what verified it, and what has raised its priority since. Nothing is stored. Devices, placements\n"
    "and areas are read from the database; if it cannot be reached, ALERT.json is explained without them.\n\n"
    "      --incident ID  explain the first alert of this incident\n"
    "      --reference REFERENCE\n"
    "                     the same, by the number used on the radio, such as 2026-000010\n"
    "      --json         print one JSON object\n"
    "  -c, --config FILE  configuration file with the rules (default: " CONF_DEFAULT_FILE ")\n"
    "      --db CONNINFO  libpq connection string; overrides database.conninfo\n"
    "  -h, --help         print this help\n\n"
    "Example:\n"
    "  $ mobeyectl explain --incident 4711\n\n" CTL_EXIT_HELP;

struct explain_request {
    struct ctl_call call;
    const char *incident, *reference, *alert;
};

/* An alert as the rules see it, and the result. */
struct explanation {
    const struct conf *conf;
    struct alert alert;
    bool with_registry;
    bool with_incidents;          /* the role may read incidents, so that team and accepts are set */
    char *team;                   /* the team of its areas, from the database; NULL: none */
    char *accepts;                /* the incident of its key that accepts alerts, from the database; NULL: none */
    char *incident;               /* the incident of --incident; NULL: not given */
    struct buf unknown_team;      /* what is wrong with the team of the rule; empty: nothing, as far as known */
    struct explain_raised raised; /* of that incident */
};

/* Appends a line of the output: name and value. */
static void put_value(struct buf *out, bool json, const char *name, struct str value)
{
    if (json) {
        json_write_text(out, name, value);
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
    put_value(out, json, name, str_from(text));
}

static void put_number(struct buf *out, bool json, const char *name, int value)
{
    if (json)
        json_write_number(out, name, value);
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
    put_value(out, json, "device", alert->device);
    put_value(out, json, "kind",
              alert->kind == KIND_UNKNOWN ? alert->kind_word : str_from(alert_kind_word(alert->kind)));
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
        put_value(out, json, "flags", buf_str(&flags));
    buf_free(&flags);
}

static void put_place(struct buf *out, bool json, const struct explanation *explanation)
{
    const struct alert *alert = &explanation->alert;
    struct buf areas = {0};
    if (!explanation->with_registry)
        put_text(out, json, "registry", "unknown: no database");
    else
        put_text(out, json, "registry", "%s%s%.*s", alert->registered ? "registered" : "not registered",
                 alert->group.len ? ", group " : "", (int)alert->group.len, alert->group.p ? alert->group.p : "");
    if (alert->place.source == LOCATION_NONE)
        put_text(out, json, "place", "none");
    else
        put_text(out, json, "place", "%.5f,%.5f (%s)", alert->place.lon, alert->place.lat,
                 alert_location_word(alert->place.source));
    for (size_t i = 0; alert->areas && i < alert->areas->n; i++)
        buf_printf(&areas, "%s%.*s %.*s", i ? ", " : "", (int)alert->areas->area[i].layer.len,
                   alert->areas->area[i].layer.p, (int)alert->areas->area[i].code.len, alert->areas->area[i].code.p);
    put_value(out, json, "areas", areas.len ? buf_str(&areas) : STR("none"));
    buf_free(&areas);
}

static void put_decision(struct buf *out, bool json, const struct explanation *explanation)
{
    const struct alert *alert = &explanation->alert;
    const struct incident_terms *terms = alert->terms;
    char key[IDENTITY_TEXT_SIZE];
    put_value(out, json, "rule", alert->rule.len ? alert->rule : STR("none: the alert is stored only"));
    if (!terms) {
        if (alert->rule.len)
            put_text(out, json, "action", "store");
        return;
    }
    put_text(out, json, "category", "%s", incident_category_word(terms->category));
    put_number(out, json, "priority", terms->priority);
    if (explanation->raised.stored)
        put_value(out, json, "stored", str_from(explanation->raised.stored));
    if (explanation->raised.verified)
        put_value(out, json, "verified", str_from(explanation->raised.verified));
    if (explanation->raised.raised)
        put_value(out, json, "raised", str_from(explanation->raised.raised));
    put_value(out, json, "key", str_from(identity_text(alert->key, key)));
    bool by_rule = terms->team.len > 0 && explanation->unknown_team.len == 0;
    struct str team = by_rule ? terms->team : alert->placement_team;
    struct str unseen = explanation->with_registry
                            ? STR("unknown: reading the team of its areas requires a member of mobeye_owner")
                            : STR("unknown: no database");
    put_value(out, json, "team",
              team.len                      ? team
              : explanation->team           ? str_from(explanation->team)
              : explanation->with_incidents ? STR("none")
                                            : unseen);
    if (explanation->unknown_team.len > 0)
        put_text(out, json, "warning", "%.*s: the incident gets the team of its place",
                 (int)explanation->unknown_team.len, explanation->unknown_team.data);
    if (alert->phase == PHASE_RESTORE)
        put_text(out, json, "makes", "nothing: a restore only joins an existing incident");
    if (explanation->accepts)
        put_text(out, json, "joins", "incident %s, which accepts alerts of this key", explanation->accepts);
}

/* Every rule, those before and after the deciding one. */
static void put_rules(struct buf *out, bool json, const struct explanation *explanation)
{
    bool decided = false;
    buf_printf(out, json ? ", \"rules\": [" : "\nRules, in order:\n");
    for (size_t i = 0; i < explanation->conf->n_rules; i++) {
        const struct conf_rule *rule = &explanation->conf->rules[i];
        struct buf why = {0};
        bool matches = rules_explain(&rule->match, &explanation->alert, &why);
        if (matches)
            buf_printf(&why, decided ? "matches, but an earlier rule decides" : "matches and decides");
        if (json) {
            json_write_comma(out);
            buf_printf(out, "{");
            json_write_text(out, "rule", str_from(rule->name));
            json_write_bool(out, "matches", matches);
            json_write_bool(out, "decides", matches && !decided);
            json_write_text(out, "why", buf_str(&why));
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

static void print_explanation(const struct explanation *explanation, bool json)
{
    struct buf out = {0};
    if (json)
        buf_printf(&out, "{");
    if (explanation->incident)
        put_value(&out, json, "incident", str_from(explanation->incident));
    put_alert(&out, json, &explanation->alert);
    put_place(&out, json, explanation);
    put_decision(&out, json, explanation);
    put_rules(&out, json, explanation);
    buf_printf(&out, json ? "}\n" : "");
    fwrite(out.data, 1, out.len, stdout);
    buf_free(&out);
}

static void ask_team(PGconn *conn, struct explanation *explanation)
{
    struct buf areas = {0};
    if (explanation->alert.areas)
        incident_areas_text(explanation->alert.areas, &areas);
    buf_append(&areas, "", 1);
    explanation->team =
        ctl_query_text(conn, "select (mobeye.teams_of(array[null::bigint], array[nullif($1, '')]))[1]", areas.data);
    buf_free(&areas);
}

static void ask_accepting(PGconn *conn, struct explanation *explanation)
{
    char key[IDENTITY_TEXT_SIZE];
    if (explanation->alert.terms)
        explanation->accepts =
            ctl_query_text(conn, "select incident_id from mobeye.incident where incident_key = $1::uuid and accepting",
                           identity_text(explanation->alert.key, key));
}

/* request_incident: its number; NULL: the alert does not belong to an incident. */
static void enrich_and_explain(PGconn *conn, struct enrich_tool *tool, struct explanation *explanation,
                               const char *request_incident, bool json)
{
    enrich_tool_enrich(tool, &explanation->alert);
    if (conn && explanation->alert.terms)
        rule_team_check(conn, explanation->alert.rule, explanation->alert.terms->team, &explanation->unknown_team);
    explanation->with_incidents = conn && ctl_readable(conn, "mobeye.incident");
    if (explanation->with_incidents) {
        ask_team(conn, explanation);
        ask_accepting(conn, explanation);
    }
    if (request_incident && explanation->alert.terms)
        explain_raised_read(&explanation->raised, conn, explanation->conf, request_incident, explanation->alert.rule,
                            explanation->alert.terms->priority);
    print_explanation(explanation, json);
    free(explanation->team);
    free(explanation->accepts);
    buf_free(&explanation->unknown_team);
    explain_raised_free(&explanation->raised);
}

static int explain_alert(const struct explain_request *request, PGconn *conn, struct enrich_tool *tool,
                         struct explanation *explanation)
{
    struct buf text = {0};
    struct cloudevents_decoder *decoder = cloudevents_decoder_new();
    struct reject reject;
    int rc = ctl_read(VERB, request->alert, 2 * ALERT_PAYLOAD_MAX, &text);
    if (rc == CTL_OK && !decode_cloudevents(decoder, buf_str(&text), &explanation->alert, &reject))
        rc = ctl_fail(VERB, "%s: %s: %s%s%s", request->alert, reject_word(reject.code), reject.field,
                      *reject.field ? ": " : "", reject.reason);
    if (rc == CTL_OK) {
        explanation->alert.endpoint = str_from(explanation->conf->endpoints[0].name);
        validate_time(&explanation->alert, clock_wall_us(), explanation->conf->retention.class_us);
        enrich_and_explain(conn, tool, explanation, NULL, request->call.json);
    }
    cloudevents_decoder_free(&decoder);
    buf_free(&text);
    return rc;
}

static int explain_incident(const struct explain_request *request, PGconn *conn, struct enrich_tool *tool,
                            struct explanation *explanation)
{
    struct err err;
    struct batch *batch = batch_new(1);
    uint64_t incident;
    PQclear(PQexec(conn, "begin isolation level repeatable read read only"));
    struct stored *stored = stored_open(conn, request->incident, NULL, &err);
    int rc = stored && stored_next(stored, batch, &incident, &err) == 0 ? CTL_OK : ctl_fail(VERB, "%s", err.text);
    if (rc == CTL_OK && batch->n == 0)
        rc = ctl_fail(VERB, "incident %s does not exist or has no alerts", request->incident);
    if (rc == CTL_OK) {
        explanation->alert = batch->rows[0].alert;
        registry_forget_fixes(tool->registry);
        stored_put_fix(&explanation->alert, tool->registry);
        explanation->incident = ctl_query_text(
            conn,
            "select format('%s: %s, %s, priority %s, rule %s, team %s, %s alert%s', incident_id, "
            "category, status, priority, coalesce(rule, 'none'), coalesce(team, 'none'), "
            "alert_count, case when alert_count <> 1 then 's' end) from mobeye.incident where incident_id = $1::bigint",
            request->incident);
        enrich_and_explain(conn, tool, explanation, request->incident, request->call.json);
        free(explanation->incident);
    }
    stored_close(&stored);
    batch_free(&batch);
    return rc;
}

static const struct ctl_verb verb = {VERB, .takes = "config db json", .argument = "ALERT.json", .most = 1,
                                     .help = help};

/* Whether the text can name an incident: a number of type bigint, or a reference. */
static bool is_incident(const char *text)
{
    enum { DIGITS_MAX = 18 };
    struct incident_reference reference;
    size_t digits = strspn(text, "0123456789");
    return (digits > 0 && digits <= DIGITS_MAX && text[digits] == '\0') || incident_reference_parse(text, &reference);
}

int ctl_explain(int argc, char **argv)
{
    struct explain_request request = {0};
    struct err err;
    struct enrich_tool tool;
    const struct ctl_option options[] = {
        {"incident", .text = &request.incident}, {"reference", .text = &request.reference}, {0}};
    int rc = ctl_parse(argc, argv, &verb, options, &request.call);
    if (rc != CTL_GO)
        return rc;
    request.alert = request.call.arguments[0];
    if ((request.alert != NULL) + (request.incident != NULL) + (request.reference != NULL) != 1)
        return ctl_usage(VERB, "expected one of ALERT.json, --incident ID and --reference REFERENCE");
    if (request.incident && !is_incident(request.incident))
        return ctl_usage(VERB, "--incident %s: not an incident (expected a number, or a reference such as 2026-004711)",
                         request.incident);
    struct conf *conf = ctl_load(request.call.file);
    if (!conf)
        return CTL_FAILED;
    ctl_use_zone(conf->timezone);
    PGconn *conn = ctl_connect_to(VERB, conf, request.call.db);
    if (conn && enrich_tool_load(&tool, conn, conf, &err) != 0) {
        ctl_fail(VERB, "%s", err.text);
        PQfinish(conn);
        conn = NULL;
    }
    struct explanation explanation = {.conf = conf, .with_registry = conn != NULL};
    if (!conn)
        enrich_tool_empty(&tool, conf);
    if (!request.alert && conn)
        request.incident = incident_find(VERB, conn, request.incident, request.reference);
    if (request.alert)
        rc = explain_alert(&request, conn, &tool, &explanation);
    else
        rc = conn && request.incident ? explain_incident(&request, conn, &tool, &explanation) : CTL_FAILED;
    enrich_tool_free(&tool);
    PQfinish(conn);
    conf_free(&conf);
    return rc;
}
