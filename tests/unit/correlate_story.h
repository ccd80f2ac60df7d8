/*
 * How alerts join incidents, as tables. A story is a list of alerts and of what people do, separated by commas:
 *
 *   TIME [WORD ...]   an alert: time of occurrence, then what is not the usual (a raise of motion by device A under the
 *                     rule `night`, from no known place, received when it occurred)
 *   close N TIME      a person closes incident N
 *   system N TIME     the system does
 *   |                 a batch ends here, and what it created is in the database
 *
 * and its outcome the incident of each alert, 1, 2, ... in the order of their creation, or - for none; then facts.
 */
#ifndef MOBEYE_TESTS_CORRELATE_STORY_H
#define MOBEYE_TESTS_CORRELATE_STORY_H

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "correlate_model.h"

#define HOUR CLOCK_HOUR
#define MIN  CLOCK_MINUTE

static const struct conf_rule rules[] = {
    {.name = (char *)"night",
     .makes_incident = true,
     .group_by = GROUP_DEVICE,
     .terms = {.priority = 2,
               .gap_us = 4 * HOUR + 30 * MIN,
               .settle_us = 10 * MIN,
               .verify_within_us = 5 * MIN,
               .verify_priority = 1}},
    {.name = (char *)"urgent",
     .makes_incident = true,
     .group_by = GROUP_DEVICE,
     .terms = {.priority = 1, .gap_us = 1 * HOUR}},
    {.name = (char *)"camera",
     .makes_incident = true,
     .group_by = GROUP_DEVICE,
     .terms = {.priority = 3, .gap_us = 10 * MIN, .max_age_us = 1 * HOUR, .moved_over_m = 200}},
    {.name = (char *)"technical",
     .makes_incident = true,
     .group_by = GROUP_DEVICE | GROUP_KIND,
     .terms = {.category = CATEGORY_SERVICE, .priority = 4, .gap_us = 24 * HOUR, .settle_us = 10 * MIN}},
    {.name = (char *)"fault",
     .makes_incident = true,
     .group_by = GROUP_DEVICE,
     .terms = {.category = CATEGORY_SERVICE, .priority = 1, .gap_us = 24 * HOUR}},
    {.name = (char *)"input",
     .makes_incident = true,
     .group_by = GROUP_DEVICE | GROUP_INPUT,
     .terms = {.priority = 2, .gap_us = 1 * HOUR}},
    {.name = (char *)"street",
     .makes_incident = true,
     .group_by = GROUP_KIND,
     .terms = {.priority = 2, .gap_us = 1 * HOUR, .moved_over_m = 200}},
    {.name = (char *)"store"},
};

enum { ALERTS_MAX = 32 };

struct story {
    char *words; /* of the table, as strings of the alerts and incidents */
    struct model model;
    struct batch *batch;
    size_t joined[ALERTS_MAX]; /* incident numbers, 0: none */
    size_t n;
    char why[128]; /* not empty: the story cannot be parsed */
};

static int64_t clock_time(const char *word)
{
    int hours = 0, minutes = 0, seconds = 0;
    sscanf(word, "%d:%d:%d", &hours, &minutes, &seconds);
    return ((hours * 60LL + minutes) * 60 + seconds) * CLOCK_SECOND;
}

static const struct conf_rule *rule_named(const char *name)
{
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        if (strcmp(rules[i].name, name) == 0)
            return &rules[i];
    return NULL;
}

static void place(struct alert *alert, enum location_source source, const char *east_m)
{
    alert->place.source = source;
    alert->place.lat = 52.19634;
    alert->place.lon = 5.38421 + atof(east_m) / 68358.0; /* metres a degree there */
}

static void place_home(struct alert *alert, const char *east_m)
{
    place(alert, LOCATION_PLACEMENT, east_m);
    alert->placed_lon = alert->place.lon;
    alert->placed_lat = alert->place.lat;
}

