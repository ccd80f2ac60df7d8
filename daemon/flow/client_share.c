#include "flow/client_share.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* So many marks tell, of a client that has all it may, what is stored and what is not: by one part in so many. */
enum { MARKS = 64, KEY_SIZE = 41 };

/* Messages up to seq that are not in the mark before. */
struct mark {
    uint64_t seq, bytes;
};

struct client_share {
    struct client_share *next;
    char key[KEY_SIZE];
    char subject[96]; /* "client NAME", for the log */
    uint64_t bytes;   /* of all marks */
    struct mark marks[MARKS];
    size_t first, n; /* a ring of them, the oldest first */
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

static void drop_stored(struct client_share *share, uint64_t stored_seq)
{
    while (share->n > 0 && share->marks[share->first].seq <= stored_seq) {
        share->bytes -= share->marks[share->first].bytes;
        share->first = (share->first + 1) % MARKS;
        share->n--;
    }
}

void client_shares_update(struct client_shares *shares, bool several, uint64_t max_bytes, uint64_t waiting_bytes,
                          uint64_t stored_seq)
{
    uint64_t clients_bytes = 0;
    for (struct client_share *share = shares->list; share; share = share->next) {
        drop_stored(share, stored_seq);
        clients_bytes += share->bytes;
    }
    uint64_t others_bytes = waiting_bytes > clients_bytes ? waiting_bytes - clients_bytes : 0;
    shares->limit_bytes = !several ? UINT64_MAX : others_bytes < max_bytes ? (max_bytes - others_bytes) / 2 : 0;
}

bool client_share_allows(const struct client_shares *shares, struct client_share *share, uint64_t bytes,
                         int64_t mono_us)
{
    if (!share || share->bytes + bytes <= shares->limit_bytes) {
        if (share && share->bytes <= shares->limit_bytes / 4 * 3) /* not with each batch that is stored */
            log_recover(&share->over, share->subject, "is within its half of the journal again");
        return true;
    }
    log_limited(&share->over, mono_us, LOG_LEVEL_ERROR, share->subject,
                "its alerts that wait for the database fill half of journal.max_size; it gets RETRY, the other clients "
                "do not");
    return false;
}

void client_share_add(const struct client_shares *shares, struct client_share *share, uint64_t seq, uint64_t bytes)
{
    if (!share)
        return;
    struct mark *last = share->n > 0 ? &share->marks[(share->first + share->n - 1) % MARKS] : NULL;
    if (!last || (last->bytes >= shares->limit_bytes / MARKS && share->n < MARKS)) {
        last = &share->marks[(share->first + share->n++) % MARKS];
        last->bytes = 0;
    }
    last->seq = seq;
    last->bytes += bytes;
    share->bytes += bytes;
}
