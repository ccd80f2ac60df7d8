#include "flow/client_share.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

/* A client's use is released in steps of 1/64 of its limit: precise enough, at 1 kB per client. */
enum { CHARGES = 64, KEY_SIZE = 41 };

/* The messages up to seq that are not in an earlier charge. */
struct share_charge {
    uint64_t seq, bytes;
};

struct client_share {
    struct client_share *next;
    char key[KEY_SIZE];
    char subject[96]; /* "client NAME", for the log */
    uint64_t bytes;   /* of all charges */
    struct share_charge charges[CHARGES];
    size_t first, n; /* of the ring of charges, the oldest first */
    struct rate_limiter over;
};

void client_shares_free(struct client_shares *shares)
{
    for (struct client_share *share = shares->list, *next; share; share = next) {
        next = share->next;
        free(share);
    }
    shares->list = NULL;
}

struct client_share *client_share_of(struct client_shares *shares, const char *key, const char *name)
{
    for (struct client_share *share = shares->list; share; share = share->next)
        if (strncmp(share->key, key, KEY_SIZE - 1) == 0)
            return share;
    struct client_share *share = mem_zalloc(sizeof(*share));
    snprintf(share->key, sizeof(share->key), "%s", key);
    snprintf(share->subject, sizeof(share->subject), "client %s", name);
    share->next = shares->list;
    return shares->list = share;
}

static void release_stored(struct client_share *share, uint64_t stored_seq)
{
    while (share->n > 0 && share->charges[share->first].seq <= stored_seq) {
        share->bytes -= share->charges[share->first].bytes;
        share->first = (share->first + 1) % CHARGES;
        share->n--;
    }
}

void client_shares_update(struct client_shares *shares, bool several, uint64_t max_bytes, uint64_t waiting_bytes,
                          uint64_t stored_seq)
{
    uint64_t clients_bytes = 0;
    for (struct client_share *share = shares->list; share; share = share->next) {
        release_stored(share, stored_seq);
        clients_bytes += share->bytes;
    }
    uint64_t others_bytes = waiting_bytes > clients_bytes ? waiting_bytes - clients_bytes : 0;
    shares->limit_bytes = !several ? UINT64_MAX : others_bytes < max_bytes ? (max_bytes - others_bytes) / 2 : 0;
}

bool client_share_allows(const struct client_shares *shares, struct client_share *share, uint64_t bytes,
                         int64_t mono_us)
{
    if (!share || share->bytes + bytes <= shares->limit_bytes) {
        if (share && share->bytes <= shares->limit_bytes / 4 * 3) /* hysteresis: not after each stored batch */
            log_recover(&share->over, share->subject, "uses less than its half of the journal again");
        return true;
    }
    log_limited(
        &share->over, mono_us, LOG_LEVEL_ERROR, share->subject,
        "its alerts not yet in the database fill half of journal.max_size; it gets RETRY, other clients do not");
    return false;
}

void client_share_add(const struct client_shares *shares, struct client_share *share, uint64_t seq, uint64_t bytes)
{
    if (!share)
        return;
    struct share_charge *last = share->n > 0 ? &share->charges[(share->first + share->n - 1) % CHARGES] : NULL;
    if (!last || (last->bytes >= shares->limit_bytes / CHARGES && share->n < CHARGES)) {
        last = &share->charges[(share->first + share->n++) % CHARGES];
        last->bytes = 0;
    }
    last->seq = seq;
    last->bytes += bytes;
    share->bytes += bytes;
}
