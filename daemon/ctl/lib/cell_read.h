/*
 * Numbers, times and answers as people write them in a sheet and on the command line. Each parser returns 0, or -1 with
 * err set; what it had to assume is appended to `assumed` ("\"5,38\" read as 5.38"). Pure, except for the time zone.
 */
#ifndef MOBEYE_CTL_LIB_CELL_READ_H
#define MOBEYE_CTL_LIB_CELL_READ_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* A decimal such as 5.38421, or with a decimal comma: 5,38421, 155.990,61. */
int cell_number(struct str text, double *ret, struct buf *assumed, struct err *err);

/* yes, no, ja, nee, true, false, waar, onwaar; case is ignored. */
int cell_yes_no(struct str text, bool *ret, struct buf *assumed, struct err *err);

/* RFC 3339, or without an offset, then in the process's time zone (TZ, after tzset()): 2026-11-28T14:00, 28-11-2026
 * 14:00, 28-11-2026. A local time that does not exist or exists twice is an error. */
int cell_time(struct str text, int64_t *ret_us, struct buf *assumed, struct err *err);

/* "5.38421,52.19634": longitude and latitude in degrees; or "155990.61 464256.19": RD New, also with a comma between
 * them. *ret_rd: which of the two. */
int cell_position(struct str text, double *ret_x, double *ret_y, bool *ret_rd, struct err *err);

/* Whether all bytes are among these characters. */
bool cell_has_only(struct str text, const char *characters);

#endif
