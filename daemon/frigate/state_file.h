/*
 * The file that stores the position up to which events were accepted: replaced as a whole, atomically, and synced.
 */
#ifndef MOBEYE_FRIGATE_STATE_FILE_H
#define MOBEYE_FRIGATE_STATE_FILE_H

#include "base/buf.h"
#include "base/err.h"

#define STATE_FILE_MAX ((size_t)16 << 20)

struct state_file {
    int dir_fd; /* holds the lock; -1: not open */
    const char *directory;
};

/* Locks the directory against another process. -1 with err set. */
int state_file_open(struct state_file *file, const char *directory, struct err *err);
void state_file_close(struct state_file *file);

/* Appends the contents, STATE_FILE_MAX bytes at most; nothing if there is no file yet. -1 with err set. */
int state_file_read(const struct state_file *file, struct buf *ret, struct err *err);

/* Replaces the contents; they are on the disk when it returns 0. -1 with err set: the old contents are still there, or,
 * if only the directory could not be synced, the new ones. */
int state_file_write(const struct state_file *file, struct str text, struct err *err);

#endif
