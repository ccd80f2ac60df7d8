/* Parses the text of scenarios into steps. */
#include "ctl/rules/scenario.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/mem.h"
#include "base/nearest.h"
#include "ctl/rules/scenario_line.h"
#include "ingest/dc09_frame.h"
#include "ingest/validate.h"
#include "model/alert.h"
#include "model/registry.h"

/* The options that may follow a statement, in any order, and the member that each sets. */
struct option {
    const char *word;
    enum { IS, WORD, ACCOUNT, INPUT, NUMBER, DURATION, TIME, PLACE, FIX } type;
    size_t offset;
    int value; /* of IS */
};

#define OF_ALERT(member)  offsetof(struct scenario_alert, member)
#define OF_DEVICE(member) offsetof(struct scenario_device, member)

static const struct option alert_options[] = {
    {"raise", IS, OF_ALERT(phase), PHASE_RAISE},
    {"restore", IS, OF_ALERT(phase), PHASE_RESTORE},
    {"update", IS, OF_ALERT(phase), PHASE_UPDATE},
    {"drill", IS, OF_ALERT(drill), 1},
    {"image", IS, OF_ALERT(image), 1},
    {"verified", IS, OF_ALERT(verified), 1},
    {"cancelled", IS, OF_ALERT(cancelled), 1},
    {"input", INPUT, OF_ALERT(input), 0},
    {"track", WORD, OF_ALERT(track), 0},
    {"label", WORD, OF_ALERT(label), 0},
    {"zone", WORD, OF_ALERT(zone), 0},
    {"score", NUMBER, OF_ALERT(score), 0},
    {"at", FIX, OF_ALERT(place), 0},
    {"accuracy", NUMBER, OF_ALERT(accuracy_m), 0},
    {"endpoint", WORD, OF_ALERT(endpoint), 0},
    {"received", TIME, OF_ALERT(received), 0},
    {"daemon", WORD, OF_ALERT(daemon), 0},
    {"as", WORD, OF_ALERT(name), 0},
    {NULL, IS, 0, 0},
};

static const struct option device_options[] = {
    {"model", WORD, OF_DEVICE(model), 0},
    {"group", WORD, OF_DEVICE(group), 0},
    {"account", ACCOUNT, OF_DEVICE(account), 0},
    {"input", INPUT, OF_DEVICE(input), 0},
    {"heartbeat", DURATION, OF_DEVICE(heartbeat_us), 0},
    {"grace", DURATION, OF_DEVICE(grace_us), 0},
    {"registered", TIME, OF_DEVICE(registered), 0},
    {"at", PLACE, OF_DEVICE(place), 0},
    {"from", TIME, OF_DEVICE(from), 0},
    {"until", TIME, OF_DEVICE(until), 0},
    {"team", WORD, OF_DEVICE(team), 0},
    {NULL, IS, 0, 0},
};

/* In upper case, as the daemon has it. */
static void normalise_account(struct scenario_line *line, char *account, size_t len)
{
    if (len == 0 || len > REGISTRY_ACCOUNT_MAX || !dc09_is_hex((struct str){account, len}))
        line_error(line, "\"%.*s\" is not an account (expected 1 to 16 of 0-9 A-F)", (int)len, account);
    for (size_t i = 0; i < len; i++)
        account[i] = (char)toupper((unsigned char)account[i]);
}

static const char *take_account(struct scenario_line *line, const char *what)
{
    char *account = line->words[line->at];
    if (account)
        normalise_account(line, account, strlen(account));
    return line_word(line, what);
}

static void take_option(struct scenario_line *line, const struct option *option, char *object)
{
    void *member = object + option->offset;
    switch (option->type) {
    case IS:
        *(int *)member = option->value;
        return;
    case WORD:
        *(const char **)member = line_word(line, option->word);
        return;
    case ACCOUNT:
        *(const char **)member = take_account(line, option->word);
        return;
    case INPUT:
        *(int *)member = (int)line_int(line, 0, ALERT_INPUT_MAX);
        return;
    case NUMBER:
        *(double *)member = line_number(line);
        return;
    case DURATION:
        *(int64_t *)member = line_duration(line);
        return;
    case TIME:
        *(struct written_time *)member = line_time(line);
        return;
    case PLACE:
        *(struct written_place *)member = line_place(line);
        return;
    case FIX:
        *(struct written_place *)member = line_fix(line);
        return;
    }
}

