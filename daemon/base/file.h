/*
 * Reads a file into memory.
 */
#ifndef MOBEYE_BASE_FILE_H
#define MOBEYE_BASE_FILE_H

#include "base/buf.h"

/* Appends all that can be read from fd, of which there may be max_bytes at most. The buffer grows before, not while it
 * is read. -1 with errno, EFBIG if there is more; a part may have been appended. */
int file_read(int fd, size_t max_bytes, struct buf *ret);

#endif
