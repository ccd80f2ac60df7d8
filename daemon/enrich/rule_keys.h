/*
 * The keys of a match: for each, whether an alert satisfies it. For rules_match(), where they are inlined, and
 * rules_explain().
 */
#ifndef MOBEYE_ENRICH_RULE_KEYS_H
#define MOBEYE_ENRICH_RULE_KEYS_H

#include <fnmatch.h>
#include <math.h>

#include "enrich/rules.h"

/* All keys, the cheapest and most selective first. Each has a key_x() below, and a why_x() in rules_explain.c. */
#define RULE_KEYS(KEY)                                                                                                 \
    KEY(kind)                                                                                                          \
    KEY(phase)                                                                                                         \
    KEY(registered)                                                                                                    \
    KEY(located)                                                                                                       \
    KEY(score)                                                                                                         \
    KEY(drill)                                                                                                         \
    KEY(image)                                                                                                         \
    KEY(endpoint)                                                                                                      \
    KEY(group)                                                                                                         \
    KEY(label)                                                                                                         \
    KEY(camera_zone)                                                                                                   \
    KEY(area)                                                                                                          \
    KEY(device)                                                                                                        \
    KEY(time)

struct local_time {
    int minute; /* since local midnight; -1: not known yet */
    int day;    /* 0 Monday to 6 Sunday */
};

/* An alert while rules are tried. Expensive values are computed when the first rule needs them. */
struct subject {
    const struct alert *alert;
    char device[ALERT_DEVICE_MAX + 1]; /* empty: not copied yet */
    struct local_time time;
};

#define SUBJECT(the_alert)                                                                                             \
    {                                                                                                                  \
        .alert = (the_alert), .time = {.minute = -1 }                                                                  \
    }

/* The local time of occurrence. */
struct local_time subject_time(struct subject *subject);

const char *subject_device(struct subject *subject);

/* The code of the area of a layer that contains its location; empty: none. */
struct str subject_area(const struct subject *subject, const char *layer);

/* true if no words are given. */
static inline bool is_one_of(struct str s, char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_is(s, words[i]))
            return true;
    return n == 0;
}

static inline bool key_kind(const struct conf_match *match, struct subject *subject)
{
    return !match->kinds || match->kinds & (1u << subject->alert->kind);
}

static inline bool key_phase(const struct conf_match *match, struct subject *subject)
{
    return !match->phases || match->phases & (1u << subject->alert->phase);
}

static inline bool key_registered(const struct conf_match *match, struct subject *subject)
{
    return match->registered < 0 || match->registered == subject->alert->registered;
}

static inline bool key_located(const struct conf_match *match, struct subject *subject)
{
    return match->located < 0 || match->located == (subject->alert->place.source != LOCATION_NONE);
}

static inline bool key_drill(const struct conf_match *match, struct subject *subject)
{
    return match->drill < 0 || match->drill == subject->alert->drill;
}

static inline bool key_image(const struct conf_match *match, struct subject *subject)
{
    return match->image < 0 || match->image == (subject->alert->image.kind != IMAGE_NONE);
}

/* Scores are stored as floats, so compared as floats: 0.7 is not below 0.7. */
static inline bool key_score(const struct conf_match *match, struct subject *subject)
{
    float score = subject->alert->camera.score;
    if (!isnan(match->score_min) && !(score >= (float)match->score_min))
        return false;
    return isnan(match->score_below) || score < (float)match->score_below;
}

static inline bool key_endpoint(const struct conf_match *match, struct subject *subject)
{
    return is_one_of(subject->alert->endpoint, match->endpoints, match->n_endpoints);
}

static inline bool key_group(const struct conf_match *match, struct subject *subject)
{
    return is_one_of(subject->alert->group, match->groups, match->n_groups);
}

static inline bool key_label(const struct conf_match *match, struct subject *subject)
{
    return is_one_of(subject->alert->camera.label, match->labels, match->n_labels);
}

static inline bool key_camera_zone(const struct conf_match *match, struct subject *subject)
{
    return is_one_of(subject->alert->camera.zone, match->camera_zones, match->n_camera_zones);
}

static inline bool key_area(const struct conf_match *match, struct subject *subject)
{
    if (!match->area_layer)
        return true;
    struct str code = subject_area(subject, match->area_layer);
    return code.len > 0 && is_one_of(code, match->area_codes, match->n_area_codes);
}

static inline bool key_device(const struct conf_match *match, struct subject *subject)
{
    for (size_t i = 0; i < match->n_devices; i++)
        if (fnmatch(match->devices[i], subject_device(subject), 0) == 0)
            return true;
    return match->n_devices == 0;
}

static inline bool key_time(const struct conf_match *match, struct subject *subject)
{
    if (!match->has_hours && !match->days)
        return true;
    struct local_time time = subject_time(subject);
    return conf_time_matches(match, time.day, time.minute);
}

#endif