static void take_options(struct scenario_line *line, const struct option *options, void *object)
{
    while (line_peek(line) && !line->failed) {
        const struct option *option = options;
        while (option->word && strcmp(option->word, line_peek(line)) != 0)
            option++;
        if (!option->word) {
            struct buf allowed = {0};
            for (option = options; option->word; option++)
                buf_printf(&allowed, " %s", option->word);
            line_error(line, "\"%s\" is not an option of this statement (expected %.*s)", line_peek(line),
                       (int)allowed.len - 1, allowed.data + 1);
            buf_free(&allowed);
            return;
        }
        line->at++;
        take_option(line, option, object);
    }
}

static const char *take_device_id(struct scenario_line *line)
{
    const char *id = line_word(line, "a device");
    if (!line->failed && !validate_device(str_from(id)))
        line_error(line, "\"%s\" is not a device id (expected 1 to 64 of A-Za-z0-9._:/-)", id);
    return id;
}

static const char *take_sender(struct scenario_line *line)
{
    char *id = line->words[line->at];
    size_t prefix = strlen(ALERT_DC09_PREFIX);
    if (id && strncmp(id, ALERT_DC09_PREFIX, prefix) == 0)
        normalise_account(line, id + prefix, strcspn(id + prefix, "/"));
    return take_device_id(line);
}

static void read_rules(struct scenario_line *line, struct step *step)
{
    step->kind = STEP_RULES;
    step->word = line_word(line, "the file of the rules");
}

static void read_device(struct scenario_line *line, struct step *step)
{
    step->kind = STEP_DEVICE;
    step->device = (struct scenario_device){.input = ALERT_NO_INT};
    step->device.id = take_device_id(line);
    take_options(line, device_options, &step->device);
}

static void read_place(struct scenario_line *line, struct step *step)
{
    read_device(line, step);
    step->kind = STEP_PLACE;
    if (!step->device.place.given)
        line_error(line, "at LON,LAT is missing");
}

static void add_point(struct scenario *scenario, double lon, double lat)
{
    if (scenario->n_points == scenario->cap_points) {
        scenario->cap_points = scenario->cap_points ? 2 * scenario->cap_points : 16;
        scenario->points = mem_realloc(scenario->points, scenario->cap_points, sizeof(*scenario->points));
    }
    scenario->points[scenario->n_points++] = (struct written_place){.given = true, .lon = lon, .lat = lat};
}

/* Two places are opposite corners of a box. */
static void read_area(struct scenario_line *line, struct step *step)
{
    struct scenario *scenario = line->scenario;
    struct written_place corner[2] = {{0}};
    step->kind = STEP_AREA;
    step->area.layer = line_word(line, "the layer");
    step->area.code = line_word(line, "the code");
    step->area.first_point = scenario->n_points;
    while (line_peek(line) && !line->failed) {
        struct written_place place = line_place(line);
        corner[scenario->n_points > step->area.first_point] = place;
        add_point(scenario, place.lon, place.lat);
    }
    step->area.n_points = scenario->n_points - step->area.first_point;
    if (step->area.n_points == 2) {
        scenario->points[step->area.first_point + 1] =
            (struct written_place){.given = true, .lon = corner[1].lon, .lat = corner[0].lat};
        add_point(scenario, corner[1].lon, corner[1].lat);
        add_point(scenario, corner[0].lon, corner[1].lat);
        step->area.n_points = 4;
    }
    if (step->area.n_points < 3)
        line_error(line,
                   "too few places for an area (expected two opposite corners, or three or more places around it)");
}

static void read_team(struct scenario_line *line, struct step *step)
{
    step->kind = STEP_TEAM;
    step->word = line_word(line, "the team");
    if (!line_skip(line, "covers"))
        line_error(line, "\"covers LAYER CODE\" is missing");
    step->area = (struct scenario_area){.layer = line_word(line, "the layer"), .code = line_word(line, "the code")};
}

