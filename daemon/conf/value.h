/*
 * Parsers for the values of a configuration; pure functions of text. Each returns 0 and the value, or -1 with err set
 * to what is wrong ("is not a duration", "has a port above 65535"): the caller puts the text before it and what is
 * expected after it.
 */
#ifndef MOBEYE_CONF_VALUE_H
#define MOBEYE_CONF_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "conf/conf.h"

int value_int(const char *text, int64_t *ret, struct err *err);             /* decimal */
int value_number(const char *text, double *ret, struct err *err);           /* decimal, finite */
int value_bool(const char *text, bool *ret, struct err *err);               /* true, no, on, ... */
int value_duration(const char *text, int64_t *ret_us, struct err *err);     /* 500ms 20s 4h30m 7d 0 */
int value_size(const char *text, int64_t *ret_bytes, struct err *err);      /* 64KiB 4GiB 4096 */
int value_distance(const char *text, double *ret_m, struct err *err);       /* 150m 1.5km */
int value_hours(const char *text, struct conf_hours *ret, struct err *err); /* 22:00-06:00 */
int value_date(const char *text, uint32_t *ret_day, struct err *err);       /* 2027-12-31: 20271231 */
int value_days(const char *text, uint32_t *ret_days, struct err *err);      /* sat, mon-fri, fri-mon */

/* The shortest notation of a duration, a size or a distance. */
struct value_text {
    char text[64];
};
struct value_text value_duration_text(int64_t us);
struct value_text value_size_text(int64_t bytes);
struct value_text value_distance_text(int64_t m);

/* What YAML 1.1 takes an unquoted word for: "a number" or "true or false"; NULL: text. */
const char *value_not_text(const char *text);

/* The number of characters in UTF-8 text. */
size_t value_chars(const char *text);

#endif
