/*
 * Reads files whole, and writes them so that a crash of the machine leaves the old contents or the new. A path is
 * relative to dir_fd, as in openat(). All return -1 with errno.
 */
#ifndef MOBEYE_BASE_FILE_H
#define MOBEYE_BASE_FILE_H

#include <sys/types.h>

#include "base/buf.h"

/* Standard input, output and error that are closed fail from then on, instead of being the next file or socket that is
 * opened. To be called first in main. */
void file_hold_standard(void);

/* Appends everything that can be read from fd, which must be at most max_bytes. The buffer grows before reading, not
 * during it, so that no copy of a secret stays in memory. -1: EFBIG if there is more; a part may have been appended. */
int file_read(int fd, size_t max_bytes, struct buf *ret);

/* The same for the file of that path. */
int file_load(int dir_fd, const char *path, size_t max_bytes, struct buf *ret);

/* Writes all of the text and syncs the file. -1: a part of it may have been written. */
int file_write(int fd, struct str text);

/* Syncs the directory of the path, in which something was created or renamed. */
int file_sync_parent(int dir_fd, const char *path);

/* Renames a synced file to its name in the same directory, and syncs the directory. -1: if only the directory could not
 * be synced, the file has its name. The caller sets mode and owner beforehand. */
int file_rename(int dir_fd, const char *from, const char *to);

/* Replaces a file, or creates it, with this mode. The text is written to PATH.new, which is removed on failure; one
 * that is there already is not written through, but removed first. -1: if only the directory could not be synced, the
 * file has been replaced all the same. */
int file_replace(int dir_fd, const char *path, struct str text, mode_t mode);

#endif
