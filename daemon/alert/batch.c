#include "alert/batch.h"

#include <stdlib.h>

#include "base/mem.h"

struct batch *batch_new(size_t cap)
{
    struct batch *batch = mem_zalloc(sizeof(*batch));
    batch->rows = mem_realloc(NULL, cap, sizeof(*batch->rows));
    batch->cap = cap;
    return batch;
}

void batch_free(struct batch **batch)
{
    if (!*batch)
        return;
    buf_free(&(*batch)->bytes);
    free((*batch)->rows);
    free(*batch);
    *batch = NULL;
}

void batch_clear(struct batch *batch)
{
    batch->bytes.len = 0;
    batch->n = 0;
    batch->first_seq = batch->last_seq = batch->last_checksum = 0;
}
