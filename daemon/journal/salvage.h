/*
 * The folder salvaged/ in the journal's directory: copies of damaged bytes, and segment files of other journals. The
 * daemon never reads or removes anything in it.
 */
#ifndef MOBEYE_JOURNAL_SALVAGE_H
#define MOBEYE_JOURNAL_SALVAGE_H

#include <stdbool.h>
#include <stdint.h>

#define SALVAGE_FOLDER "salvaged"

/* Initially {.dir_fd = ..., .fd = -1, .wall_us = ...}; the caller closes fd. */
struct salvage {
    int dir_fd;      /* the journal's directory, owned by the caller */
    int fd;          /* the folder; -1: not opened yet */
    int64_t wall_us; /* part of the file names */
};

/* Copies bytes of a segment and syncs the copy. false: no space, or the disk failed. */
bool salvage_copy(struct salvage *salvage, int segment_fd, uint64_t segment_seq, uint32_t offset, uint32_t length);

/* Moves a file of the journal's directory into the folder. false: it could not be moved and synced. */
bool salvage_move(struct salvage *salvage, const char *name);

#endif
