/*
 * An accepted alert as the bytes of one journal record.
 *
 * The decoded fields travel with the payload, so that a message is decoded once (a second decoding would take a quarter
 * of the CPU budget of 5 us an alert) and so that what is stored is what was accepted, whatever the program, the keys
 * or the configuration have become since. Little-endian; the layout is in journal/FORMAT.md and begins with a version.
 */
#ifndef MOBEYE_ALERT_RECORD_H
#define MOBEYE_ALERT_RECORD_H

#include "alert/alert.h"
#include "base/err.h"

/* Upper bound of a packed record, in bytes. */
#define RECORD_MAX (ALERT_PAYLOAD_MAX + 8192)

/* Appends the record: everything of "from the message" and "from the receipt". */
void record_pack(struct buf *out, const struct alert *alert);

/* The slices of ret point into bytes. Fields of later stages are zeroed. -1: damaged or of a later version; every
 * offset is checked, no input can make it read outside bytes. */
int record_unpack(struct str bytes, struct alert *ret, struct err *err);

#endif