static bool take_word(struct alert *alert, const struct conf_rule **rule, const char *word)
{
    static const struct {
        const char *word;
        uint32_t flags;
    } flags[] = {{"verified", FLAG_VERIFIED}, {"cancel", FLAG_CANCEL}};
    const char *value = strchr(word, '=');
    value = value ? value + 1 : "";
    for (size_t i = 0; i < 2; i++)
        if (strcmp(word, flags[i].word) == 0) {
            alert->flags |= flags[i].flags;
            return true;
        }
    if (rule_named(word))
        *rule = rule_named(word);
    else if (alert_phase_from(str_from(word)) >= 0)
        alert->phase = (enum alert_phase)alert_phase_from(str_from(word));
    else if (alert_kind_from(str_from(word)) != KIND_UNKNOWN)
        alert->kind = alert_kind_from(str_from(word));
    else if (strncmp(word, "received=", 9) == 0)
        alert->received_us = clock_time(value);
    else if (strncmp(word, "track=", 6) == 0)
        alert->camera.track = str_from(value);
    else if (strncmp(word, "input=", 6) == 0)
        alert->input = atoi(value);
    else if (strncmp(word, "device=", 7) == 0)
        alert->device = str_from(value);
    else if (strncmp(word, "fix=", 4) == 0)
        place(alert, LOCATION_MESSAGE, value);
    else if (strncmp(word, "home=", 5) == 0)
        alert->placement_id = strtoull(value, NULL, 10);
    else if (strncmp(word, "since=", 6) == 0)
        alert->placed_us = clock_time(value);
    else if (strncmp(word, "until=", 6) == 0)
        alert->placed_until_us = clock_time(value);
    else if (strncmp(word, "placed=", 7) == 0)
        place_home(alert, value);
    else if (strncmp(word, "accuracy=", 9) == 0)
        alert->place.accuracy_m = (float)atof(value);
    else if (strcmp(word, "drill") == 0)
        alert->drill = true;
    else
        return false;
    return true;
}

static void take_alert(struct story *story, char *words)
{
    char *rest = NULL, *word = strtok_r(words, " ", &rest);
    int64_t at_us = clock_time(word);
    const struct conf_rule *rule = &rules[0];
    struct alert alert = {.device = STR("A"),
                          .kind = KIND_MOTION,
                          .input = ALERT_NO_INT,
                          .occurred_us = at_us,
                          .received_us = at_us,
                          .place.accuracy_m = NAN,
                          .placed_us = INT64_MIN,
                          .placed_until_us = INT64_MAX};
    while ((word = strtok_r(NULL, " ", &rest)))
        if (!take_word(&alert, &rule, word))
            snprintf(story->why, sizeof(story->why), "what is '%s'?", word);
    incident_key_condition(NULL, &alert);
    if (rule->makes_incident) {
        alert.terms = &rule->terms;
        incident_key_of_rule(NULL, &alert, rule);
    }
    story->batch->rows[story->batch->n++].alert = alert;
}

static void store_batch(struct story *story)
{
    static const uint8_t all[ALERTS_MAX] = {[0 ... ALERTS_MAX - 1] = 1};
    struct transaction t = {.number = 1};
    cr_assert(model_read(&story->model, &t, story->batch));
    correlate(&t.set, story->batch, all);
    cr_assert(model_store(&story->model, &t));
    for (size_t i = 0; i < story->batch->n; i++) {
        size_t incident = story->batch->rows[i].alert.incident;
        story->joined[story->n++] = incident == NO_INCIDENT ? 0 : t.set.incidents[incident].id;
    }
    incident_set_free(&t.set);
    story->batch->n = 0; /* its strings are in story->words */
}

static void close_incident(struct story *story, const char *words, bool by_person)
{
    unsigned number = 0;
    char time[16] = "";
    sscanf(words, "%*s %u %15s", &number, time);
    cr_assert(number >= 1 && number <= story->model.db.n_incidents, "%s", words);
    struct incident *incident = &story->model.db.incidents[number - 1];
    incident->closed = true;
    incident->accepting = false;
    incident->by_person = by_person;
    incident->closed_us = clock_time(time);
}

static void take_part(struct story *story, char *part)
{
    part += strspn(part, " ");
    bool by_person = strncmp(part, "close ", 6) == 0;
    if (by_person || strncmp(part, "system ", 7) == 0) {
        store_batch(story);
        close_incident(story, part, by_person);
    } else if (*part == '|') {
        store_batch(story);
        take_part(story, part + 1);
    } else if (*part) {
        take_alert(story, part);
    }
}

static void tell(struct story *story, const char *text)
{
    *story = (struct story){.batch = batch_new(ALERTS_MAX)};
    char *copy = strdup(text), *rest = NULL;
    for (char *part = strtok_r(copy, ",", &rest); part; part = strtok_r(NULL, ",", &rest))
        take_part(story, part);
    store_batch(story);
    story->words = copy;
}

