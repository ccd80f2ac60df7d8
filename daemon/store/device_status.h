/*
 * What devices were last heard to say, on its way to mobeye.device_status: at most once a minute a device.
 *
 * Keeps the devices that were heard within the last minutes, 100,000 at most; where there are more, the rest go without
 * a note until some of them are quiet.
 */
#ifndef MOBEYE_STORE_DEVICE_STATUS_H
#define MOBEYE_STORE_DEVICE_STATUS_H

#include <libpq-fe.h>
#include <stdbool.h>

#include "model/alert.h"

enum { DEVICE_STATUS_MAX = 100000, DEVICE_STATUS_PARAMS = 13 };

#define DEVICE_STATUS_ALL INT64_MAX

extern const char device_status_sql[];
extern const Oid device_status_types[DEVICE_STATUS_PARAMS];

struct device_status;

struct device_status *device_status_new(void);
void device_status_free(struct device_status **devices); /* safe on NULL */

/* Heard: the alert is stored, or was before (fresh: false). Copies what it needs. */
void device_status_update(struct device_status *devices, const struct alert *alert, bool fresh);

/* Its next note, or one that waits, is due at once. */
void device_status_write_now(struct device_status *devices, struct str device);

/* Wall time of the first receipt that is in no note yet; INT64_MAX: there is none. */
int64_t device_status_written_until_us(const struct device_status *devices);

/* True where a note is due. Forgets devices that are quiet. DEVICE_STATUS_ALL for mono_us: whatever was heard is due,
 * here and in device_status_encode(). */
bool device_status_due(struct device_status *devices, int64_t mono_us);

/* Appends the notes that are due, at most some hundreds, to the bufs of values, which are empty. */
void device_status_encode(struct device_status *devices, int64_t mono_us, struct buf values[DEVICE_STATUS_PARAMS]);

/* What was encoded last is stored; or it is not, and is due again. More may have been heard since. */
void device_status_confirm(struct device_status *devices, int64_t mono_us);
void device_status_revert(struct device_status *devices);

#endif
