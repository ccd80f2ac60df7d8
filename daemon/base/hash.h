/*
 * A hash table of things that its user owns, found by a hash that the user computes: open addressing with linear
 * probing, at most three quarters full, 16 bytes a slot.
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

/* {0} is an empty table. Its slots may be read, to see every item; their order is none. */
struct hash {
    struct hash_slot *slots;
    size_t n, cap; /* cap is a power of two, or 0 */
};

/* Is the item the one that the key means? Asked only where the hashes are equal. */
typedef bool (*hash_is)(const void *item, const void *key);

void *hash_find(const struct hash *table, uint64_t hash, hash_is is, const void *key); /* NULL: it is not there */
void hash_add(struct hash *table, uint64_t hash, void *item);                          /* it is not there yet */
void hash_remove(struct hash *table, uint64_t hash, const void *item);                 /* it is there */
void hash_free(struct hash *table); /* leaves an empty table; the items are the user's */

#endif
