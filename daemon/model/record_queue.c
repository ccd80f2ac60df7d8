#include "model/record_queue.h"

#include <assert.h>

#include "model/record.h"

void record_queue_free(struct record_queue *records)
{
    buf_free(&records->bytes);
}

void record_queue_clear(struct record_queue *records)
{
    records->bytes.len = records->n = records->shared_offset = records->shared_bytes = 0;
    records->share = NULL;
}

void record_queue_add(struct record_queue *records, const struct alert *alert)
{
    size_t at = records->bytes.len;
    assert(records->n < RECORD_QUEUE_MAX);
    record_pack(&records->bytes, alert);
    records->len[records->n++] = records->bytes.len - at;
}
