#include "model/batch.h"

#include <stdlib.h>
#include <string.h>

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
    arena_free(&(*batch)->arena);
    free((*batch)->rows);
    free(*batch);
    *batch = NULL;
}

void batch_clear(struct batch *batch)
{
    batch->bytes.len = 0;
    batch->n = 0;
    batch->first_seq = batch->last_seq = batch->last_checksum = 0;
    batch->versions_waived = false;
    arena_clear(&batch->arena);
}

void *batch_alloc(struct batch *batch, size_t len)
{
    return arena_alloc(&batch->arena, len);
}

void *batch_copy(struct batch *batch, const void *bytes, size_t len)
{
    void *copy = arena_alloc(&batch->arena, len);
    if (len > 0)
        memcpy(copy, bytes, len);
    return copy;
}

struct str batch_copy_str(struct batch *batch, struct str text)
{
    if (text.len == 0)
        return (struct str){0};
    return (struct str){batch_copy(batch, text.p, text.len), text.len};
}
