/*
 * Time as numbers. All times are microseconds: wall time since 1970-01-01 UTC, monotonic time since boot.
 * While the daemon runs only base/loop.c reads the clocks, and other code is passed the time; except for what
 * base/log.c and base/notify.c send out.
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

/* The range of clock_parse_rfc3339(): years 1 to 9999, with a day on either side for the offset. */
#define CLOCK_WALL_MIN_US (-INT64_C(719163) * CLOCK_DAY)
#define CLOCK_WALL_MAX_US (INT64_C(2932898) * CLOCK_DAY)

int64_t clock_mono_us(void);
int64_t clock_wall_us(void);

/* Parses an RFC 3339 date-time: any offset, upper or lower case, a space instead of T, any number of decimals
 * (truncated to microseconds), a leap second as the second after it. Years 0001 to 9999. false: not a date-time. */
bool clock_parse_rfc3339(struct str text, int64_t *ret_wall_us);

#define CLOCK_RFC3339_SIZE sizeof("10000-01-01T23:59:59.999999Z")

/* Formats a time from CLOCK_WALL_MIN_US to CLOCK_WALL_MAX_US in UTC, with 0, 3 or 6 decimals; in RFC 3339 unless it is
 * in the year 10000. Returns out. */
char *clock_format_rfc3339(int64_t wall_us, int decimals, char out[CLOCK_RFC3339_SIZE]);

#endif
