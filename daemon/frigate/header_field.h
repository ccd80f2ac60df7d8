/*
 * Fields of an HTTP header.
 */
#ifndef MOBEYE_FRIGATE_HEADER_FIELD_H
#define MOBEYE_FRIGATE_HEADER_FIELD_H

#include <stdint.h>

#include "base/buf.h"

/* The value of a header line if it is the field with this name, without surrounding white space; empty: it is another
 * field. */
struct str header_value(struct str line, const char *name);

/* The wall time of a Date field; 0: it is not one. */
int64_t header_date_us(struct str value);

#endif
