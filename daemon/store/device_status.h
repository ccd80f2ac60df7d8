/*
 * Collects the status of devices from their last alerts for mobeye.device_status: at most one update per device and
 * minute.
 *
 * Holds the devices that sent alerts within the last minutes, at most 100,000; beyond that, further devices get no
 * update until others have sent nothing for a while.
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

/* The alert is stored; fresh: for the first time. Copies what it needs. */
void device_status_update(struct device_status *devices, const struct alert *alert, bool fresh);

/* Makes the waiting update of the device, or its next one, due at once. */
void device_status_write_now(struct device_status *devices, struct str device);

/* Wall time of the first receipt that is not written yet; INT64_MAX: none. */
int64_t device_status_written_until_us(const struct device_status *devices);

/* Whether an update is due. Forgets devices without one. DEVICE_STATUS_ALL for mono_us: every update is due, here
 * and in device_status_encode(). */
bool device_status_due(struct device_status *devices, int64_t mono_us);

/* Appends the updates that are due, at most a few hundred, to the bufs of values, which are empty. */
void device_status_encode(struct device_status *devices, int64_t mono_us, struct buf values[DEVICE_STATUS_PARAMS]);

/* What was encoded last has been written; or it has not, and is due again. More may have been added since. */
void device_status_confirm(struct device_status *devices, int64_t mono_us);
void device_status_revert(struct device_status *devices);

#endif
