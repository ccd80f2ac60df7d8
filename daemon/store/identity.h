/*
 * The identity of an alert: a hash of (source, event_id), the key of mobeye.alert_identity.
 *
 * Its first 24 bits are the same for alerts that one sender numbers one after the other, so that they change the same
 * pages of the index: with a completely random key, once the index is large, nearly every alert changes a different
 * page, which is read and, after each checkpoint, written to the WAL in full. The other 104 bits are BLAKE2b.
 *
 * Nothing ties a source to a sender, so the pair may be that of another device's alert. A short hash of the device is
 * stored with the identity; an alert of another device gets an identity of its own.
 */
#ifndef MOBEYE_STORE_IDENTITY_H
#define MOBEYE_STORE_IDENTITY_H

#include <stdint.h>

#include "base/buf.h"

#define IDENTITY_BYTES               16
#define IDENTITY_NEIGHBOURHOOD_BYTES 3
#define IDENTITY_NEIGHBOURS          65536 /* consecutive numbers */

/* "01234567-89ab-cdef-0123-456789abcdef" with its NUL. */
#define IDENTITY_TEXT_SIZE 37

/* The hash is over the length of source (4 bytes, big-endian), source, event_id, which are no longer than those of an
 * alert (model/alert.h). The first bytes are XXH3 of source instead, with the neighbourhood as the seed: the longest
 * run of digits in event_id (the first of equals; none: 0) as a number, divided by IDENTITY_NEIGHBOURS. Never
 * change it: it is stored in the database. */
void identity_of(struct str source, struct str event_id, uint8_t ret[IDENTITY_BYTES]);

/* The alert's own identity if another device's alert has the same (source, event_id), whose hash is `id`: the hash of a
 * byte 0xFF, id, and the device as the message names it. Because of the byte 0xFF it cannot be that of a pair. */
void identity_own(const uint8_t id[IDENTITY_BYTES], struct str device, uint8_t ret[IDENTITY_BYTES]);

/* The short hash of the device, beside `id`: the first 64 bits of its own identity, so that it differs from alert to
 * alert, and nobody can search for a device name with the same hash. Never 0, which means that the device does not
 * matter. */
uint64_t identity_device(const uint8_t own[IDENTITY_BYTES]);

/* As PostgreSQL writes a uuid. Returns out. */
char *identity_text(const uint8_t id[IDENTITY_BYTES], char out[IDENTITY_TEXT_SIZE]);

#endif
