/*
 * Opens what is in the directory: checks everything, sets aside what is damaged, and leaves segments that can be
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
    struct chain chain;       /* the caller's from now on */
    struct frame_header tail; /* the last frame; version 0: the directory held no journal */
    uint64_t last_checksum;   /* as of struct check, and the next one */
    uint64_t last_seq;
    int fd; /* of the last segment, for writing; -1: there is none */
};

/* The directory is locked by the caller. report->salvaged is filled with `directory` in front. -1 with err. */
int recovery_run(int dir_fd, const char *directory, int64_t wall_us, struct recovered *ret,
                 struct journal_recovery *report, struct err *err);

/* Checks a segment of the open journal that could not be read: copies of what is damaged are set aside and counted in
 * `report`; nothing in the segment is changed. A file that the disk cannot open is damage from from_seq on. -1 with
 * err: it cannot be opened for another reason (descriptors, rights): try again later. */
int recovery_salvage(int dir_fd, const struct segment *segment, uint64_t from_seq, int64_t wall_us,
                     struct journal_recovery *report, struct err *err);

#endif
