/*
 * Checks every byte of a segment, and mends what recovery may mend.
 *
 * Mending leaves a segment in which everything checks: a record that does not is marked in both tables (its number
 * stays empty), a damaged copy is written anew from the good one, bytes in which no frame is recognised become a gap
 * frame, and what lies behind the last frame of the last segment is zeroed. The damaged bytes are handed out before.
 */
#ifndef MOBEYE_JOURNAL_VERIFY_H
#define MOBEYE_JOURNAL_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "journal/chain.h"

enum damage_kind {
    DAMAGE_RECORDS, /* `count` records from first_seq on do not check */
    DAMAGE_COPY,    /* a header, table or padding; the other copy holds and nothing is lost */
    DAMAGE_REGION,  /* no frame can be recognised in these bytes; `count` numbers are lost with them */
};

struct damage {
    enum damage_kind kind;
    uint64_t segment_seq;
    uint32_t offset, length; /* in the file */
    uint64_t first_seq, count;
    bool synced; /* false: of a tail of which nothing proves that it was ever synced */
};

struct check {
    bool repair;
    bool live; /* a daemon is writing: what lies behind the last frame found at first is not looked at */
    /* Is told of each damage, with the file open. Returns whether the bytes are kept elsewhere now. */
    bool (*found)(void *ctx, int fd, const struct damage *damage);
    void (*progress)(void *ctx, size_t done, size_t total); /* segments; may be NULL */
    void *ctx;

    /* Filled by check_chain(). */
    struct frame_header tail; /* the last frame of the journal; version 0: there is none */
    uint64_t last_checksum;   /* of the last number; 0: none, or not known */
    uint64_t last_seq;        /* the last number that may have been accepted: of a torn frame, the last that checks */
};

/* Checks and fills all segments of the chain; one whose numbers another has already becomes a stranger, one that is
 * gone by now is left out. -1: a segment cannot be opened, or mending the last one failed (of the others it is tried
 * again with the next recovery). */
int check_chain(struct check *check, struct chain *chain, int dir_fd, struct err *err);

/* Checks one segment of a journal that is open: all of it below `used` was synced, and its fields are known. Without
 * `mend`. -1: it cannot be opened, with errno. */
int check_synced(struct check *check, const struct segment *segment, int dir_fd, struct err *err);

#endif
