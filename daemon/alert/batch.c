#include "alert/batch.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"

static void out_of_memory(void)
{
    log_error("memory", "out of memory");
    abort();
}

static void *chunk_alloc(size_t size)
{
    return mem_realloc(NULL, size, 1);
}

#define obstack_chunk_alloc chunk_alloc
#define obstack_chunk_free  free

struct batch *batch_new(size_t cap)
{
    struct batch *batch = mem_zalloc(sizeof(*batch));
    batch->rows = mem_realloc(NULL, cap, sizeof(*batch->rows));
    batch->cap = cap;
    obstack_alloc_failed_handler = out_of_memory;
    obstack_init(&batch->notes);
    batch->notes_start = obstack_alloc(&batch->notes, 0);
    return batch;
}

void batch_free(struct batch **batch)
{
    if (!*batch)
        return;
    buf_free(&(*batch)->bytes);
    obstack_free(&(*batch)->notes, NULL);
    free((*batch)->rows);
    free(*batch);
    *batch = NULL;
}

void batch_clear(struct batch *batch)
{
    batch->bytes.len = 0;
    batch->n = 0;
    batch->first_seq = batch->last_seq = batch->last_checksum = 0;
    batch->settled = false;
    obstack_free(&batch->notes, batch->notes_start);
    batch->notes_start = obstack_alloc(&batch->notes, 0);
}

void *batch_room(struct batch *batch, size_t len)
{
    return obstack_alloc(&batch->notes, len);
}

void *batch_keep(struct batch *batch, const void *bytes, size_t len)
{
    return obstack_copy(&batch->notes, bytes, len);
}

struct str batch_keep_str(struct batch *batch, struct str text)
{
    return text.len == 0 ? (struct str){0} : (struct str){batch_keep(batch, text.p, text.len), text.len};
}
