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

#define DEVICES_ALL INT64_MAX

extern const char devices_sql[];
extern const Oid devices_types[DEVICES_PARAMS];

struct devices;

struct devices *devices_new(void);
void devices_free(struct devices **devices); /* safe on NULL */

/* Heard: the alert is stored, or was before (fresh: false). Copies what it needs. */
void devices_hear(struct devices *devices, const struct alert *alert, bool fresh);

/* Its next note, or one that waits, is due at once. */
void devices_hurry(struct devices *devices, struct str device);

/* Wall time of the first receipt that is in no note yet; INT64_MAX: there is none. */
int64_t devices_noted_until_us(const struct devices *devices);

/* True where a note is due. Forgets devices that are quiet. DEVICES_ALL for mono_us: whatever was heard is due, here
 * and in devices_encode(). */
bool devices_due(struct devices *devices, int64_t mono_us);

/* Appends the notes that are due, at most some hundreds, to the bufs of values, which are empty. */
void devices_encode(struct devices *devices, int64_t mono_us, struct buf values[DEVICES_PARAMS]);

/* What was encoded last is stored; or it is not, and is due again. More may have been heard since. */
void devices_noted(struct devices *devices, int64_t mono_us);
void devices_unnoted(struct devices *devices);

#endif
