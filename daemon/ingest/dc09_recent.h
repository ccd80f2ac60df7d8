/*
 * Frames that came lately, by their digest, with a time each. Bounded: past DC09_RECENT_MAX the oldest makes room.
 */
#ifndef MOBEYE_INGEST_DC09_RECENT_H
#define MOBEYE_INGEST_DC09_RECENT_H

#include <stdbool.h>
#include <stdint.h>

#include "ingest/decode_dc09.h"

/* More than there are panels that resend at a time: each must still be known when it comes again. */
#define DC09_RECENT_MAX 65536

struct dc09_recent;

struct dc09_recent *dc09_recent_new(void);
void dc09_recent_free(struct dc09_recent **recent); /* safe on NULL */

/* Of a digest that is known, the time is replaced; its turn to make room stays. */
void dc09_recent_put(struct dc09_recent *recent, const uint8_t digest[DC09_DIGEST_SIZE], int64_t time_us);

/* false: unknown, or forgotten. */
bool dc09_recent_get(const struct dc09_recent *recent, const uint8_t digest[DC09_DIGEST_SIZE], int64_t *ret_us);

/* Of a timeless frame received at now_us: when the first that it is one with was received. That is now_us, which is
 * then put, where there is none within DC09_UNDATED_WINDOW_US; or where the clock has been set back by more than a
 * minute since: a double is preferred to a loss. */
int64_t dc09_recent_first(struct dc09_recent *recent, const uint8_t digest[DC09_DIGEST_SIZE], int64_t now_us);

#endif
