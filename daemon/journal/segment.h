/*
 * Segment files: their names, writing and syncing, reading through a window, and finding frames in what is read.
 *
 * A segment file is made under another name, preallocated, begun with an empty frame, synced and renamed, and the
 * directory synced: one that has its name can be relied on.
 */
#ifndef MOBEYE_JOURNAL_SEGMENT_H
#define MOBEYE_JOURNAL_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/err.h"
#include "journal/frame.h"

#define SEGMENT_NAME_SIZE sizeof("00000000000000000001.seg")

/* What is kept in memory of a segment. */
struct segment {
    uint64_t seq;           /* its name, and the number of its first record */
    uint64_t next_seq;      /* behind its last record */
    uint64_t records;       /* in it that can be read */
    uint64_t prev_checksum; /* of the record before its first; 0: there was none */
    uint64_t nonce;
    uint32_t bytes;                      /* of the file */
    uint32_t used;                       /* where its last synced frame ends */
    int64_t first_wall_us, last_wall_us; /* of its records; without any, when it was made */
    bool unreadable;                     /* in part or as a whole: what the disk does not give is read as damage */
};

/* Writes everything at the offset, whatever number of calls it takes; iov is used up. -1 with errno. */
int segment_write(int fd, struct iovec *iov, int n, uint64_t offset);

/* fdatasync(). A failure is final and must not be tried again. */
int segment_sync(int fd);

char *segment_name(uint64_t seq, char out[SEGMENT_NAME_SIZE]);

/* false: not such a name. */
bool segment_parse_name(const char *name, uint64_t *ret_seq);

enum segment_create {
    SEGMENT_CREATED,
    SEGMENT_SHORT, /* the machine is short of disk space, descriptors or memory: errno; nothing is left behind */
};

/* Makes the segment file `first->segment_seq` of `first->segment_bytes`, with the sealed empty frame `first` at its
 * front; all of it is on stable storage afterwards. A file of that name is replaced. Returns enum segment_create, with
 * the open file or with err; or -1 with err. */
int segment_create(int dir_fd, const struct frame_header *first, int *ret_fd, struct err *err);

/* Opens a segment for appending and locks it, until the descriptor is closed. Where its file has another name too, it
 * is copied first and takes the place of the name: readers of the other name must not find our bytes in it, nor we
 * theirs. -1 with err: another process is appending to it, the disk has no room for a copy, or it failed. */
int segment_open_own(int dir_fd, const struct segment *segment, struct err *err);

/* Copies `length` bytes from `offset` on to the front of a file and syncs it; what cannot be read is zeros. */
bool segment_copy_bytes(int from_fd, int to_fd, uint32_t offset, uint32_t length);

/* Makes sure that the disk has room for all of the file. -1 with errno. */
int segment_preallocate(int fd, uint32_t bytes);

/* Removes what an interrupted segment_create() left. */
void segment_remove_unfinished(int dir_fd);

/* A part of a file in memory. Offsets behind the end of the file read as zeros. */
struct window {
    int fd; /* the caller's */
    char *data;
    size_t cap;
    uint32_t offset, len;
    bool salvage;  /* blocks that the disk cannot read are taken for zeros, where otherwise NULL is returned */
    bool salvaged; /* there was such a block */
};

void window_reset(struct window *window, int fd); /* forgets what was read */
void window_free(struct window *window);

/* The bytes at offset. They stay valid until the next call, and may be written to. Nothing at or behind `limit` is
 * read ahead. NULL with err. */
char *window_get(struct window *window, uint32_t offset, uint32_t len, uint32_t limit, struct err *err);

/* Finds the first frame of this segment that lies in [offset, limit) and begins at min_seq or later, by either copy of
 * its header. nonce 0: of any segment. Returns 1 with one good copy (whose offset says where the frame is), 0: there is
 * none, -1 with err. */
int segment_find_frame(struct window *window, uint64_t nonce, uint64_t min_seq, uint32_t offset, uint32_t limit,
                       struct frame_header *ret, struct err *err);

/* The blocks of [offset, limit) between the first and the last that are not zero. 1, 0: all are zero, -1 with err. */
int segment_find_bytes(struct window *window, uint32_t offset, uint32_t limit, uint32_t *ret_from, uint32_t *ret_until,
                       struct err *err);

#endif
