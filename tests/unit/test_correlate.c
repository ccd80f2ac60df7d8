/*
 * How alerts join incidents, told in tables. A story is a list of alerts and of what people do:
 *
 *   TIME [WORD ...]          an alert: time of occurrence, then what is not the usual (a raise of motion by device A
 * under the rule `night`, from no known place, received when it occurred) close N TIME, ...        a person closes
 * incident N system N TIME, ...       the system does |                        a batch ends here, and what it made is
 * in the database
 *
 * and its outcome the incident of each alert, 1, 2, ... in the order they were made, or - for none; then facts.
 */
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
     .terms = {.category = CATEGORY_SERVICE, .priority = 4, .gap_us = 24 * HOUR}},
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
    char why[128]; /* not empty: the story is not understood */
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
    alert->location_source = source;
    alert->place_lat = 52.19634;
    alert->place_lon = 5.38421 + atof(east_m) / 68358.0; /* metres a degree there */
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
        alert->track = str_from(value);
    else if (strncmp(word, "input=", 6) == 0)
        alert->input = atoi(value);
    else if (strncmp(word, "device=", 7) == 0)
        alert->device = str_from(value);
    else if (strncmp(word, "fix=", 4) == 0)
        place(alert, LOCATION_MESSAGE, value);
    else if (strncmp(word, "placed=", 7) == 0)
        place(alert, LOCATION_PLACEMENT, value);
    else if (strncmp(word, "accuracy=", 9) == 0)
        alert->place_accuracy_m = (float)atof(value);
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
                          .place_accuracy_m = NAN};
    while ((word = strtok_r(NULL, " ", &rest)))
        if (!take_word(&alert, &rule, word))
            snprintf(story->why, sizeof(story->why), "what is '%s'?", word);
    incident_key_condition(&alert);
    if (rule->makes_incident) {
        alert.terms = &rule->terms;
        incident_key_of_rule(&alert, rule);
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
        {"cancelled", incident->cancelled_us},
    };
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
        if (strcmp(times[i].name, name) == 0) {
            int64_t minutes = times[i].value / MIN;
            snprintf(out, 32, "%lld:%02lld", (long long)(minutes / 60), (long long)(minutes % 60));
            if (times[i].value == ALERT_NO_TIME)
                strcpy(out, "never");
        }
}

/* "NAME=VALUE" of the incident, as the table writes it. */
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
        snprintf(is, sizeof(is), "%.0f", (incident->lon - 5.38421) * 68358.0);
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

Test(correlate, the_gap)
{
    static const struct row rows[] = {
        {"a repeat at the gap's edge joins", "0:00, 4:30", "1 1", "1 alerts=2 first=0:00 last=4:30"},
        {"a second later it begins a new incident, and the old one accepts no more", "0:00, 4:30:01", "1 2",
         "1 accepting=0 alerts=1, 2 accepting=1 previous=0"},
        {"the same from batch to batch", "0:00, | 4:30, | 9:00:01", "1 1 2", "1 accepting=0, 2 accepting=1"},
        {"each alert extends it", "0:00, 4:00, 8:00, 12:00", "1 1 1 1", "1 alerts=4 last=12:00"},
        {"an outage of half a day holds several episodes", "0:00, 0:10, 6:00, 6:10, 12:00", "1 1 2 2 3",
         "1 alerts=2 accepting=0, 2 alerts=2 accepting=0, 3 alerts=1 accepting=1"},
        {"the gap is that of the rule that made the incident", "0:00 urgent, 1:00:01 night, 5:30 urgent, 5:31 night",
         "1 2 2 2", NULL},
        {"another device has incidents of its own", "0:00, 0:01 device=B", "1 2", "1 device=A, 2 device=B"},
        {"other kinds of a device join by the key", "0:00 motion, 0:01 tamper, 0:02 fire", "1 1 1", "1 kind=motion"},
    };
    CHECK_ALL(rows);
}

