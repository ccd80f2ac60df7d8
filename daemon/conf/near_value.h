/*
 * "Did you mean", for values: what an invalid value was probably meant to be. Pure, except that it reads the names of
 * time zones.
 */
#ifndef MOBEYE_CONF_NEAR_VALUE_H
#define MOBEYE_CONF_NEAR_VALUE_H

#include "base/buf.h"
#include "conf/schema.h"

/* Appends ", did you mean 24h?" or the like; nothing if no value is close. */
void near_value(const struct schema_key *key, const char *text, struct buf *out);

/* The same for a duration elsewhere, in a sheet or on the command line: ", did you mean 24h?" for "24 uur", or "". */
struct near_text {
    char text[96];
};
struct near_text near_duration(const char *text);

#endif
