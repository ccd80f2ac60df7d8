#include "store/stored_batch.h"

#define SUBJECT "database"

static uint64_t count_conflicts(const struct encoded_batch *encoded)
{
    uint64_t count = 0;
    for (size_t row = 0; (row = encoded_batch_next_conflict(encoded, row)) < encoded->batch->n; row++)
        count++;
    return count;
}

struct writer_stored stored_batch_count(const struct encoded_batch *encoded, uint64_t quarantined)
{
    struct writer_stored stored = {
        .last_seq = encoded->batch->last_seq,
        .committed = encoded_batch_count(encoded, ROW_STORE),
        .quarantined = quarantined,
        .conflicts = count_conflicts(encoded),
    };
    stored.duplicate = encoded->batch->n - stored.committed - stored.quarantined;
    return stored;
}

void stored_batch_log_refusals(const struct encoded_batch *encoded, uint64_t quarantined, struct rate_limiter *limiter,
                               int64_t mono_us)
{
    if (quarantined == 0)
        return;
    const char *sqlstate = encoded->refusals[0].sqlstate;
    log_limited(limiter, mono_us, LOG_LEVEL_WARNING, SUBJECT,
                "alerts are in quarantine, %s%s: mobeyectl quarantine list shows them",
                *sqlstate ? "refused with SQLSTATE " : "their records are damaged", sqlstate);
}

void stored_batch_log_conflicts(const struct encoded_batch *encoded, struct rate_limiter *limiter, int64_t mono_us)
{
    const struct batch *batch = encoded->batch;
    for (size_t row = 0; (row = encoded_batch_next_conflict(encoded, row)) < batch->n; row++) {
        const struct alert *alert = &batch->rows[row].alert;
        log_limited(limiter, mono_us, LOG_LEVEL_WARNING, SUBJECT,
                    "identity conflict: an alert of device %.*s has the source and id of another device's alert, and "
                    "is stored as its own; source %.*s, endpoint %.*s",
                    (int)alert->device.len, alert->device.p, (int)alert->source.len, alert->source.p,
                    (int)alert->endpoint.len, alert->endpoint.p);
    }
}
