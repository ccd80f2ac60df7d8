/*
 * The lock file of a journal's directory. It contains the writer's pid, for people, and the journal's origin, which is
 * used only if segments of several journals are in the directory.
 */
#ifndef MOBEYE_JOURNAL_LOCK_H
#define MOBEYE_JOURNAL_LOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/* What is expected where a file system is read-only. */
#define LOCK_WRITABLE "expected to be writable: a unit with ProtectSystem=strict needs ReadWritePaths= for it"

/* Locks the file until the returned descriptor is closed, and the directory itself until dir_fd is closed, since a lock
 * file can be removed, copied or moved. -1: another process has the lock (err names it), or it is not a regular file.
 */
int lock_take(int dir_fd, struct err *err);

/* The origin that the last writer wrote. false: none can be read. */
bool lock_origin(int dir_fd, uint8_t ret[16]);

/* Writes pid and origin, both only hints: failures are ignored. */
void lock_write(int lock_fd, const uint8_t origin[16]);

/* The process that holds the lock; 0: none. */
pid_t lock_holder(int dir_fd);

#endif
