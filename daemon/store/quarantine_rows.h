/*
 * Refused and unreadable rows, as the parameters of one INSERT into mobeye.quarantine.
 */
#ifndef MOBEYE_STORE_QUARANTINE_ROWS_H
#define MOBEYE_STORE_QUARANTINE_ROWS_H

#include "store/encoded_batch.h"

#define QUARANTINE_PARAMS 14

extern const char quarantine_sql[];
extern const Oid quarantine_types[QUARANTINE_PARAMS];

/*
 * Encodes refusals from `first` on, at most some MiB of them; returns the number of the first one left.
 * `record_only` leaves out the columns that describe the alert, for a database that refuses those too; the record has
 * everything. Appends to the bufs of values, which are empty.
 */
size_t quarantine_encode(const struct encoded_batch *encoded, size_t first, const uint8_t journal[16], bool record_only,
                         struct buf values[QUARANTINE_PARAMS]);

#endif
