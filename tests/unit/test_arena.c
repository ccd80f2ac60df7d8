#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"

Test(arena, allocations_are_aligned_and_do_not_overlap)
{
    struct arena arena = {0};
    enum { COUNT = 300 };
    unsigned char *blocks[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = arena_alloc(&arena, i * 7);
        cr_assert_eq((uintptr_t)blocks[i] % _Alignof(max_align_t), 0);
        memset(blocks[i], (int)(i % 251), i * 7);
    }
    for (size_t i = 0; i < COUNT; i++)
        for (size_t k = 0; k < i * 7; k++)
            cr_assert_eq(blocks[i][k], i % 251, "block %zu was overwritten at byte %zu", i, k);
    arena_free(&arena);
}

Test(arena, one_that_is_larger_than_any_chunk_has_a_chunk_of_its_own)
{
    struct arena arena = {0};
    char *small = arena_alloc(&arena, 1), *large = arena_alloc(&arena, 1 << 20);
    *small = 's';
    memset(large, 'l', 1 << 20);
    cr_expect_eq(*small, 's');
    arena_free(&arena);
}

Test(arena, after_clear_the_largest_chunk_is_used_again)
{
    struct arena arena = {0};
    arena_alloc(&arena, 10);
    char *large = arena_alloc(&arena, 100000);
    arena_clear(&arena);
    cr_expect_eq(arena_alloc(&arena, 100000), large);
    arena_free(&arena);
    arena_clear(&arena);
    cr_expect_not_null(arena_alloc(&arena, 0), "it can be used after it was freed");
    arena_free(&arena);
}
