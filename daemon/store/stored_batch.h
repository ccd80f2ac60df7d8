/*
 * A batch whose transaction has ended with its COMMIT: what became of its rows, counted and logged.
 */
#ifndef MOBEYE_STORE_STORED_BATCH_H
#define MOBEYE_STORE_STORED_BATCH_H

#include "base/log.h"
#include "store/encoded_batch.h"
#include "store/writer.h"

/* quarantined: how many of its rows the transaction has added to mobeye.quarantine. */
struct writer_stored stored_batch_count(const struct encoded_batch *encoded, uint64_t quarantined);

/* One limited warning if rows went to quarantine. */
void stored_batch_log_refusals(const struct encoded_batch *encoded, uint64_t quarantined, struct rate_limiter *limiter,
                               int64_t mono_us);

/* One limited warning for each row that is stored although an alert of another device has its identity. */
void stored_batch_log_conflicts(const struct encoded_batch *encoded, struct rate_limiter *limiter, int64_t mono_us);

#endif
