/*
 * JSON objects, member by member. A comma goes in front of each that does not come right behind { or [.
 */
#ifndef MOBEYE_CTL_LIB_JSON_H
#define MOBEYE_CTL_LIB_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

/* Appends a comma where one is due, as before an element that the caller writes. */
void ctl_json_comma(struct buf *out);

/* Appends the name of a member, whose value the caller writes. */
void ctl_json_name(struct buf *out, const char *name);

/* Appends a member. Names need no escapes. */
void ctl_json_text(struct buf *out, const char *name, struct str value);
void ctl_json_count(struct buf *out, const char *name, uint64_t value);
void ctl_json_number(struct buf *out, const char *name, double value); /* NAN is null */
void ctl_json_bool(struct buf *out, const char *name, bool value);

#endif
