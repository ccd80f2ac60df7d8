/*
 * Recently received frames, by digest, with a time each. Bounded: beyond DC09_RECENT_MAX a new one replaces the oldest.
 */
#ifndef MOBEYE_INGEST_DC09_RECENT_H
#define MOBEYE_INGEST_DC09_RECENT_H

#include <stdbool.h>
#include <stdint.h>

#include "ingest/decode_dc09.h"

/* More than the number of panels that resend at the same time: each frame must still be known when it is resent. */
#define DC09_RECENT_MAX 65536

struct dc09_recent;

struct dc09_recent *dc09_recent_new(void);
void dc09_recent_free(struct dc09_recent **recent); /* safe on NULL */

/* Replaces the time of a known digest, but not its age in the order of replacement. */
void dc09_recent_put(struct dc09_recent *recent, const uint8_t digest[DC09_DIGEST_SIZE], int64_t time_us);

/* false: unknown, or forgotten. */
bool dc09_recent_get(const struct dc09_recent *recent, const uint8_t digest[DC09_DIGEST_SIZE], int64_t *ret_us);

/* For an undated frame received at now_us: the receive time of the first frame that it repeats. If there is none within
 * DC09_UNDATED_WINDOW_US, or the clock has since been set back by more than a minute, puts and returns now_us: a
 * duplicate is preferred to a loss. */
int64_t dc09_recent_first(struct dc09_recent *recent, const uint8_t digest[DC09_DIGEST_SIZE], int64_t now_us);

#endif
