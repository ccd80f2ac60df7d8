/*
 * The folder set-aside/ in the journal's directory: copies of damaged bytes, and segment files of other journals.
 * Nothing in it is ever read or removed by the program.
 */
#ifndef MOBEYE_JOURNAL_ASIDE_H
#define MOBEYE_JOURNAL_ASIDE_H

#include <stdbool.h>
#include <stdint.h>

#define ASIDE_FOLDER "set-aside"

/* {.dir_fd = ..., .fd = -1, .wall_us = ...}; close fd in the end. */
struct aside {
    int dir_fd;      /* the journal's directory, the caller's */
    int fd;          /* the folder; -1: not needed so far */
    int64_t wall_us; /* part of the names */
};

/* Copies bytes of a segment and syncs the copy. false: there was no room or the disk failed. */
bool aside_copy(struct aside *aside, int segment_fd, uint64_t segment_seq, uint32_t offset, uint32_t length);

/* Moves a file of the journal's directory into the folder. */
bool aside_move(struct aside *aside, const char *name);

#endif
