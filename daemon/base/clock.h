/*
 * Time as numbers. All times are microseconds: wall time since 1970-01-01 UTC, monotonic time since boot.
 * Only base/loop.c reads the clocks while the daemon runs; everybody else is given a time.
 */
#ifndef MOBEYE_BASE_CLOCK_H
#define MOBEYE_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

#define CLOCK_MS     INT64_C(1000)
#define CLOCK_SECOND INT64_C(1000000)
#define CLOCK_MINUTE (60 * CLOCK_SECOND)
#define CLOCK_HOUR   (60 * CLOCK_MINUTE)
#define CLOCK_DAY    (24 * CLOCK_HOUR)

/* Every time that clock_parse_rfc3339() gives lies in these: the years 1 to 9999 and a day on either side. */
#define CLOCK_WALL_MIN_US (-INT64_C(719163) * CLOCK_DAY)
#define CLOCK_WALL_MAX_US (INT64_C(2932898) * CLOCK_DAY)

int64_t clock_mono_us(void);
int64_t clock_wall_us(void);

/* Reads an RFC 3339 date-time: any offset, upper or lower case, a space for the T, any number of decimals (cut to
 * microseconds), a leap second counted as the second after it. Years 0001 to 9999. false: not one. */
bool clock_parse_rfc3339(struct str text, int64_t *ret_wall_us);

#define CLOCK_RFC3339_SIZE sizeof("2026-11-23T21:04:11.250000Z")

/* Writes UTC with as many decimals as `decimals` says (0, 3 or 6). Returns out. */
char *clock_format_rfc3339(int64_t wall_us, int decimals, char out[CLOCK_RFC3339_SIZE]);

#endif
