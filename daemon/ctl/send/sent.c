#include "ctl/send/sent.h"

#include <xxhash.h>

static bool is_any(const void *item, const void *key)
{
    (void)item, (void)key;
    return true; /* 64 bits tell apart what one file holds */
}

static uint64_t identity_of(const struct alert *alert)
{
    uint64_t hash = XXH3_64bits(alert->source.p, alert->source.len);
    hash = XXH3_64bits_withSeed(alert->event_id.p, alert->event_id.len, hash);
    return XXH3_64bits_withSeed(alert->device.p, alert->device.len, hash);
}

/* The line is stored as the item itself. */
uint64_t sent_add(struct sent *sent, const struct alert *alert, uint64_t line)
{
    uint64_t hash = identity_of(alert);
    const void *before = hash_find(&sent->identities, hash, is_any, NULL);
    if (before)
        return (uintptr_t)before;
    hash_add(&sent->identities, hash, (void *)(uintptr_t)line); // NOLINT(performance-no-int-to-ptr): never followed
    return 0;
}

void sent_free(struct sent *sent)
{
    hash_free(&sent->identities);
}
