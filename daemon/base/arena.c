#include "base/arena.h"

#include <stdlib.h>

#include "base/mem.h"

enum { CHUNK_BYTES_MIN = 4096, ALIGNMENT = _Alignof(max_align_t) };

/* Invariant: used <= size, and used is a multiple of ALIGNMENT. An older chunk is never larger than a newer one. */
struct arena_chunk {
    struct arena_chunk *older;
    size_t size, used;
    _Alignas(max_align_t) char bytes[];
};

static struct arena_chunk *add_chunk(struct arena *arena, size_t len)
{
    size_t size = arena->newest ? 2 * arena->newest->size : CHUNK_BYTES_MIN;
    if (size < len)
        size = len;
    struct arena_chunk *chunk = mem_realloc(NULL, 1, sizeof(*chunk) + size);
    *chunk = (struct arena_chunk){.older = arena->newest, .size = size};
    return arena->newest = chunk;
}

void *arena_alloc(struct arena *arena, size_t len)
{
    struct arena_chunk *chunk = arena->newest;
    len = (len + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (!chunk || len > chunk->size - chunk->used)
        chunk = add_chunk(arena, len);
    void *memory = chunk->bytes + chunk->used;
    chunk->used += len;
    return memory;
}

static void free_chunks(struct arena_chunk *chunk)
{
    while (chunk) {
        struct arena_chunk *older = chunk->older;
        free(chunk);
        chunk = older;
    }
}

void arena_clear(struct arena *arena)
{
    if (!arena->newest)
        return;
    free_chunks(arena->newest->older);
    arena->newest->older = NULL;
    arena->newest->used = 0;
}

void arena_free(struct arena *arena)
{
    free_chunks(arena->newest);
    arena->newest = NULL;
}
