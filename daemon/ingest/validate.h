/*
 * The meaning of an alert, whatever format it came in: what is required, what is out of range. Pure.
 */
#ifndef MOBEYE_INGEST_VALIDATE_H
#define MOBEYE_INGEST_VALIDATE_H

#include "base/clock.h"
#include "model/alert.h"

/* A sender's time later than this after, or earlier than this before, its receipt is not used (FLAG_CLOCK); nor is one
 * that is past the time for which alerts of its class are kept. */
#define VALIDATE_FUTURE_MAX_US (5 * CLOCK_MINUTE)
#define VALIDATE_PAST_MAX_US   (31 * CLOCK_DAY)

/* 1 to 64 bytes of A-Za-z0-9._:/- */
bool validate_device(struct str device);

/* Sets received_us, occurred_us, skew_us and FLAG_CLOCK from the sender's time in alert->occurred_us. keep_us: how long
 * alerts of each class are kept; NULL: longer than VALIDATE_PAST_MAX_US. */
void validate_time(struct alert *alert, int64_t received_us, const int64_t keep_us[CLASS_COUNT]);

#endif
