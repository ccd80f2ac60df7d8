/* Whether two alerts are the same in everything that a journal record keeps: NULL, or the member that differs. */
#ifndef TESTS_ALERT_EQUAL_H
#define TESTS_ALERT_EQUAL_H

#include <math.h>

#include "model/alert.h"

static inline bool same_float(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

static inline const char *alert_difference(const struct alert *a, const struct alert *b)
{
#define SAME(condition, member)                                                                                        \
    if (!(condition))                                                                                                  \
    return member
#define SAME_NUMBER(member) SAME(a->member == b->member, #member)
#define SAME_STR(member)    SAME(str_eq(a->member, b->member), #member)
#define SAME_FLOAT(member)  SAME(same_float(a->member, b->member), #member)
    SAME_NUMBER(format);
    SAME_STR(source);
    SAME_STR(event_id);
    SAME_STR(device);
    SAME_NUMBER(kind);
    SAME_STR(kind_word);
    SAME_NUMBER(phase);
    SAME_NUMBER(input);
    SAME_NUMBER(drill);
    SAME_NUMBER(flags);
    SAME_NUMBER(occurred_us);
    SAME_NUMBER(skew_us);
    SAME_NUMBER(has_location);
    SAME_FLOAT(lon);
    SAME_FLOAT(lat);
    SAME_FLOAT(accuracy_m);
    SAME_NUMBER(fix_us);
    SAME_NUMBER(battery_pct);
    SAME_NUMBER(signal_dbm);
    SAME_FLOAT(camera.score);
    SAME_STR(camera.label);
    SAME_STR(camera.track);
    SAME_STR(camera.zone);
    SAME_STR(payload);
    SAME_NUMBER(received_us);
    SAME_STR(endpoint);
    SAME_STR(image.bytes);
    SAME_NUMBER(image.kind);
    SAME_NUMBER(image.width);
    SAME_NUMBER(image.height);
    return NULL;
#undef SAME
#undef SAME_NUMBER
#undef SAME_STR
#undef SAME_FLOAT
}

#endif
