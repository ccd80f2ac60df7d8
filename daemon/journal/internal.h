/*
 * struct journal, for journal.c (life, reading, numbers) and append.c (frames, segments, room).
 */
#ifndef MOBEYE_JOURNAL_INTERNAL_H
#define MOBEYE_JOURNAL_INTERNAL_H

#include <sys/types.h>

#include "journal/chain.h"
#include "journal/journal.h"
#include "journal/reader.h"

/*
 * Invariants: a frame is begun only after the one before it is synced, so that any frame proves those before it. The
 * chain has at least one segment; `next_seq`, `used` and `records` of its last go as far as is synced. Every segment
 * keeps APPEND_RESERVE_BYTES free for a new UUID and a clean-stop mark.
 */
struct journal {
    int dir_fd, lock_fd;
    int fd;         /* of the last segment, which is written to */
    dev_t tail_dev; /* which file that is */
    ino_t tail_inode;
    uint64_t max_size_bytes;
    int64_t keep_us;
    struct chain chain;
    uint8_t uuid[JOURNAL_UUID_BYTES];
    uint16_t tail_flags; /* of the last frame, as the next */
    uint64_t tail_stored_seq;
    struct reader reader;
    uint64_t next_seq, stored_seq;
    uint64_t synced_seq;    /* after a torn frame was recovered, less than what comes before next_seq and count */
    uint64_t prev_checksum; /* of the number before the frame that is being gathered; 0: not known */
    bool failed;
    int shortage;        /* errno of the last attempt to create a segment, where a later one may succeed; 0: none */
    int64_t shortage_us; /* wall time of that attempt */
    uint32_t zeroed;     /* in the last segment, how far it is more than preallocated */
    /* The frame that is being gathered. */
    uint32_t count;
    int64_t wall_us; /* of its last record */
    struct buf table, records;
};

#define APPEND_RESERVE_BYTES (2 * FRAME_BLOCK)

static inline struct segment *journal_last(const struct journal *journal)
{
    return &journal->chain.segments[journal->chain.n - 1];
}

/* Makes the next segment the one that is written to, with room for a frame of need_bytes; `force` goes beyond max_size.
 * Nothing may be gathered. Returns enum journal_append, or -1: final. */
int append_rotate(struct journal *journal, uint64_t need_bytes, int64_t wall_us, bool force, struct err *err);

/* Remembers which file journal->fd is. */
void append_know_tail(struct journal *journal);

/* Whether the last segment may be appended to: its name leads to its file, and no other name does. Elsewhere somebody
 * keeps a copy, or appends too. */
bool append_tail_is_ours(const struct journal *journal);

/* Writes and syncs the gathered frame, or with flags an empty one. -1: final. */
int append_flush(struct journal *journal, struct err *err);
int append_mark(struct journal *journal, uint16_t flags, struct err *err);

/* Removes the oldest segment where it is stored and not the last. */
bool append_drop_stored(struct journal *journal);

#endif
