/*
 * Who an alert is: 128 bits of BLAKE2b over (source, event_id), the key of mobeye.alert_identity.
 *
 * Nothing ties a source to who sends, so the pair may be that of another device's alert. Beside the identity stands
 * what tells the device; an alert of another device gets an identity of its own.
 */
#ifndef MOBEYE_STORE_IDENTITY_H
#define MOBEYE_STORE_IDENTITY_H

#include <stdint.h>

#include "base/buf.h"

#define IDENTITY_BYTES 16

/* "01234567-89ab-cdef-0123-456789abcdef" with its NUL. */
#define IDENTITY_TEXT_SIZE 37

/* The hash is over the length of source (4 bytes, big-endian), source, event_id. The same bytes for ever: what the
 * database holds depends on it. */
void identity_of(struct str source, struct str event_id, uint8_t ret[IDENTITY_BYTES]);

/* The alert's own identity where (source, event_id), of which `id` is the hash, is that of another device's alert: over
 * a byte 0xFF, id, and the device as the message names it. 0xFF, so that no pair has it. */
void identity_own(const uint8_t id[IDENTITY_BYTES], struct str device, uint8_t ret[IDENTITY_BYTES]);

/* What tells the device, beside `id`: the first 64 bits of its own identity, so that it neither tells the device of
 * another alert nor can be met by a name that is looked for. Never 0, which stands for "does not matter". */
uint64_t identity_device(const uint8_t own[IDENTITY_BYTES]);

/* As PostgreSQL writes a uuid. Returns out. */
char *identity_text(const uint8_t id[IDENTITY_BYTES], char out[IDENTITY_TEXT_SIZE]);

#endif
