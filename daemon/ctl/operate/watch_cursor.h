/*
 * The cursor of mobeyectl watch: the number of the last change that was delivered, in a file.
 */
#ifndef MOBEYE_CTL_OPERATE_WATCH_CURSOR_H
#define MOBEYE_CTL_OPERATE_WATCH_CURSOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* Opens a file of the watch for reading: root reads it too, for status, and must not wait for a FIFO or follow a link
 * of its user. -1 with errno set; EINVAL: it is not a regular file. */
int cursor_open(const char *file);

/* A file that does not exist is not an error: *ret_found is false. -1 with err set: it cannot be read or holds no
 * number.
 */
int cursor_read(const char *file, bool *ret_found, int64_t *ret_after, struct err *err);

/* Replaces the file atomically; after a power cut it is the old or the new one. -1 with err set. */
int cursor_store(const char *file, int64_t after, struct err *err);

#endif
