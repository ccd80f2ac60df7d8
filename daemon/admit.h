/*
 * A message's records into the journal's next group, and the complaint where there is no room for them.
 */
#ifndef MOBEYE_ADMIT_H
#define MOBEYE_ADMIT_H

#include "base/loop.h"
#include "intake.h"
#include "journal/journal.h"

struct admit {
    struct loop *loop;
    struct journal *journal; /* the caller's */
    uint64_t counted_seq;    /* the last record that is counted as journaled */
    int64_t group_since_us;  /* monotonic: receipt of the first record that is not */
    size_t bytes;            /* that went into the journal since the start */
    struct complaint full;
};

enum admit_result {
    ADMIT_TAKEN,
    ADMIT_FULL,   /* none is in it: try again later */
    ADMIT_FAILED, /* err says why; final, as journal_append() */
};

/* Admits the records of a message, one at least, all or none, and clears them. ret_seq: the number of the last. */
enum admit_result admit_records(struct admit *admit, struct records *records, uint64_t *ret_seq, struct err *err);

/* Records that are not counted yet. The journal may have synced some of them already, where they filled a frame. */
uint64_t admit_uncounted(const struct admit *admit);

#endif
