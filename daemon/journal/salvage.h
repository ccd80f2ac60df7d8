/*
 * The folder set-aside/ in the journal's directory: copies of damaged bytes, and segment files of other journals.
 * Nothing in it is ever read or removed by the program.
 */
#ifndef MOBEYE_JOURNAL_SALVAGE_H
#define MOBEYE_JOURNAL_SALVAGE_H

#include <stdbool.h>
#include <stdint.h>

#define SALVAGE_FOLDER "set-aside"

/* {.dir_fd = ..., .fd = -1, .wall_us = ...}; close fd in the end. */
struct salvage {
    int dir_fd;      /* the journal's directory, the caller's */
    int fd;          /* the folder; -1: not needed so far */
    int64_t wall_us; /* part of the names */
};

/* Copies bytes of a segment and syncs the copy. false: there was no room or the disk failed. */
bool salvage_copy(struct salvage *salvage, int segment_fd, uint64_t segment_seq, uint32_t offset, uint32_t length);

/* Moves a file of the journal's directory into the folder. */
bool salvage_move(struct salvage *salvage, const char *name);

#endif
