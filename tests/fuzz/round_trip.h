/* Whether an alert that a decoder accepted comes back unchanged from a journal record. */
#ifndef TESTS_ROUND_TRIP_H
#define TESTS_ROUND_TRIP_H

#include "../unit/alert_equal.h"
#include "model/record.h"

/* Ranges are those that record_unpack() checks. */
static inline bool round_trip(const struct alert *alert)
{
    struct buf record = {0};
    struct alert back;
    record_pack(&record, alert);
    bool same = record.len <= RECORD_MAX && record_unpack(buf_str(&record), &back, NULL) == 0 &&
                !alert_difference(alert, &back);
    buf_free(&record);
    return same;
}

#endif
