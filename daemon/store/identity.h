/*
 * Who an alert is: 128 bits of BLAKE2b over (source, event_id), the key of mobeye.alert_identity.
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

/* As PostgreSQL writes a uuid. Returns out. */
char *identity_text(const uint8_t id[IDENTITY_BYTES], char out[IDENTITY_TEXT_SIZE]);

#endif