Test(correlate, late_alerts)
{
    static const struct row rows[] = {
        {"an early alert within the gap joins, and the incident began then", "6:00, 1:30", "1 1",
         "1 first=1:30 last=6:00 alerts=2"},
        {"one of an episode before makes an incident that never accepts", "12:00, | 1:00, | 12:01", "1 2 1",
         "1 accepting=1 alerts=2, 2 accepting=0 closed=0"},
        {"later ones of that episode find it", "12:00, | 1:00, | 1:10, 5:30, 10:00", "1 2 2 2 1",
         "2 alerts=3 last=5:30"},
        {"between two episodes the one that accepts takes it", "0:00, 6:00, 3:00", "1 2 2", NULL},
        {"an older episode that is nearer and no longer accepts takes what the accepting one cannot",
         "0:00, 10:00, | 2:00", "1 2 1", "1 last=2:00 alerts=2, 2 alerts=1 accepting=1"},
        {"of two older ones the nearer", "0:00, 6:00, 20:00, | 4:00, 2:30", "1 2 3 2 2", NULL},
        {"a late one does not lead its thread away", "12:00, | 1:00, | 12:10 restore", "1 2 1",
         "1 active=0 restored=12:10, 2 active=0"},
        {"out of order within a batch is one episode", "0:30, 0:10, 0:20, 0:00", "1 1 1 1",
         "1 first=0:00 last=0:30 alerts=4"},
        {"what was received last is known", "0:00 received=0:01, 0:10 received=3:00, 0:20 received=0:21", "1 1 1",
         "1 received=3:00"},
    };
    CHECK_ALL(rows);
}

Test(correlate, max_age)
{
    static const struct row rows[] = {
        {"as old as may be",
         "0:00 camera, 0:10 camera, 0:20 camera, 0:30 camera, 0:40 camera, 0:50 camera, 1:00 camera", "1 1 1 1 1 1 1",
         "1 accepting=1"},
        {"a second older",
         "0:00 camera, 0:10 camera, 0:20 camera, 0:30 camera, 0:40 camera, 0:50 camera, "
         "1:00:01 camera, 1:01 camera",
         "1 1 1 1 1 1 2 2", "1 accepting=0, 2 accepting=1"},
        {"an early alert makes no incident older than that either",
         "1:00 camera, 0:50 camera, 0:40 camera, 0:30 camera, 0:20 camera, 0:10 camera, 0:00 camera", "1 1 1 1 1 1 1",
         "1 first=0:00"},
        {"too early for its age",
         "1:05 camera, 0:55 camera, 0:45 camera, 0:35 camera, 0:25 camera, 0:15 camera, "
         "0:05 camera, 0:04:59 camera",
         "1 1 1 1 1 1 1 2", "1 accepting=1, 2 accepting=0"},
        {"without max_age an incident may be days old", "0:00, 4:00, 8:00, 12:00, 16:00, 20:00, 24:00, 28:00",
         "1 1 1 1 1 1 1 1", NULL},
    };
    CHECK_ALL(rows);
}

Test(correlate, moved_over)
{
    static const struct row rows[] = {
        {"within the distance", "0:00 camera fix=0, 0:01 camera fix=199", "1 1", "1 east=0"},
        {"beyond it", "0:00 camera fix=0, 0:01 camera fix=201, 0:02 camera fix=202", "1 2 2",
         "1 accepting=0, 2 accepting=1 east=201"},
        {"back again is a third", "0:00 camera fix=0, 0:01 camera fix=300, 0:02 camera fix=0", "1 2 3", NULL},
        {"a late one of before the move joins the first", "0:00 camera fix=0, 0:05 camera fix=300, 0:02 camera fix=10",
         "1 2 1", NULL},
        {"without a place nothing has moved", "0:00 camera fix=0, 0:01 camera, 0:02 camera fix=150", "1 1 1", NULL},
        {"an incident without a place takes the first that comes", "0:00 camera, 0:01 camera fix=900", "1 1",
         "1 east=900"},
        {"another device is not the incident's device that moved",
         "0:00 street fix=0, 0:01 street device=B fix=900, 0:02 street fix=201, 0:03 street device=B fix=0", "1 1 2 2",
         NULL},
        {"no limit", "0:00 fix=0, 0:01 fix=5000", "1 1", NULL},
    };
    CHECK_ALL(rows);
}

