/* The hash table, against a plain array. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>

#include "base/hash.h"

#define N 2000

static int items[N];
static bool there[N];

static bool is(const void *item, const void *key)
{
    return item == key;
}

/* Many share a hash, and all their slots are at the end of the table: searches and gaps wrap around it. */
static uint64_t crowded(size_t i)
{
    return UINT64_MAX - i % 7;
}

static uint64_t spread(size_t i)
{
    return i * UINT64_C(0x9E3779B97F4A7C15);
}

static void exercise(uint64_t (*hash)(size_t i), int rounds)
{
    struct hash table = {0};
    size_t n = 0;
    srand(1);
    for (int round = 0; round < rounds; round++) {
        size_t i = (size_t)rand() % N;
        if (there[i])
            hash_remove(&table, hash(i), &items[i]);
        else
            hash_add(&table, hash(i), &items[i]);
        there[i] = !there[i];
        n += there[i] ? 1 : (size_t)-1;
        cr_assert_eq(table.n, n);
        size_t k = (size_t)rand() % N;
        cr_assert_eq(hash_find(&table, hash(k), is, &items[k]), there[k] ? &items[k] : NULL);
    }
    for (size_t i = 0; i < N; i++)
        cr_assert_eq(hash_find(&table, hash(i), is, &items[i]), there[i] ? &items[i] : NULL);
    hash_free(&table);
    cr_expect_null(hash_find(&table, 1, is, &items[0]));
}

Test(hash, what_is_in_it_is_found_and_nothing_else)
{
    exercise(spread, 50000);
}

Test(hash, also_where_all_want_the_same_slot)
{
    exercise(crowded, 5000);
}

Test(hash, to_remove_what_is_not_in_it_is_fatal, .signal = SIGABRT, .timeout = 60)
{
    struct hash table = {0};
    hash_add(&table, 1, &items[0]);
    hash_remove(&table, 1, &items[1]);
}
