/*
 * For the tests of incidents: alerts written down as a table, and the rules that they are judged by.
 */
#ifndef MOBEYE_TESTS_WRITER_STEPS_H
#define MOBEYE_TESTS_WRITER_STEPS_H

#include "conf/conf.h"
#include "writer_rig.h"

static const struct conf_rule default_rule = {
    .group_by = GROUP_DEVICE,
    .terms = {.rule = {"default", 7},
              .category = CATEGORY_ALARM,
              .priority = 2,
              .gap_us = 270 * CLOCK_MINUTE,
              .settle_us = 10 * CLOCK_MINUTE,
              .overdue_us = {15 * CLOCK_MINUTE, CLOCK_HOUR},
              .verify_within_us = 5 * CLOCK_MINUTE,
              .verify_radius_m = 150,
              .verify_priority = 1},
};

/* The same without verify_by, and one that groups what arrives at one endpoint. */
static const struct conf_rule plain_rule __attribute__((unused)) = {
    .group_by = GROUP_DEVICE,
    .terms = {.rule = {"plain", 5}, .category = CATEGORY_ALARM, .priority = 2, .gap_us = 270 * CLOCK_MINUTE},
};

static const struct conf_rule endpoint_rule __attribute__((unused)) = {
    .group_by = GROUP_ENDPOINT,
    .terms = {.rule = {"endpoint", 8},
              .category = CATEGORY_ALARM,
              .priority = 2,
              .gap_us = 270 * CLOCK_MINUTE,
              .verify_within_us = 5 * CLOCK_MINUTE,
              .verify_radius_m = 150,
              .verify_priority = 1},
};

static const struct conf_rule technical_rule = {
    .group_by = GROUP_DEVICE | GROUP_KIND,
    .terms = {.rule = {"technical", 9}, .category = CATEGORY_SERVICE, .priority = 4, .gap_us = CLOCK_DAY},
};

/* One alert. */
struct step {
    int at_s; /* after RIG_TIME_US */
    const char *device;
    enum alert_kind kind;
    enum alert_phase phase;
    int32_t input;                /* 0: none */
    const struct conf_rule *rule; /* NULL: none */
    double lon, lat;              /* 0: no place */
    uint32_t flags;
};

static inline void play(struct batch_row *row, const struct step *step)
{
    struct alert *alert = &row->alert;
    alert->device = str_from(step->device);
    alert->kind = step->kind;
    alert->kind_word = str_from(alert_kind_word(step->kind));
    alert->phase = step->phase;
    alert->input = step->input > 0 ? step->input : ALERT_NO_INT;
    alert->flags = step->flags;
    alert->occurred_us = alert->received_us = RIG_TIME_US + step->at_s * CLOCK_SECOND;
    if (step->lon != 0) {
        alert->place.source = LOCATION_MESSAGE;
        alert->place.lon = step->lon;
        alert->place.lat = step->lat;
        alert->place.accuracy_m = 10;
    }
    if (!step->rule)
        return;
    alert->rule = step->rule->terms.rule;
    alert->terms = &step->rule->terms;
    incident_key_of_rule(NULL, alert, step->rule);
}

/* The steps of the writers: ours, and another daemon's. */
static const struct step *ours, *theirs __attribute__((unused));

static inline void play_ours(struct batch_row *row, uint64_t seq)
{
    play(row, &ours[seq - 1]);
}

static inline void play_theirs(struct batch_row *row, uint64_t seq)
{
    play(row, &theirs[seq - 1]);
}

#define STEPS(array) (sizeof(array) / sizeof((array)[0]))

#endif