static void end_story(struct story *story)
{
    free(story->words);
    model_free(&story->model);
    batch_free(&story->batch);
}

struct row {
    const char *what;
    const char *story;
    const char *joins; /* "1 1 2 -" */
    const char *facts; /* "1 alerts=2 active=0, 2 priority=1" */
};

static void number_fact(const struct incident *incident, const char *name, char out[32])
{
    const struct {
        const char *name;
        long long value;
    } numbers[] = {
        {"alerts", incident->alert_count},
        {"active", incident->active},
        {"flaps", incident->flaps},
        {"priority", incident->priority},
        {"previous", (long long)incident->previous_id},
        {"home", (long long)incident->placement_id},
        {"accepting", incident->accepting},
        {"closed", incident->closed},
        {"urgent", incident->urgent},
        {"verified", incident->verified},
        {"drill", incident->drill},
    };
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        if (strcmp(numbers[i].name, name) == 0)
            snprintf(out, 32, "%lld", numbers[i].value);
}

static void time_fact(const struct incident *incident, const char *name, char out[32])
{
    const struct {
        const char *name;
        int64_t value;
    } times[] = {
        {"first", incident->first_seen_us},       {"last", incident->last_seen_us},
        {"received", incident->last_received_us}, {"restored", incident->restored_us},
        {"cancelled", incident->cancelled_us},    {"restore_received", incident->restore_received_us},
    };
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
        if (strcmp(times[i].name, name) == 0) {
            int64_t minutes = times[i].value / MIN;
            snprintf(out, 32, "%lld:%02lld", (long long)(minutes / 60), (long long)(minutes % 60));
            if (times[i].value == ALERT_NO_TIME)
                strcpy(out, "never");
        }
}

/* "NAME=VALUE" of the incident, in the notation of the table. */
static void check_fact(const struct row *row, const struct incident *incident, char *fact)
{
    char is[32] = "no such fact", *value = strchr(fact, '=');
    cr_assert_not_null(value, "%s: fact '%s'", row->what, fact);
    *value++ = '\0';
    number_fact(incident, fact, is);
    time_fact(incident, fact, is);
    if (strcmp(fact, "kind") == 0)
        snprintf(is, sizeof(is), "%s", alert_kind_word(incident->kind));
    if (strcmp(fact, "device") == 0)
        snprintf(is, sizeof(is), "%.*s", (int)incident->device.len, incident->device.p);
    if (strcmp(fact, "east") == 0)
        snprintf(is, sizeof(is), "%.0f", (incident->place.lon - 5.38421) * 68358.0);
    cr_expect_str_eq(is, value, "%s: %s of incident %llu is %s, not %s\n   in: %s", row->what, fact,
                     (unsigned long long)incident->id, is, value, row->story);
}

static void check_facts(const struct row *row, const struct story *story)
{
    char *copy = strdup(row->facts), *rest = NULL;
    for (char *part = strtok_r(copy, ",", &rest); part; part = strtok_r(NULL, ",", &rest)) {
        char *inner = NULL, *word = strtok_r(part, " ", &inner);
        size_t number = strtoul(word, NULL, 10);
        cr_assert(number >= 1 && number <= story->model.db.n_incidents, "%s: incident %zu", row->what, number);
        while ((word = strtok_r(NULL, " ", &inner)))
            check_fact(row, &story->model.db.incidents[number - 1], word);
    }
    free(copy);
}

static void check(const struct row *row)
{
    struct story story;
    tell(&story, row->story);
    cr_expect_str_empty(story.why, "%s: %s", row->what, story.why);
    char joins[ALERTS_MAX * 4] = "";
    for (size_t i = 0; i < story.n; i++)
        sprintf(joins + strlen(joins), story.joined[i] ? "%s%zu" : "%s-", i ? " " : "", story.joined[i]);
    cr_expect_str_eq(joins, row->joins, "%s: alerts joined %s, not %s\n   in: %s", row->what, joins, row->joins,
                     row->story);
    if (row->facts && strcmp(joins, row->joins) == 0)
        check_facts(row, &story);
    end_story(&story);
}

#define CHECK_ALL(rows)                                                                                                \
    for (size_t i = 0; i < sizeof(rows) / sizeof((rows)[0]); i++)                                                      \
    check(&(rows)[i])

#endif
