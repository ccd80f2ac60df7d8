/*
 * Replaces the calls of the journal that open, look at, list and remove files, and on demand also those that write,
 * sync, lock and rename them: one of them fails.
 */
#ifndef MOBEYE_TESTS_FAILING_CALLS_H
#define MOBEYE_TESTS_FAILING_CALLS_H

#include <dirent.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "test_journal_support.h"

static struct {
    int error;      /* of the call that fails */
    unsigned at;    /* which call */
    unsigned calls; /* so far */
    bool counting;
    bool all;           /* also those that write, sync, lock and rename */
    bool reads;         /* also those that read */
    bool keeps;         /* no file can be removed */
    const char *broken; /* the file that cannot be opened, or read; NULL: none */
    bool opens;         /* it can be opened */
    int broken_fd;      /* and is open; 0: it is not */
    uint64_t free;      /* blocks of 4096 bytes of the disk; 0: as it is */
    bool unknown;       /* how many they are */
} sim;

static bool fails(void)
{
    if (!sim.counting || ++sim.calls != sim.at)
        return false;
    errno = sim.error;
    return true;
}

static void arm(int error, unsigned at)
{
    sim.error = error;
    sim.at = at;
    sim.calls = 0;
    sim.counting = true;
}

static int open_or_fail(int dir, const char *name, int flags, mode_t mode)
{
    bool broken = sim.broken && strcmp(name, sim.broken) == 0;
    if (broken && !sim.opens) {
        errno = sim.error;
        return -1;
    }
    int fd = fails() ? -1 : (int)syscall(SYS_openat, dir, name, flags, mode);
    if (broken || fd == sim.broken_fd)
        sim.broken_fd = broken ? fd : 0;
    return fd;
}

int openat(int dir, const char *name, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    return open_or_fail(dir, name, flags, mode);
}

/* What glibc calls with _FORTIFY_SOURCE where the flags are not a constant. */
int __openat_2(int dir, const char *name, int flags);
int __openat_2(int dir, const char *name, int flags)
{
    return open_or_fail(dir, name, flags, 0);
}

int fstatat(int dir, const char *restrict name, struct stat *restrict st, int flags)
{
    return fails() ? -1 : (int)syscall(SYS_newfstatat, dir, name, st, flags);
}

/* Of an open file: it fails for lack of memory or rights. */
int fstat(int fd, struct stat *st)
{
    return sim.error == EIO && fails() ? -1 : (int)syscall(SYS_newfstatat, fd, "", st, AT_EMPTY_PATH);
}

ssize_t pread(int fd, void *out, size_t len, off_t offset)
{
    if (sim.broken && fd == sim.broken_fd) {
        errno = EIO;
        return -1;
    }
    return sim.reads && fails() ? -1 : syscall(SYS_pread64, fd, out, len, offset);
}

int unlinkat(int dir, const char *name, int flags)
{
    if (sim.keeps)
        errno = sim.error;
    return sim.keeps || fails() ? -1 : (int)syscall(SYS_unlinkat, dir, name, flags);
}

int faccessat(int dir, const char *name, int mode, int flags)
{
    (void)flags;
    return fails() ? -1 : (int)syscall(SYS_faccessat, dir, name, mode);
}

int ftruncate(int fd, off_t len)
{
    return fails() ? -1 : (int)syscall(SYS_ftruncate, fd, len);
}

int fstatvfs(int fd, struct statvfs *fs)
{
    (void)fd;
    *fs = (struct statvfs){.f_bfree = sim.free, .f_bavail = sim.free, .f_frsize = 4096};
    if (sim.free == 0)
        fs->f_bfree = fs->f_bavail = 1 << 20;
    errno = EIO;
    return sim.unknown ? -1 : 0;
}

static bool write_fails(void)
{
    return sim.all && fails();
}

ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t offset)
{
    return write_fails() ? -1 : syscall(SYS_pwritev, fd, iov, n, offset, 0);
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t offset)
{
    return write_fails() ? -1 : syscall(SYS_pwrite64, fd, bytes, len, offset);
}

int fdatasync(int fd)
{
    (void)fd;
    return write_fails() ? -1 : 0;
}

int fsync(int fd)
{
    (void)fd;
    return write_fails() ? -1 : 0;
}

int fallocate(int fd, int mode, off_t offset, off_t len)
{
    return write_fails() ? -1 : (int)syscall(SYS_fallocate, fd, mode, offset, len);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    return write_fails() ? -1 : (int)syscall(SYS_renameat, from_dir, from, to_dir, to);
}

int mkdirat(int dir, const char *name, mode_t mode)
{
    return write_fails() ? -1 : (int)syscall(SYS_mkdirat, dir, name, mode);
}

int flock(int fd, int operation)
{
    return write_fails() ? -1 : (int)syscall(SYS_flock, fd, operation);
}

/* Only for locks. */
int fcntl(int fd, int command, ...)
{
    va_list args;
    va_start(args, command);
    void *argument = va_arg(args, void *);
    va_end(args);
    bool locks = command == F_OFD_SETLK || command == F_OFD_GETLK;
    return locks && write_fails() ? -1 : (int)syscall(SYS_fcntl, fd, command, argument);
}

#endif