/* The title is the rest of the line. */
static void read_title(struct scenario_line *line, struct step *step)
{
    step->kind = STEP_SCENARIO;
    step->word = line_word(line, "a title");
    for (; line_peek(line); line->at++) {
        char *before = line->words[line->at - 1];
        before[strlen(before)] = ' ';
    }
}

static void add_fact(struct scenario *scenario, const char *name, const char *value)
{
    if (scenario->n_facts == scenario->cap_facts) {
        scenario->cap_facts = scenario->cap_facts ? 2 * scenario->cap_facts : 64;
        scenario->facts = mem_realloc(scenario->facts, scenario->cap_facts, sizeof(*scenario->facts));
    }
    scenario->facts[scenario->n_facts++] = (struct scenario_fact){name, value};
}

/* Removes a final mark such as , or : from a word, and returns whether it was there. */
static bool strip_mark(const char *word, char mark)
{
    size_t len = strlen(word);
    bool is = len > 1 && word[len - 1] == mark;
    if (is)
        ((char *)word)[len - 1] = '\0'; /* words are slices of scenario.text */
    return is;
}

static void read_facts(struct scenario_line *line, struct step *step)
{
    bool of_incident = line_skip(line, "incident");
    if (!of_incident && !line_skip(line, "alert")) {
        line_error(
            line,
            "missing expectation (expected N incidents; no incidents; incident N: FACT VALUE, ...; alert N: ...)");
        return;
    }
    step->kind = STEP_EXPECT_FACTS;
    step->facts = (struct scenario_facts){.alert = line_word(line, "its number"), .first = line->scenario->n_facts};
    if (!strip_mark(step->facts.alert, ':'))
        line_error(line, "missing colon after \"%s\"", step->facts.alert);
    step->facts.incident = of_incident ? strtoul(step->facts.alert, NULL, 10) : 0;
    if (of_incident && step->facts.incident == 0)
        line_error(line, "\"%s\" is not an incident number (expected 1, 2, ... in the order of creation)",
                   step->facts.alert);
    bool more = true;
    while (more && !line->failed) {
        const char *name = line_word(line, "a fact"), *value = line_word(line, "its value");
        more = strip_mark(value, ',');
        add_fact(line->scenario, name, value);
    }
    step->facts.n = line->scenario->n_facts - step->facts.first;
}

static void read_expect(struct scenario_line *line, struct step *step)
{
    bool none = line_skip(line, "no");
    const char *next = line_peek(line);
    if (!none && (!next || next[0] < '0' || next[0] > '9')) {
        read_facts(line, step);
        return;
    }
    step->kind = STEP_EXPECT_COUNT;
    step->count = none ? 0 : (size_t)line_int(line, 0, 1000000);
    if (!line_skip(line, "incidents") && !line_skip(line, "incident"))
        line_error(line, "\"incidents\" is missing");
}

/* The actions of people, and the word before their outcome or name. */
static const struct {
    const char *action;
    const char *preposition;
} actions[] = {{"close", "as"},    {"acknowledge", NULL}, {"assign", "to"},
               {"on_scene", NULL}, {"reopen", NULL},      {"verify", NULL}};

static bool read_person(struct scenario_line *line, struct step *step)
{
    for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
        if (!line_skip(line, actions[i].action))
            continue;
        step->kind = STEP_PERSON;
        step->person = (struct scenario_person){.action = actions[i].action};
        step->person.incident = (size_t)line_int(line, 1, 1000000);
        if (!actions[i].preposition)
            return true;
        if (!line_skip(line, actions[i].preposition))
            line_error(line, "\"%s\" is missing", actions[i].preposition);
        step->person.outcome = line_word(line, "the value");
        return true;
    }
    return false;
}

static const char *take_daemon(struct scenario_line *line)
{
    return line_skip(line, "daemon") ? line_word(line, "its name") : NULL;
}

static bool read_machine(struct scenario_line *line, struct step *step)
{
    if (line_skip(line, "nothing")) {
        step->kind = STEP_NOTHING;
    } else if (line_skip(line, "rules")) {
        read_rules(line, step);
    } else if (line_skip(line, "restart")) {
        step->kind = STEP_RESTART;
        step->word = take_daemon(line);
    } else if (line_skip(line, "outage")) {
        step->kind = line_skip(line, "over") ? STEP_OUTAGE_OVER : STEP_OUTAGE;
        step->word = take_daemon(line);
    } else {
        return false;
    }
    return true;
}