Test(correlate, conditions)
{
    static const struct row rows[] = {
        {"a repeat joins whichever rule matches now", "0:00 night, 0:10 urgent, 0:20 store, 0:30 input", "1 1 1 1",
         "1 alerts=4 priority=1"},
        {"a device's other kind goes by its rule", "0:00 motion, 0:01 tamper store", "1 -", NULL},
        {"an update follows too", "0:00, | 0:10 update store", "1 1", "1 alerts=1"},
        {"another input is another thread", "0:00 input input=1, 0:01 input input=2, 0:02 store input=1", "1 2 1",
         NULL},
        {"and goes by the key", "0:00 input=1, 0:01 input=2", "1 1", "1 alerts=2 active=2"},
        {"out of the gap the rule decides", "0:00, 4:31 store", "1 -", NULL},
        {"an alarm's raise does not hide in a service incident",
         "0:00 tamper technical, 0:01 tamper night, 0:02 tamper technical", "1 2 2",
         "1 active=0 alerts=1 accepting=1, 2 active=1 alerts=2 priority=2"},
        {"its update and its restore do", "0:00 tamper technical, 0:01 tamper update night, 0:02 tamper restore night",
         "1 1 1", "1 closed=1"},
        {"a service raise may join an alarm incident, and leaves its priority",
         "0:00 tamper night, 0:01 tamper technical", "1 1", "1 priority=2 alerts=2"},
    };
    CHECK_ALL(rows);
}

Test(correlate, restores)
{
    static const struct row rows[] = {
        {"a restore makes nothing", "0:00 restore", "-", NULL},
        {"an alarm stays open", "0:00, 0:05 restore", "1 1", "1 closed=0 accepting=1 restored=0:05 active=0 alerts=1"},
        {"and takes the next raise: it flaps", "0:00, 0:05 restore, 0:10, | 0:15 restore, | 0:20", "1 1 1 1 1",
         "1 flaps=2 active=1 restored=never alerts=3"},
        {"service is closed", "0:00 power technical, 0:05 power restore technical", "1 1",
         "1 closed=1 accepting=0 restored=0:05"},
        {"the same in the next batch", "0:00 power technical, | 0:05 power restore technical, | 0:06 power technical",
         "1 1 2", "1 closed=1, 2 closed=0 previous=0"},
        {"of several inputs the last restore closes",
         "0:00 power technical input=1, 0:01 power technical input=2, 0:02 power restore technical input=1, | "
         "0:03 power restore technical input=2",
         "1 1 1 1", "1 closed=1 restored=0:03"},
        {"one of them is not enough",
         "0:00 power technical input=1, 0:01 power technical input=2, | 0:02 power restore technical input=1", "1 1 1",
         "1 closed=0 active=1 restored=never"},
        {"a restore without input ends all of its kind",
         "0:00 power technical input=1, 0:01 power technical input=2, | 0:02 power restore store", "1 1 1",
         "1 closed=1 active=0"},
        {"but not another kind", "0:00 motion input=1, 0:01 tamper input=1, 0:02 tamper restore", "1 1 1",
         "1 active=1 restored=never"},
        {"a raise without input is ended by any restore of its kind",
         "0:00 power technical, | 0:05 power restore store input=3", "1 1", "1 closed=1"},
        {"an input's restore leaves the other input's incident",
         "0:00 input input=1, 0:01 input input=2, 0:02 restore input input=2", "1 2 2", "1 active=1, 2 active=0"},
        {"a restore without input joins the latest that is active",
         "0:00 input input=1, 0:01 input input=2, 0:02 restore store", "1 2 2", "1 active=1, 2 active=0"},
        {"a restore by the key joins, and ends nothing that it does not speak of", "0:00 input=1, 0:02 tamper restore",
         "1 1", "1 active=1 last=0:02"},
        {"too late to join, it still ends what was raised: an alarm is no longer active", "0:00, | 5:00 restore", "1 -",
         "1 active=0 restored=5:00 closed=0 last=0:00"},
        {"and service is over", "0:00 battery technical, | 72:00 battery restore technical", "1 -",
         "1 closed=1 restored=72:00"},
        {"a late restore does not end what was raised after it",
         "0:00 power technical, 0:05 power restore technical, 0:10 power technical, | 0:06 power restore technical",
         "1 1 2 2", "2 closed=0 active=1"},
        {"nor does a late raise begin what has been restored", "0:00, 0:10 restore, | 0:05", "1 1 1",
         "1 alerts=2 active=0 flaps=0 restored=0:10"},
        {"nor a late restore close an episode that came after",
         "0:00 power technical, | 48:00 power technical, | "
         "24:00 power restore technical",
         "1 2 2", "2 closed=0 active=1"},
    };
    CHECK_ALL(rows);
}

