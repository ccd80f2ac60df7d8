/*
 * struct journal, shared by journal.c (opening, reading, numbers) and append.c (frames, segments, space).
 */
#ifndef MOBEYE_JOURNAL_INTERNAL_H
#define MOBEYE_JOURNAL_INTERNAL_H

#include <sys/types.h>

#include "journal/chain.h"
#include "journal/journal.h"
#include "journal/reader.h"

/*
 * Invariants: a frame is begun only after the one before it is synced, so that any frame proves those before it. The
 * chain has at least one segment; `next_seq`, `used` and `records` of its last one cover what is synced. Every segment
 * reserves APPEND_RESERVE_BYTES for a new-UUID frame and a clean-stop frame.
 */
struct journal {
    int dir_fd, lock_fd;
    int fd;         /* of the last segment, which is appended to */
    dev_t tail_dev; /* identifies that file, with tail_inode */
    ino_t tail_inode;
    uint64_t max_size_bytes;
    int64_t keep_us;
    struct chain chain;
    uint8_t uuid[JOURNAL_UUID_BYTES];
    uint16_t tail_flags; /* of the last frame, like tail_stored_seq */
    uint64_t tail_stored_seq;
    struct reader reader;
    uint64_t next_seq, stored_seq;
    uint64_t synced_seq;    /* less than next_seq - count - 1 after a torn frame was recovered */
    uint64_t prev_checksum; /* of the last record before the pending frame; 0: not known */
    bool failed;
    struct err failure;  /* why, if failed */
    int shortage;        /* errno of the last attempt to create a segment, where a later one may succeed; 0: none */
    int64_t shortage_us; /* wall time of that attempt */
    uint32_t zeroed;     /* the last segment is not only preallocated but written up to this offset */
    /* The pending frame. */
    uint32_t count;
    int64_t wall_us; /* of its last record */
    struct buf table, records;
};

#define APPEND_RESERVE_BYTES (2 * FRAME_BLOCK)

static inline struct segment *journal_last(const struct journal *journal)
{
    return &journal->chain.segments[journal->chain.n - 1];
}

/* Creates the next segment, with space for a frame of need_bytes, and appends to it from now on; `force` may exceed
 * max_size. No frame may be pending. Returns enum journal_append, or -1: final. */
int append_rotate(struct journal *journal, uint64_t need_bytes, int64_t wall_us, bool force, struct err *err);

/* Nothing more is written from now on; err says why. Returns -1. */
int append_failed(struct journal *journal, const struct err *err);

/* Remembers which file journal->fd is. */
void append_remember_tail(struct journal *journal);

/* Whether the last segment may be appended to: it has not been given up, its name refers to its file, and no other name
 * does. Otherwise someone keeps a copy, or appends too. */
bool append_tail_is_usable(const struct journal *journal);

/* Writes and syncs the pending frame. -1: final. */
int append_flush(struct journal *journal, struct err *err);

/* Writes and syncs an empty frame with the flags. No frame may be pending. -1: final. */
int append_empty_frame(struct journal *journal, uint16_t flags, struct err *err);

/* Removes the oldest segment if it is stored and not the last one. false: it was not removed. */
bool append_drop_stored(struct journal *journal);

#endif
