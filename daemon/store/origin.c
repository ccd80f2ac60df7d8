#include "store/origin.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/mem.h"

static uint64_t hash_text(struct str text, uint64_t seed)
{
    return XXH3_64bits_withSeed(text.p, text.len, seed);
}

uint64_t origin_of(const struct alert *alert, struct str instance, const uint8_t *rules)
{
    uint64_t daemon = hash_text(instance, XXH3_64bits(rules, rules ? ORIGIN_RULES_BYTES : 0));
    return hash_text(alert->rule, hash_text(alert->endpoint, daemon));
}

const char origin_add_sql[] = "insert into mobeye.alert_origin (origin, instance, endpoint, rule, rules) select "
                              "n.origin, $4, n.endpoint, n.rule, $5 "
                              "from unnest($1, $2, $3) as n (origin, endpoint, rule) on conflict do nothing";

const Oid origin_add_types[ORIGIN_ADD_PARAMS] = {TYPE_INT8_ARRAY, TYPE_TEXT_ARRAY, TYPE_TEXT_ARRAY, TYPE_TEXT,
                                                 TYPE_UUID};

/* The position where it is, or belongs. */
static size_t find_place(const struct origin_cache *cache, uint64_t id)
{
    size_t low = 0, high = cache->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (cache->ids[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool origin_cache_has(const struct origin_cache *cache, uint64_t id)
{
    size_t place = find_place(cache, id);
    return place < cache->n && cache->ids[place] == id;
}

void origin_cache_add(struct origin_cache *cache, uint64_t id)
{
    size_t place = find_place(cache, id);
    if (place < cache->n && cache->ids[place] == id)
        return;
    if (cache->n == cache->cap) {
        cache->cap = cache->cap ? 2 * cache->cap : 16;
        cache->ids = mem_realloc(cache->ids, cache->cap, sizeof(*cache->ids));
    }
    memmove(&cache->ids[place + 1], &cache->ids[place], (cache->n - place) * sizeof(*cache->ids));
    cache->ids[place] = id;
    cache->n++;
}

void origin_cache_clear(struct origin_cache *cache)
{
    free(cache->ids);
    *cache = (struct origin_cache){0};
}
