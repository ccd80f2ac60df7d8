#include "base/hash.h"

#include <stdlib.h>

#include "base/mem.h"

#define CAP_MIN 64

static size_t home_slot(const struct hash *table, uint64_t hash)
{
    return (size_t)hash & (table->cap - 1);
}

static size_t next_slot(const struct hash *table, size_t at)
{
    return (at + 1) & (table->cap - 1);
}

void *hash_find(const struct hash *table, uint64_t hash, hash_is is, const void *key)
{
    if (table->n == 0)
        return NULL;
    for (size_t at = home_slot(table, hash); table->slots[at].item; at = next_slot(table, at))
        if (table->slots[at].hash == hash && is(table->slots[at].item, key))
            return table->slots[at].item;
    return NULL;
}

static void insert(struct hash *table, uint64_t hash, void *item)
{
    size_t at = home_slot(table, hash);
    while (table->slots[at].item)
        at = next_slot(table, at);
    table->slots[at] = (struct hash_slot){hash, item};
}

static void grow(struct hash *table)
{
    struct hash larger = {.n = table->n, .cap = table->cap ? 2 * table->cap : CAP_MIN};
    larger.slots = mem_zalloc(larger.cap * sizeof(*larger.slots));
    for (size_t at = 0; at < table->cap; at++)
        if (table->slots[at].item)
            insert(&larger, table->slots[at].hash, table->slots[at].item);
    free(table->slots);
    *table = larger;
}

void hash_add(struct hash *table, uint64_t hash, void *item)
{
    if (table->n + 1 > table->cap / 4 * 3)
        grow(table);
    insert(table, hash, item);
    table->n++;
}

/* Moves items back that had been placed after the freed slot because of it, so that searches still find them. */
static void close_gap(struct hash *table, size_t gap)
{
    for (size_t at = next_slot(table, gap); table->slots[at].item; at = next_slot(table, at)) {
        size_t wanted = home_slot(table, table->slots[at].hash);
        bool stays = gap <= at ? gap < wanted && wanted <= at : gap < wanted || wanted <= at;
        if (stays)
            continue;
        table->slots[gap] = table->slots[at];
        table->slots[at].item = NULL;
        gap = at;
    }
}

void hash_remove(struct hash *table, uint64_t hash, const void *item)
{
    size_t at = home_slot(table, hash);
    while (table->slots[at].item != item) {
        if (!table->slots[at].item)
            abort(); /* also where NDEBUG is set: the search would not end */
        at = next_slot(table, at);
    }
    table->slots[at].item = NULL;
    table->n--;
    close_gap(table, at);
}

void hash_free(struct hash *table)
{
    free(table->slots);
    *table = (struct hash){0};
}