Test(correlate, closed_by_a_person)
{
    static const struct row rows[] = {
        {"what is received later makes a new one, linked", "0:00, close 1 0:20, 0:31", "1 2",
         "1 alerts=1, 2 previous=1 accepting=1"},
        {"what was received before counts on it", "0:00, close 1 0:20, 0:10 received=0:20", "1 1", "1 alerts=2"},
        {"within settle too", "0:00, close 1 0:20, 0:30", "1 1", "1 alerts=2 closed=1 accepting=0"},
        {"by receipt, not by occurrence", "0:00, close 1 0:20, 0:19 received=0:31", "1 2", "2 previous=1"},
        {"not without settle", "0:00 urgent, close 1 0:20, 0:21 urgent", "1 2", "2 previous=1"},
        {"panic is news", "0:00, close 1 0:20, 0:21 panic", "1 2", "2 previous=1 urgent=1 kind=panic"},
        {"holdup is news, also when it was received before", "0:00, close 1 0:20, 0:10 holdup received=0:11", "1 2",
         "2 previous=1 urgent=1"},
        {"and what follows it joins the news", "0:00, close 1 0:20, 0:21 panic, 0:22", "1 2 2", "2 alerts=2"},
        {"a restore within settle joins and opens nothing", "0:00, close 1 0:20, 0:25 restore", "1 1",
         "1 closed=1 restored=0:25 active=0"},
        {"after settle it joins nothing", "0:00, close 1 0:20, 0:40 restore", "1 -", "1 closed=1"},
        {"out of the gap nothing links", "0:00, close 1 0:20, 4:31", "1 2", "2 previous=0"},
        {"the thread's incident settles whichever rule matches", "0:00, close 1 0:20, 0:25 store, 0:26 input", "1 1 1",
         NULL},
        {"and links", "0:00, close 1 0:20, 0:35 input", "1 2", "2 previous=1"},
        {"closed by the system: no settle, no link", "0:00, system 1 0:20, 0:21", "1 2", "2 previous=0"},
        {"even what was received before", "0:00, system 1 0:20, 0:10 received=0:19", "1 2", "2 previous=0"},
        {"an update after it makes a new one as well, and counts", "0:00, close 1 0:20, 0:31 update", "1 2",
         "2 alerts=1 previous=1"},
    };
    CHECK_ALL(rows);
}

Test(correlate, counts)
{
    static const struct row rows[] = {
        {"an update counts only where it makes the incident", "0:00 update, 0:01 update, 0:02", "1 1 1",
         "1 alerts=2 active=1"},
        {"a track counts once",
         "0:00 camera track=x, 0:01 camera track=x, 0:02 camera track=x update, | 0:03 camera track=x, "
         "0:04 camera track=x restore",
         "1 1 1 1 1", "1 alerts=1 active=0"},
        {"each track does", "0:00 camera track=x, 0:01 camera track=y, | 0:02 camera track=y, 0:03 camera track=z",
         "1 1 1 1", "1 alerts=3 active=3"},
        {"whose first alert was too weak and is an update now",
         "0:00 camera track=x, 0:01 store track=y, 0:02 camera update track=y, 0:03 camera track=y", "1 - 1 1",
         "1 alerts=2"},
        {"in the next incident again", "0:00 camera track=x, 0:20 camera track=x", "1 2", "1 alerts=1, 2 alerts=1"},
        {"restores count nothing", "0:00, 0:01 restore, 0:02 restore", "1 1 1", "1 alerts=1"},
        {"the most urgent rule of the same category", "0:00 night, 0:01 urgent, 0:02 camera", "1 1 1",
         "1 priority=1 alerts=3"},
        {"also that of an update", "0:00 camera, 0:01 urgent update", "1 1", "1 priority=1"},
        {"not that of a restore", "0:00 camera, 0:01 urgent restore", "1 1", "1 priority=3"},
    };
    CHECK_ALL(rows);
}

