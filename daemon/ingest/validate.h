/*
 * Validation common to all formats. Pure.
 */
#ifndef MOBEYE_INGEST_VALIDATE_H
#define MOBEYE_INGEST_VALIDATE_H

#include "base/clock.h"
#include "model/alert.h"

/* A sender's time is not used (FLAG_CLOCK) if it is more than this after or before the receipt, or older than the
 * retention of its class. */
#define VALIDATE_FUTURE_MAX_US (5 * CLOCK_MINUTE)
#define VALIDATE_PAST_MAX_US   (31 * CLOCK_DAY)

/* 1 to 64 bytes of A-Za-z0-9._:/- */
bool validate_device(struct str device);

/* Sets received_us, occurred_us, skew_us and FLAG_CLOCK from the sender's time in alert->occurred_us. keep_us: the
 * retention of each class; NULL: longer than VALIDATE_PAST_MAX_US. */
void validate_time(struct alert *alert, int64_t received_us, const int64_t keep_us[CLASS_COUNT]);

/* Gives the alert its image, or drops it: FLAG_BAD_IMAGE if it is not a JPEG, PNG or WebP, or has more bytes than
 * IMAGE_BYTES_MAX or most_bytes; no flag if the alert is so old that an image would be erased at once (keep_us, the
 * retention of class camera). After validate_time(). */
void validate_image(struct alert *alert, struct str bytes, int64_t keep_us, uint64_t most_bytes);

#endif
