/*
 * Recovers the segments in the directory: checks everything, salvages what is damaged, and leaves segments that can be
 * read and appended to.
 */
#ifndef MOBEYE_JOURNAL_RECOVERY_H
#define MOBEYE_JOURNAL_RECOVERY_H

#include <stdint.h>

#include "base/err.h"
#include "journal/chain.h"
#include "journal/journal.h"
#include "journal/verify.h"

struct recovered {
    struct chain chain;       /* owned by the caller */
    struct frame_header tail; /* the last frame; version 0: the directory held no journal */
    uint64_t last_checksum;   /* as of struct chain_check, and the next one */
    uint64_t last_seq;
    int fd; /* of the last segment, for writing; -1: there is none */
};

/* The caller has locked the directory. -1 with err. */
int recovery_run(int dir_fd, int64_t wall_us, struct recovered *ret, struct journal_recovery *report, struct err *err);

/* Checks a segment of the open journal that could not be read: copies of damaged bytes are salvaged and counted in
 * `report`; the segment is not changed. If the disk cannot open the file, everything from from_seq on counts as
 * damaged. -1 with err: it cannot be opened for another reason (descriptors, permissions): try again later. */
int recovery_salvage(int dir_fd, const struct segment *segment, uint64_t from_seq, int64_t wall_us,
                     struct journal_recovery *report, struct err *err);

#endif
