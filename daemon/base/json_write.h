/*
 * JSON objects, member by member. A comma is written before each member or element that does not directly follow { or
 * [.
 */
#ifndef MOBEYE_BASE_JSON_WRITE_H
#define MOBEYE_BASE_JSON_WRITE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

/* Appends text as a quoted JSON string; control characters are escaped, bytes that are not UTF-8 become U+FFFD. */
void json_write_string(struct buf *out, struct str text);

/* Appends a comma if one is needed before an element that the caller writes. */
void json_write_comma(struct buf *out);

/* Appends the name of a member; the caller writes its value. */
void json_write_name(struct buf *out, const char *name);

/* Append a member. Names are not escaped. */
void json_write_text(struct buf *out, const char *name, struct str value);
void json_write_count(struct buf *out, const char *name, uint64_t value);
void json_write_number(struct buf *out, const char *name, double value); /* NAN is null */
void json_write_bool(struct buf *out, const char *name, bool value);

#endif
