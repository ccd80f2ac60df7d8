/* Which known word a mistyped one resembles. */
#include <criterion/criterion.h>

#include "base/nearest.h"

static const char *word_at(const void *ctx, size_t i)
{
    static const char *const words[] = {"", "intrusion", "holdup", "holdout", "fire", "motion", NULL};
    (void)ctx;
    return words[i];
}

static void expect(const char *word, const char *known)
{
    const char *nearest = nearest_word(word, word_at, NULL);
    cr_expect_str_eq(nearest ? nearest : "none", known, "%s", word);
}

Test(nearest, a_change_is_a_character_or_a_swap)
{
    cr_expect_eq(word_distance("motion", "Motion"), 0);
    cr_expect_eq(word_distance("moton", "motion"), 1);
    cr_expect_eq(word_distance("mootion", "motion"), 1);
    cr_expect_eq(word_distance("motoin", "motion"), 1);
    cr_expect_eq(word_distance("notoin", "motion"), 2);
}

Test(nearest, words_that_differ)
{
    cr_expect_eq(word_distance("notoen", "motion"), WORDS_DIFFER);
    cr_expect_eq(word_distance("mot", "motion"), WORDS_DIFFER);
    cr_expect_eq(word_distance("fore", "fire"), 1);
    cr_expect_eq(word_distance("form", "fire"), WORDS_DIFFER, "two changes in a short word");
    cr_expect_eq(word_distance("x", ""), 1);
}

Test(nearest, a_word_that_is_too_long)
{
    char longest[NEAREST_WORD_MAX + 2];
    memset(longest, 'a', sizeof(longest));
    longest[NEAREST_WORD_MAX + 1] = '\0';
    cr_expect_eq(word_distance(longest, longest), WORDS_DIFFER);
    longest[NEAREST_WORD_MAX] = '\0';
    cr_expect_eq(word_distance(longest, longest), 0);
}

Test(nearest, the_nearest_or_the_first_that_it_begins)
{
    expect("holdop", "holdup");
    expect("holdot", "holdout");
    expect("FIRE", "fire");
    expect("hol", "holdup");
    expect("in", "intrusion");
    expect("i", "none");
    expect("water", "none");
}
