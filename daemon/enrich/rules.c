#include "enrich/rules.h"

#include <fnmatch.h>
#include <math.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

/* An alert while its rules are tried. What costs something is worked out when the first rule asks for it. */
struct subject {
    const struct alert *alert;
    char device[ALERT_DEVICE_MAX + 1]; /* empty: not copied yet */
    int minute;                        /* since local midnight; -1: not known yet */
    int day;                           /* 0 Monday to 6 Sunday */
};

static const char *device(struct subject *subject)
{
    const struct str device = subject->alert->device;
    if (subject->device[0] == '\0' && device.len < sizeof(subject->device)) {
        memcpy(subject->device, device.p, device.len);
        subject->device[device.len] = '\0';
    }
    return subject->device;
}

static void read_local_time(struct subject *subject)
{
    if (subject->minute >= 0)
        return;
    time_t seconds = (time_t)(subject->alert->occurred_us / CLOCK_SECOND);
    if (subject->alert->occurred_us % CLOCK_SECOND < 0)
        seconds--;
    struct tm tm;
    localtime_r(&seconds, &tm);
    subject->minute = tm.tm_hour * 60 + tm.tm_min;
    subject->day = (tm.tm_wday + 6) % 7;
}

static bool is_one_of(struct str s, char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_is(s, words[i]))
            return true;
    return false;
}

static bool device_matches(const struct conf_match *match, struct subject *subject)
{
    for (size_t i = 0; i < match->n_devices; i++)
        if (fnmatch(match->devices[i], device(subject), 0) == 0)
            return true;
    return false;
}

/* Scores are kept as floats, and compared as such: 0.7 is not below 0.7. */
static bool score_matches(const struct conf_match *match, float score)
{
    if (!isnan(match->score_min) && !(score >= (float)match->score_min))
        return false;
    return isnan(match->score_below) || score < (float)match->score_below;
}

/* A window over midnight belongs to the day it starts on. */
static bool time_matches(const struct conf_match *match, struct subject *subject)
{
    if (!match->has_hours && !match->days)
        return true;
    read_local_time(subject);
    int day = subject->day, minute = subject->minute;
    if (match->has_hours) {
        const struct conf_hours *hours = &match->hours;
        bool over_midnight = hours->until_min <= hours->from_min;
        bool evening = minute >= hours->from_min, morning = minute < hours->until_min;
        if (over_midnight ? !evening && !morning : !evening || !morning)
            return false;
        if (over_midnight && !evening)
            day = (day + 6) % 7;
    }
    return !match->days || match->days & (1u << day);
}

static bool rule_matches(const struct conf_match *match, struct subject *subject)
{
    const struct alert *alert = subject->alert;
    if (match->kinds && !(match->kinds & (1u << alert->kind)))
        return false;
    if (match->phases && !(match->phases & (1u << alert->phase)))
        return false;
    if (match->located >= 0 && match->located != (alert->location_source != LOCATION_NONE))
        return false;
    if (match->drill >= 0 && match->drill != alert->drill)
        return false;
    if (!score_matches(match, alert->score))
        return false;
    if (match->n_endpoints && !is_one_of(alert->endpoint, match->endpoints, match->n_endpoints))
        return false;
    if (match->n_labels && !is_one_of(alert->label, match->labels, match->n_labels))
        return false;
    if (match->n_camera_zones && !is_one_of(alert->camera_zone, match->camera_zones, match->n_camera_zones))
        return false;
    if (match->n_devices && !device_matches(match, subject))
        return false;
    return time_matches(match, subject);
}

const struct conf_rule *rules_match(const struct conf *conf, const struct alert *alert)
{
    struct subject subject = {.alert = alert, .minute = -1};
    for (size_t i = 0; i < conf->n_rules; i++)
        if (rule_matches(&conf->rules[i].match, &subject))
            return &conf->rules[i];
    return NULL;
}
