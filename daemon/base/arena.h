/*
 * A memory arena: allocations are freed all at once. An allocation advances a pointer within a chunk; when a chunk is
 * full, a larger one is added. A zero-initialised arena is empty and owns nothing.
 */
#ifndef MOBEYE_BASE_ARENA_H
#define MOBEYE_BASE_ARENA_H

#include <stddef.h>

struct arena_chunk;

struct arena {
    struct arena_chunk *newest;
};

/* Uninitialised memory, aligned for any type, valid until arena_clear(). Never NULL, also for a length of 0. */
void *arena_alloc(struct arena *arena, size_t len) __attribute__((returns_nonnull));

void arena_clear(struct arena *arena); /* empties it; keeps the largest chunk */
void arena_free(struct arena *arena);  /* empties it and frees its memory */

#endif