static const char *kind_name(const void *ctx, size_t i)
{
    (void)ctx;
    return i < KIND_COUNT ? alert_kind_word((enum alert_kind)i) : NULL;
}

/* Senders may use any word; but one that resembles a known word is taken for a typing error. */
/* A sender's own short words easily resemble a known one: co, alarm. */
#define MISTYPED_LEAST 6

static const char *take_kind(struct scenario_line *line)
{
    const char *word = line_word(line, "the kind of the alert");
    if (strlen(word) > ALERT_KIND_MAX)
        line_error(line, "\"%s\" is longer than %d bytes", word, ALERT_KIND_MAX);
    const char *nearest = line->failed ? NULL : nearest_word(word, kind_name, NULL);
    bool same = nearest && strcasecmp(nearest, word) == 0;
    if (nearest && strcmp(nearest, word) != 0 && (same || strlen(word) >= MISTYPED_LEAST))
        line_error(line, "\"%s\" is not a kind of alert (did you mean %s?)", word, nearest);
    return word;
}

static void read_alert(struct scenario_line *line, struct step *step)
{
    step->kind = STEP_ALERT;
    step->alert = (struct scenario_alert){.input = ALERT_NO_INT, .score = NAN, .accuracy_m = NAN};
    step->alert.device = take_sender(line);
    step->alert.kind = take_kind(line);
    take_options(line, alert_options, &step->alert);
    if (step->alert.daemon && strcmp(step->alert.daemon, "a") != 0 && strcmp(step->alert.daemon, "b") != 0)
        line_error(line, "daemon \"%s\" is unknown (expected a or b)", step->alert.daemon);
}

static void read_at(struct scenario_line *line, struct step *step)
{
    step->at = line_time(line);
    if (!line->failed && !read_machine(line, step) && !read_person(line, step))
        read_alert(line, step);
}

static const struct {
    const char *word;
    void (*read)(struct scenario_line *line, struct step *step);
} statements[] = {{"at", read_at},     {"expect", read_expect}, {"device", read_device},  {"place", read_place},
                  {"area", read_area}, {"team", read_team},     {"scenario", read_title}, {"rules", read_rules}};

static void read_line(struct scenario_line *line)
{
    struct scenario *scenario = line->scenario;
    struct step step = {.line = line->number};
    const char *word = line_word(line, "a statement");
    size_t i = 0;
    while (i < ARRAY_LEN(statements) && strcmp(statements[i].word, word) != 0)
        i++;
    if (i == ARRAY_LEN(statements))
        line_error(line, "\"%s\" is not a statement (expected at, expect, device, place, area, team, scenario, rules)",
                   word);
    else
        statements[i].read(line, &step);
    if (line_peek(line))
        line_error(line, "unexpected \"%s\" at the end", line_peek(line));
    if (line->failed)
        return;
    if (scenario->n == scenario->cap) {
        scenario->cap = scenario->cap ? 2 * scenario->cap : 64;
        scenario->steps = mem_realloc(scenario->steps, scenario->cap, sizeof(*scenario->steps));
    }
    scenario->steps[scenario->n++] = step;
}

bool scenario_parse(struct scenario *scenario, const char *file, struct str text, struct buf *report)
{
    *scenario = (struct scenario){.text = mem_strndup(text.p ? text.p : "", text.len)};
    size_t reported = report->len;
    unsigned number = 0;
    if (strlen(scenario->text) != text.len) {
        buf_printf(report, "%s:1: not a text file\n", file);
        return false;
    }
    for (char *at = scenario->text, *next; at; at = next) {
        char *end = strchr(at, '\n');
        next = end ? end + 1 : NULL;
        if (end)
            *end = '\0';
        number++;
        struct scenario_line line = {.scenario = scenario, .file = file, .number = number, .report = report};
        line_split(&line, at);
        if (line.words[0] && !line.failed)
            read_line(&line);
    }
    return report->len == reported;
}

void scenario_free(struct scenario *scenario)
{
    free(scenario->text);
    free(scenario->steps);
    free(scenario->facts);
    free(scenario->points);
    *scenario = (struct scenario){0};
}
