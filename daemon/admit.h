/*
 * A message's records into the journal's next group, and the complaint where there is no room for them: none in the
 * journal, or none in the client's share of it (share.h).
 */
#ifndef MOBEYE_ADMIT_H
#define MOBEYE_ADMIT_H

#include "base/loop.h"
#include "intake.h"
#include "journal/journal.h"
#include "share.h"

struct admit {
    struct loop *loop;
    struct journal *journal; /* the caller's */
    uint64_t counted_seq;    /* the last record that is counted as journaled */
    int64_t group_since_us;  /* monotonic: receipt of the first record that is not */
    size_t bytes;            /* that went into the journal since the start */
    struct complaint full;
    struct shares shares;
    uint64_t max_size_bytes;           /* of the journal */
    int64_t keep_us[CLASS_COUNT];      /* how long alerts of each class are kept */
    const struct conf_client *clients; /* that are listed; the configuration's */
    size_t n_clients;
    struct share **by_client; /* the share of each; NULL: nothing came from it yet */
};

/* Before the first message, and with every new configuration, which must live until the next. */
void admit_configure(struct admit *admit, const struct conf *conf);
void admit_free(struct admit *admit); /* what it has; {0} may be freed */

enum admit_result {
    ADMIT_TAKEN,
    ADMIT_FULL,   /* none is in it: try again later, maybe others are let in */
    ADMIT_FAILED, /* err says why; final, as journal_append() */
};

/* Admits the records of a message, one at least, all or none, and clears them. ret_seq: the number of the last. */
enum admit_result admit_records(struct admit *admit, struct records *records, uint64_t *ret_seq, struct err *err);

/* The share of the client, for records->share; NULL for NULL. */
struct share *admit_share(struct admit *admit, const struct conf_client *client);

/* Records that are not counted yet. The journal may have synced some of them already, where they filled a frame. */
uint64_t admit_uncounted(const struct admit *admit);

#endif