Test(correlate, places)
{
    static const struct row rows[] = {
        {"a fix is better than the placement", "0:00 placed=0, 0:01 fix=50, 0:02 placed=0", "1 1 1", "1 east=50"},
        {"of two fixes the more accurate", "0:00 fix=0 accuracy=50, 0:01 fix=30 accuracy=10, 0:02 fix=40 accuracy=20",
         "1 1 1", "1 east=30"},
        {"any accuracy is better than none", "0:00 fix=0, 0:01 fix=30 accuracy=500", "1 1", "1 east=30"},
        {"else the first stays", "0:00 fix=0, 0:01 fix=30", "1 1", "1 east=0"},
    };
    CHECK_ALL(rows);
}

Test(correlate, what_panels_say)
{
    static const struct row rows[] = {
        {"a verified alarm is verified, with the priority of that", "0:00 intrusion verified", "1",
         "1 verified=1 priority=1"},
        {"also the second alert", "0:00 intrusion, | 0:01 intrusion verified", "1 1", "1 verified=1 priority=1"},
        {"service is not", "0:00 power technical verified", "1", "1 verified=0 priority=4"},
        {"a drill is not", "0:00 drill intrusion verified", "1", "1 verified=0 priority=2"},
        {"a restore verifies nothing", "0:00 intrusion, 0:01 intrusion restore verified", "1 1", "1 verified=0"},
        {"called off: noted, and closes nothing", "0:00 intrusion, 0:01 intrusion update cancel", "1 1",
         "1 cancelled=0:01 closed=0 accepting=1 alerts=1 active=1"},
        {"the number is a user's: noted on what is active",
         "0:00 intrusion input=3, | 0:01 store intrusion update input=7 cancel", "1 1",
         "1 cancelled=0:01 closed=0 active=1"},
        {"what is active goes before what is over, whatever the number",
         "0:00 input intrusion input=3, 0:01 input intrusion input=7, 0:02 input intrusion input=7 restore, | "
         "0:03 input intrusion update input=7 cancel",
         "1 2 2 1", "1 cancelled=0:03 active=1, 2 cancelled=never active=0"},
        {"of the input that it names, where that is active",
         "0:00 input intrusion input=3, 0:01 input intrusion input=7, 0:02 input intrusion update input=3 cancel",
         "1 2 1", "1 cancelled=0:02, 2 cancelled=never"},
        {"not of another device or kind",
         "0:00 intrusion input=3, 0:01 fire input=3, 0:02 store device=B intrusion update input=3 cancel", "1 1 -",
         "1 cancelled=never"},
        {"makes nothing", "0:00 intrusion update cancel", "-", NULL},
        {"panic makes an incident urgent, its restore does not",
         "0:00 panic, 0:00 device=B, 0:01 device=B panic restore", "1 2 2", "1 urgent=1, 2 urgent=0"},
    };
    CHECK_ALL(rows);
}

Test(correlate, drills)
{
    static const struct row rows[] = {
        {"drills and real alerts never share an incident",
         "0:00 drill, 0:01, 0:02 drill, 0:03 restore drill, 0:04 restore", "1 2 1 1 2",
         "1 drill=1 alerts=2, 2 drill=0 alerts=1"},
        {"a real alarm in the midst of a drill is its own", "0:00 drill panic, 0:01 panic", "1 2",
         "1 drill=1, 2 drill=0"},
    };
    CHECK_ALL(rows);
}

Test(correlate, rows_that_are_not_to_be_stored_are_left_out)
{
    struct story story;
    tell(&story, "");
    char first[] = "0:00", second[] = "0:01";
    take_alert(&story, first);
    take_alert(&story, second);
    struct incident_set set = {0};
    correlate(&set, story.batch, (const uint8_t[]){0, 1});
    cr_expect_eq(story.batch->rows[0].alert.incident, NO_INCIDENT);
    cr_expect_eq(story.batch->rows[1].alert.incident, 0);
    cr_expect_eq(set.n_incidents, 1);
    cr_expect_eq(set.incidents[0].alert_count, 1);
    cr_expect(set.incidents[0].fresh && set.incidents[0].joined && set.incidents[0].raised);
    incident_set_free(&set);
    end_story(&story);
}
