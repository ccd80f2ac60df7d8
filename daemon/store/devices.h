/*
 * What devices were last heard to say, on its way to mobeye.device_status: at most once a minute a device.
 *
 * Keeps the devices that were heard within the last minutes, 100,000 at most; where there are more, the rest go without
 * a note until some of them are quiet.
 */
#ifndef MOBEYE_STORE_DEVICES_H
#define MOBEYE_STORE_DEVICES_H

#include <libpq-fe.h>
#include <stdbool.h>

#include "alert/alert.h"

enum { DEVICES_MAX = 100000, DEVICES_PARAMS = 13 };

extern const char devices_sql[];
extern const Oid devices_types[DEVICES_PARAMS];

struct devices;

struct devices *devices_new(void);
void devices_free(struct devices **devices); /* safe on NULL */

/* Heard: the alert is stored, or was before (fresh: false). Copies what it needs. */
void devices_hear(struct devices *devices, const struct alert *alert, bool fresh);

/* True where a note is due. Forgets devices that are quiet. */
bool devices_due(struct devices *devices, int64_t mono_us);

/* Appends the notes that are due, at most some hundreds, to the bufs of values, which are empty. */
void devices_encode(struct devices *devices, int64_t mono_us, struct buf values[DEVICES_PARAMS]);

/* What was encoded last is stored. Without this call it is encoded again. */
void devices_noted(struct devices *devices, int64_t mono_us);

#endif
