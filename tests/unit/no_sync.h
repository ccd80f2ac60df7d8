/* Syncs that do nothing, for tests of what the bytes of a journal mean, not of when they reach a disk. */
#ifndef MOBEYE_TESTS_NO_SYNC_H
#define MOBEYE_TESTS_NO_SYNC_H

#include <unistd.h>

int fdatasync(int fd)
{
    (void)fd;
    return 0;
}

int fsync(int fd)
{
    (void)fd;
    return 0;
}

#endif
