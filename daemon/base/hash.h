/*
 * A hash table of items that its user owns, with hashes that the user computes: open addressing with linear probing, at
 * most three quarters full, 16 bytes per slot.
 */
#ifndef MOBEYE_BASE_HASH_H
#define MOBEYE_BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hash_slot {
    uint64_t hash;
    void *item; /* NULL: the slot is free */
};

/* {0} is an empty table. Users may read the slots, to visit every item in no particular order. */
struct hash {
    struct hash_slot *slots;
    size_t n, cap; /* cap is a power of two, or 0 */
};

/* Whether the item has the key; called only if the hashes are equal. */
typedef bool (*hash_is)(const void *item, const void *key);

void *hash_find(const struct hash *table, uint64_t hash, hash_is is, const void *key); /* NULL: not found */
void hash_add(struct hash *table, uint64_t hash, void *item);                          /* must not be in the table */
void hash_remove(struct hash *table, uint64_t hash, const void *item);                 /* must be in the table */
void hash_free(struct hash *table); /* the table is empty afterwards; the items belong to the user */

#endif
