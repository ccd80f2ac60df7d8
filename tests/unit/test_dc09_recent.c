/* What is remembered of frames: the first receipt of an undated one, for 15 minutes, and no more than there is room
 * for. */
#include <string.h>

#include <criterion/criterion.h>

#include "ingest/dc09_recent.h"

#define NOW INT64_C(1795457032000000)

static const uint8_t *digest_of(uint32_t n)
{
    static uint8_t digest[DC09_DIGEST_SIZE];
    memset(digest, 0, sizeof(digest));
    memcpy(digest + 3, &n, sizeof(n));
    return digest;
}

static int64_t known(struct dc09_recent *recent, uint32_t n)
{
    int64_t time_us = -1;
    return dc09_recent_get(recent, digest_of(n), &time_us) ? time_us : -1;
}

/* How many from..until - 1 are known, each with its number as its time. */
static uint32_t count_known(struct dc09_recent *recent, uint32_t from, uint32_t until)
{
    uint32_t count = 0;
    for (uint32_t n = from; n < until; n++)
        count += known(recent, n) == n;
    return count;
}

Test(dc09_recent, the_window_counts_from_the_first)
{
    struct dc09_recent *recent = dc09_recent_new();
    cr_assert_eq(dc09_recent_first(recent, digest_of(1), NOW), NOW);
    cr_assert_eq(dc09_recent_first(recent, digest_of(1), NOW + 10 * CLOCK_MINUTE), NOW);
    cr_assert_eq(dc09_recent_first(recent, digest_of(1), NOW + DC09_UNDATED_WINDOW_US - 1), NOW);
    cr_assert_eq(dc09_recent_first(recent, digest_of(2), NOW + 1), NOW + 1, "another frame");
    int64_t later_us = NOW + DC09_UNDATED_WINDOW_US;
    cr_assert_eq(dc09_recent_first(recent, digest_of(1), later_us), later_us, "a new one, 15 minutes later");
    cr_assert_eq(dc09_recent_first(recent, digest_of(1), later_us + CLOCK_MINUTE), later_us);
    dc09_recent_free(&recent);
    cr_assert_null(recent);
}

Test(dc09_recent, a_clock_that_was_set_back_does_not_stretch_the_window)
{
    struct dc09_recent *recent = dc09_recent_new();
    dc09_recent_first(recent, digest_of(1), NOW);
    cr_assert_eq(dc09_recent_first(recent, digest_of(1), NOW - 30 * CLOCK_SECOND), NOW, "a small step");
    cr_assert_eq(dc09_recent_first(recent, digest_of(1), NOW - CLOCK_DAY), NOW - CLOCK_DAY);
    dc09_recent_free(&recent);
}

Test(dc09_recent, it_is_bounded_and_the_oldest_makes_room)
{
    struct dc09_recent *recent = dc09_recent_new();
    uint32_t n = 0;
    for (; n < DC09_RECENT_MAX; n++)
        dc09_recent_put(recent, digest_of(n), n);
    cr_assert_eq(count_known(recent, 0, n), n);
    for (; n < 3 * DC09_RECENT_MAX + 7; n++)
        dc09_recent_put(recent, digest_of(n), n);
    cr_assert_eq(count_known(recent, 0, n - DC09_RECENT_MAX), 0);
    cr_assert_eq(count_known(recent, n - DC09_RECENT_MAX, n), DC09_RECENT_MAX);
    dc09_recent_free(&recent);
}

Test(dc09_recent, a_digest_is_there_once_with_its_last_time)
{
    struct dc09_recent *recent = dc09_recent_new();
    for (uint32_t i = 0; i < 3 * DC09_RECENT_MAX; i++)
        dc09_recent_put(recent, digest_of(7), i);
    cr_assert_eq(known(recent, 7), 3 * DC09_RECENT_MAX - 1);
    dc09_recent_put(recent, digest_of(8), 1);
    cr_assert_eq(known(recent, 8), 1);
    dc09_recent_free(&recent);
}

Test(dc09_recent, nothing_is_known_at_first)
{
    struct dc09_recent *recent = dc09_recent_new(), *none = NULL;
    cr_assert_eq(known(recent, 0), -1);
    dc09_recent_free(&recent);
    dc09_recent_free(&none);
}
