/*
 * Segment files: names, writing and syncing, reading through a window, and finding frames.
 *
 * A segment file is created under a temporary name, preallocated, begun with an empty frame and synced; then it is
 * renamed and the directory synced. So a file with a segment's name is complete.
 */
#ifndef MOBEYE_JOURNAL_SEGMENT_H
#define MOBEYE_JOURNAL_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/err.h"
#include "journal/frame.h"

#define SEGMENT_NAME_SIZE sizeof("00000000000000000001.seg")

/* What is known of a segment. */
struct segment {
    uint64_t seq;           /* its name, and the number of its first record */
    uint64_t next_seq;      /* the number after its last record */
    uint64_t records;       /* readable ones in it */
    uint64_t prev_checksum; /* of the record before its first; 0: there was none */
    uint64_t nonce;
    uint32_t bytes;                      /* of the file */
    uint32_t used;                       /* where its last synced frame ends */
    int64_t first_wall_us, last_wall_us; /* of its records; without any, when it was created */
    bool unreadable;                     /* in part or as a whole: what the disk cannot read counts as damaged; nothing
                                          * more is appended to it */
};

/* Writes everything at the offset, in as many calls as it takes; modifies iov. -1 with errno. */
int segment_write(int fd, struct iovec *iov, int n, uint64_t offset);

/* fdatasync(). A failure is final and must not be retried. */
int segment_sync(int fd);

char *segment_name(uint64_t seq, char out[SEGMENT_NAME_SIZE]);

/* false: not a segment name. */
bool segment_parse_name(const char *name, uint64_t *ret_seq);

enum segment_create {
    SEGMENT_CREATED,
    SEGMENT_SHORT, /* the machine is short of disk space, descriptors or memory: errno; nothing is left behind */
};

/* Creates the segment file `first->segment_seq` of `first->segment_bytes`, with the sealed empty frame `first` at its
 * front, on stable storage. Replaces a file of that name. Returns enum segment_create, with the open file or with err;
 * or -1 with err. */
int segment_create(int dir_fd, const struct frame_header *first, int *ret_fd, struct err *err);

/* Opens a segment for appending and locks it until the descriptor is closed. If its file has another name too (a hard
 * link), it is replaced by a copy first: users of the other name must not see our writes, nor we theirs. -1 with err:
 * another process is appending to it, the disk has no space for a copy, or it failed. */
int segment_open_own(int dir_fd, const struct segment *segment, struct err *err);

/* Copies `length` bytes at `offset` to the front of a file and syncs it; unreadable bytes become zeros. */
bool segment_copy_bytes(int from_fd, int to_fd, uint32_t offset, uint32_t length);

/* Whether an errno of openat() is due to the file itself; else this process lacks resources or permissions. */
bool segment_error_is_damage(int error);

/* Reserves disk space for all of the file. -1 with errno. */
int segment_preallocate(int fd, uint32_t bytes);

/* Removes what an interrupted segment_create() left behind. */
void segment_remove_unfinished(int dir_fd);

/* A part of a file in memory. Reads beyond the end of the file give zeros. */
struct window {
    int fd; /* owned by the caller */
    char *data;
    size_t cap;
    uint32_t offset, len;
    bool salvage;  /* blocks that the disk cannot read become zeros; else window_get() fails */
    bool salvaged; /* there was such a block */
};

void window_reset(struct window *window, int fd); /* drops what was read */
void window_free(struct window *window);

/* The bytes at offset, valid until the next call; they may be modified. Reads ahead up to `limit`. NULL with err, but
 * never where the window salvages. */
char *window_get(struct window *window, uint32_t offset, uint32_t len, uint32_t limit, struct err *err);

/* Finds the first frame of this segment in [offset, limit) that begins at min_seq or later, by either copy of its
 * header. nonce 0: a frame of any segment. 1 with one good copy (its offset says where the frame is), 0: none, -1 with
 * err, but never where the window salvages. */
int segment_find_frame(struct window *window, uint64_t nonce, uint64_t min_seq, uint32_t offset, uint32_t limit,
                       struct frame_header *ret, struct err *err);

/* Finds the range from the first to the last non-zero block in [offset, limit). false: all are zero. The window
 * salvages. */
bool segment_find_bytes(struct window *window, uint32_t offset, uint32_t limit, uint32_t *ret_from,
                        uint32_t *ret_until);

#endif
