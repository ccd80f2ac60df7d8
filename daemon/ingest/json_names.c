#include "ingest/json_names.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/mem.h"

enum { SLOTS_MIN = 64, SLOTS_MAX = 32768 };
_Static_assert(JSON_NAMES_MAX <= SLOTS_MAX / 2, "the table is at most half full");

struct name {
    uint64_t hash;
    struct str text;
    uint32_t object;
};

/* Open addressing. A slot holds 1 + an index into `all`; 0: empty. Invariant: n <= n_slots / 2; n_slots is a power of
 * two. Each message starts with few slots, so that little memory is touched. */
struct json_names {
    uint64_t seed;
    size_t n, n_slots;
    uint16_t slots[SLOTS_MAX];
    struct name all[JSON_NAMES_MAX];
};

struct json_names *json_names_new(void)
{
    struct json_names *names = mem_zalloc(sizeof(*names));
    arc4random_buf(&names->seed, sizeof(names->seed));
    json_names_clear(names);
    return names;
}

void json_names_free(struct json_names **names)
{
    free(*names);
    *names = NULL;
}

static void set_slots(struct json_names *names, size_t n_slots)
{
    names->n_slots = n_slots;
    memset(names->slots, 0, n_slots * sizeof(names->slots[0]));
}

void json_names_clear(struct json_names *names)
{
    names->n = 0;
    set_slots(names, SLOTS_MIN);
}

static bool same_name(const struct name *a, const struct name *b)
{
    return a->hash == b->hash && a->object == b->object && str_eq(a->text, b->text);
}

/* The slot of an equal name, or the empty one where it belongs. */
static uint16_t *find_slot(struct json_names *names, const struct name *name)
{
    size_t mask = names->n_slots - 1;
    for (size_t i = name->hash & mask;; i = (i + 1) & mask) {
        uint16_t *slot = &names->slots[i];
        if (*slot == 0 || same_name(&names->all[*slot - 1], name))
            return slot;
    }
}

static void double_slots(struct json_names *names)
{
    set_slots(names, names->n_slots * 2);
    for (size_t i = 0; i < names->n; i++)
        *find_slot(names, &names->all[i]) = (uint16_t)(i + 1);
}

bool json_names_add(struct json_names *names, uint32_t object, struct str text)
{
    const struct name name = {XXH3_64bits_withSeed(text.p, text.len, names->seed + object), text, object};
    if (names->n == names->n_slots / 2)
        double_slots(names);
    uint16_t *slot = find_slot(names, &name);
    if (*slot)
        return false;
    assert(names->n < JSON_NAMES_MAX);
    names->all[names->n++] = name;
    *slot = (uint16_t)names->n;
    return true;
}
