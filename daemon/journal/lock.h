/*
 * The lock file of a journal's directory. It holds the pid of the writer, for people, and the journal's origin, which
 * is looked at only where segments of several journals lie in the directory.
 */
#ifndef MOBEYE_JOURNAL_LOCK_H
#define MOBEYE_JOURNAL_LOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/* Takes the lock, which lasts until the descriptor is closed, and with it one of the directory, until dir_fd is: a lock
 * file can be removed, copied or moved. -1: another process has it, which err names, or it is no regular file. */
int lock_take(int dir_fd, struct err *err);

/* The origin that the last writer wrote. false: none can be read. */
bool lock_origin(int dir_fd, uint8_t ret[16]);

/* Writes pid and origin. A hint and no more: failing is no matter. */
void lock_write(int lock_fd, const uint8_t origin[16]);

/* The process that has the lock, 0: none has. */
pid_t lock_holder(int dir_fd);

#endif
