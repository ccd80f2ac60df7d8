/*
 * Checks every byte of a segment, and repairs what recovery may repair.
 *
 * After a repair everything in the segment has a right checksum: a damaged record is marked in both tables (its number
 * stays empty), a damaged copy is rewritten from the good one, bytes without a recognisable frame become a gap frame,
 * and what follows the last frame of the last segment is zeroed. on_damage() receives the damaged bytes first.
 */
#ifndef MOBEYE_JOURNAL_VERIFY_H
#define MOBEYE_JOURNAL_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "journal/chain.h"

enum damage_kind {
    DAMAGE_RECORDS, /* `count` records from first_seq on have a wrong checksum */
    DAMAGE_COPY,    /* a header, table or padding; the other copy is intact and nothing is lost */
    DAMAGE_REGION,  /* bytes without a recognisable frame; `count` numbers are lost with them */
};

struct damage {
    enum damage_kind kind;
    uint64_t segment_seq;
    uint32_t offset, length; /* in the file */
    uint64_t first_seq, count;
    bool synced; /* false: in a tail that nothing proves to have been synced */
};

struct chain_check {
    bool repair;
    bool live; /* a daemon is writing: nothing after the last frame found at first is examined */
    /* Called for each damage, with the segment file open. Returns whether the bytes were copied elsewhere. */
    bool (*on_damage)(void *ctx, int fd, const struct damage *damage);
    void (*on_progress)(void *ctx, size_t done, size_t total); /* segments; may be NULL */
    void *ctx;

    /* Filled by verify_chain(). */
    struct frame_header tail; /* the last frame of the journal; version 0: none */
    uint64_t last_checksum;   /* of the last number; 0: none, or not known */
    uint64_t last_seq;        /* the last number that may have been accepted: in a torn frame, its last intact record */
};

/* Checks and fills all segments of the chain. A segment whose numbers an earlier one has becomes a foreign one; one
 * that has disappeared is dropped. -1: a segment cannot be opened, or the last one cannot be repaired (a failed repair
 * of another one is tried again by the next recovery). */
int verify_chain(struct chain_check *check, struct chain *chain, int dir_fd, struct err *err);

/* Checks one segment of an open journal: all of it up to `used` was synced, and its fields are known. Without `repair`.
 * -1 with err: it cannot be opened, for the reason ret_open_error (an errno). */
int verify_synced(struct chain_check *check, const struct segment *segment, int dir_fd, int *ret_open_error,
                  struct err *err);

#endif
