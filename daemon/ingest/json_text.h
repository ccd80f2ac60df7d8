/*
 * Checks for what a JSON parser accepts but PostgreSQL or the contract does not: the raw text and the numbers of a
 * message.
 */
#ifndef MOBEYE_INGEST_JSON_TEXT_H
#define MOBEYE_INGEST_JSON_TEXT_H

#include "base/buf.h"

/* Looks for the first byte that no message may contain, whatever the JSON around it: invalid UTF-8, a byte order mark,
 * a control character that is not white space, U+0000 and lone surrogates (also as escapes). Returns why it is invalid,
 * or NULL. *ret_offset: where it is, else the end; the text before it has none of these. */
const char *json_text_fault(struct str text, size_t *ret_offset);

#define JSON_NOT_JSON "not JSON"

/* The value of a token that should be a number, as strtod() has it; the byte after it must be readable and not part of
 * a number. Returns NULL, or why it is refused: not a JSON number, beyond an IEEE double, or of more decimals or a
 * greater exponent than PostgreSQL's numeric has. A number too small for a double is 0. */
const char *json_number(struct str token, double *ret);

#endif
