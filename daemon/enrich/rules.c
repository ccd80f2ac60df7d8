#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "enrich/rule_keys.h"

struct local_time subject_time(struct subject *subject)
{
    if (subject->time.minute >= 0)
        return subject->time;
    time_t seconds = (time_t)(subject->alert->occurred_us / CLOCK_SECOND);
    if (subject->alert->occurred_us % CLOCK_SECOND < 0)
        seconds--;
    struct tm tm;
    localtime_r(&seconds, &tm);
    subject->time = (struct local_time){.minute = tm.tm_hour * 60 + tm.tm_min, .day = (tm.tm_wday + 6) % 7};
    return subject->time;
}

const char *subject_device(struct subject *subject)
{
    const struct str device = subject->alert->device;
    if (subject->device[0] == '\0' && device.len < sizeof(subject->device)) {
        memcpy(subject->device, device.p, device.len);
        subject->device[device.len] = '\0';
    }
    return subject->device;
}

struct str subject_area(const struct subject *subject, const char *layer)
{
    const struct alert_areas *areas = subject->alert->areas;
    for (size_t i = 0; areas && i < areas->n; i++)
        if (str_is(areas->area[i].layer, layer))
            return areas->area[i].code;
    return (struct str){0};
}

#define CHECK_KEY(name)                                                                                                \
    if (!key_##name(match, subject))                                                                                   \
        return false;

static bool rule_matches(const struct conf_match *match, struct subject *subject)
{
    RULE_KEYS(CHECK_KEY)
    return true;
}

const struct conf_rule *rules_match(const struct conf *conf, const struct alert *alert)
{
    struct subject subject = SUBJECT(alert);
    for (size_t i = 0; i < conf->n_rules; i++)
        if (rule_matches(&conf->rules[i].match, &subject))
            return &conf->rules[i];
    return NULL;
}
