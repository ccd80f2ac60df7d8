#include "ingest/dc09_recent.h"

#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "base/mem.h"

#define NONE UINT32_MAX

struct recent_frame {
    uint8_t digest[DC09_DIGEST_SIZE];
    int64_t time_us;
    uint32_t next; /* the next older entry of its chain, or NONE */
};

/* Entries are added to a ring, so the one that is overwritten is the oldest, and the last of its chain. */
struct dc09_recent {
    uint64_t seed; /* random, so that no sender can cause long chains */
    uint64_t n_added;
    uint32_t chains[DC09_RECENT_MAX];
    struct recent_frame ring[DC09_RECENT_MAX];
};

struct dc09_recent *dc09_recent_new(void)
{
    struct dc09_recent *recent = mem_zalloc(sizeof(*recent));
    memset(recent->chains, 0xFF, sizeof(recent->chains));
    arc4random_buf(&recent->seed, sizeof(recent->seed));
    return recent;
}

void dc09_recent_free(struct dc09_recent **recent)
{
    free(*recent);
    *recent = NULL;
}

static uint32_t chain_of(const struct dc09_recent *recent, const uint8_t digest[DC09_DIGEST_SIZE])
{
    return XXH3_64bits_withSeed(digest, DC09_DIGEST_SIZE, recent->seed) % DC09_RECENT_MAX;
}

static void unlink_entry(struct dc09_recent *recent, uint32_t at)
{
    uint32_t *link = &recent->chains[chain_of(recent, recent->ring[at].digest)];
    while (*link != at)
        link = &recent->ring[*link].next;
    *link = NONE;
}

/* NONE: not found. */
static uint32_t find_entry(const struct dc09_recent *recent, const uint8_t digest[DC09_DIGEST_SIZE])
{
    uint32_t at = recent->chains[chain_of(recent, digest)];
    while (at != NONE && memcmp(recent->ring[at].digest, digest, DC09_DIGEST_SIZE) != 0)
        at = recent->ring[at].next;
    return at;
}

static uint32_t add_entry(struct dc09_recent *recent, const uint8_t digest[DC09_DIGEST_SIZE])
{
    uint32_t at = recent->n_added % DC09_RECENT_MAX, chain = chain_of(recent, digest);
    if (recent->n_added >= DC09_RECENT_MAX)
        unlink_entry(recent, at);
    recent->n_added++;
    memcpy(recent->ring[at].digest, digest, DC09_DIGEST_SIZE);
    recent->ring[at].next = recent->chains[chain];
    recent->chains[chain] = at;
    return at;
}

void dc09_recent_put(struct dc09_recent *recent, const uint8_t digest[DC09_DIGEST_SIZE], int64_t time_us)
{
    uint32_t at = find_entry(recent, digest);
    if (at == NONE)
        at = add_entry(recent, digest);
    recent->ring[at].time_us = time_us;
}

bool dc09_recent_get(const struct dc09_recent *recent, const uint8_t digest[DC09_DIGEST_SIZE], int64_t *ret_us)
{
    uint32_t at = find_entry(recent, digest);
    if (at == NONE)
        return false;
    *ret_us = recent->ring[at].time_us;
    return true;
}

int64_t dc09_recent_first(struct dc09_recent *recent, const uint8_t digest[DC09_DIGEST_SIZE], int64_t now_us)
{
    int64_t first_us;
    if (dc09_recent_get(recent, digest, &first_us) && now_us - first_us < DC09_UNDATED_WINDOW_US &&
        first_us - now_us <= CLOCK_MINUTE)
        return first_us;
    dc09_recent_put(recent, digest, now_us);
    return now_us;
}
