/*
 * JSON objects, member by member. A comma is written before each member or element that does not directly follow { or
 * [.
 */
#ifndef MOBEYE_CTL_LIB_JSON_H
#define MOBEYE_CTL_LIB_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

/* Appends a comma if one is needed before an element that the caller writes. */
void ctl_json_comma(struct buf *out);

/* Appends the name of a member; the caller writes its value. */
void ctl_json_name(struct buf *out, const char *name);

/* Append a member. Names are not escaped. */
void ctl_json_text(struct buf *out, const char *name, struct str value);
void ctl_json_count(struct buf *out, const char *name, uint64_t value);
void ctl_json_number(struct buf *out, const char *name, double value); /* NAN is null */
void ctl_json_bool(struct buf *out, const char *name, bool value);

#endif
