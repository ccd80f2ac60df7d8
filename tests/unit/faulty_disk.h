/*
 * Replaces the calls by which the journal writes with ones that fail on demand. What the disk would have kept is
 * modelled: a file's bytes as of its last sync, without a write whose sync failed, since Linux then takes it for
 * written; a name as of the last sync of its directory.
 */
#ifndef MOBEYE_TESTS_FAULTY_DISK_H
#define MOBEYE_TESTS_FAULTY_DISK_H

#include <dirent.h>
#include <errno.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "test_journal_support.h"

enum fault {
    FAULT_NONE,
    FAULT_EIO,       /* the call fails */
    FAULT_ENOSPC,    /* the call fails */
    FAULT_EINTR,     /* the call is interrupted, and succeeds when repeated */
    FAULT_SHORT,     /* half is written; continuing works */
    FAULT_SHORT_EIO, /* half is written; continuing fails */
    FAULT_POWER_CUT, /* nothing works from then on */
};

static struct {
    enum fault fault;
    unsigned at;    /* which call */
    unsigned calls; /* so far; 0: not counting */
    bool counting;
    bool cut;
    int sync_failed_fd; /* an fdatasync() that failed; -1 */
    unsigned syncs_after;
    bool disk_full; /* fallocate() fails with ENOSPC */
    bool cannot_preallocate;
    bool unreadable;
    struct {
        ino_t inode;
        off_t offset, len;
    } lost; /* the write whose sync failed: the page cache shows it and calls it clean, until it is written again */
    off_t written, written_len; /* the last write */
    unsigned unlocked_writes;   /* another process could have opened the journal meanwhile */
    ino_t synced_dirs[64];
    size_t n_synced_dirs;
} sim = {.sync_failed_fd = -1};

static void arm(enum fault fault, unsigned at)
{
    memset(&sim, 0, sizeof(sim));
    sim.fault = fault;
    sim.at = at;
    sim.counting = true;
    sim.sync_failed_fd = -1;
}

static void disarm(void)
{
    sim.counting = sim.cut = sim.disk_full = sim.unreadable = false;
    sim.fault = FAULT_NONE;
}

/* Whether this call fails; errno is set. */
static bool fails(void)
{
    if (sim.cut) {
        errno = EIO;
        return true;
    }
    if (!sim.counting || ++sim.calls != sim.at)
        return false;
    sim.cut = sim.fault == FAULT_POWER_CUT;
    errno = sim.fault == FAULT_ENOSPC ? ENOSPC : sim.fault == FAULT_EINTR ? EINTR : EIO;
    return sim.fault == FAULT_EIO || sim.fault == FAULT_ENOSPC || sim.fault == FAULT_EINTR || sim.cut;
}

static bool is_short_write(void)
{
    return sim.counting && sim.calls == sim.at && (sim.fault == FAULT_SHORT || sim.fault == FAULT_SHORT_EIO);
}

/* The stable bytes of file I are disk/I, the stable names are the lines of disk/names. */
static void copy_bytes(const char *from, const char *to)
{
    static char bytes[256 << 10];
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    cr_assert(in >= 0 && out >= 0);
    for (ssize_t got; (got = read(in, bytes, sizeof(bytes))) > 0;)
        cr_assert_eq(write(out, bytes, (size_t)got), got);
    close(in);
    close(out);
}

static void keep_file(int fd)
{
    static char before[256 << 10];
    struct stat st;
    char self[64];
    cr_assert_eq(fstat(fd, &st), 0);
    const char *disk = in_dir("disk/%lu", (unsigned long)st.st_ino);
    bool loses = sim.lost.len > 0 && sim.lost.inode == st.st_ino && access(disk, F_OK) == 0;
    if (loses)
        load_file(disk, before, sizeof(before));
    snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
    copy_bytes(self, disk);
    if (!loses)
        return;
    int out = open(disk, O_WRONLY);
    cr_assert_eq(pwrite(out, before + sim.lost.offset, (size_t)sim.lost.len, sim.lost.offset), sim.lost.len);
    close(out);
}

static bool others_may_open(void)
{
    int fd = open(in_dir("journal"), O_RDONLY | O_DIRECTORY);
    bool may = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0;
    close(fd);
    return may;
}

static void note_write(int fd, off_t offset, off_t len)
{
    struct stat st;
    sim.unlocked_writes += sim.counting && others_may_open();
    sim.written = offset;
    sim.written_len = len;
    if (sim.lost.len > 0 && fstat(fd, &st) == 0 && st.st_ino == sim.lost.inode && offset <= sim.lost.offset)
        sim.lost.len = 0;
}

static void lose_write(int fd)
{
    struct stat st;
    sim.sync_failed_fd = fd;
    cr_assert_eq(fstat(fd, &st), 0);
    sim.lost.inode = st.st_ino;
    sim.lost.offset = sim.written;
    sim.lost.len = sim.written_len;
}

static void keep_names(int fd)
{
    struct stat st, journal;
    cr_assert_eq(fstat(fd, &st), 0);
    if (sim.n_synced_dirs < sizeof(sim.synced_dirs) / sizeof(sim.synced_dirs[0]))
        sim.synced_dirs[sim.n_synced_dirs++] = st.st_ino;
    if (stat(in_dir("journal"), &journal) != 0 || st.st_ino != journal.st_ino)
        return;
    FILE *names = fopen(in_dir("disk/names"), "w");
    DIR *dir = opendir(in_dir("journal"));
    for (struct dirent *entry; (entry = readdir(dir));)
        if (entry->d_type == DT_REG)
            fprintf(names, "%s %lu\n", entry->d_name, (unsigned long)entry->d_ino);
    closedir(dir);
    fclose(names);
}

static void keep(int fd)
{
    struct stat st;
    if (!sim.counting || fstat(fd, &st) != 0)
        return;
    if (S_ISDIR(st.st_mode))
        keep_names(fd);
    else
        keep_file(fd);
}

/* What a machine finds after a power cut, as the directory "journal". */
static void restore_disk(void)
{
    char name[256];
    unsigned long inode;
    remove_tree(in_dir("journal"));
    cr_assert_eq(mkdir(in_dir("journal"), 0700), 0);
    FILE *names = fopen(in_dir("disk/names"), "r");
    while (names && fscanf(names, "%255s %lu", name, &inode) == 2)
        if (access(in_dir("disk/%lu", inode), R_OK) == 0)
            copy_bytes(in_dir("disk/%lu", inode), in_dir("journal/%s", name));
        else
            save_file(in_dir("journal/%s", name), "", 0);
    if (names)
        fclose(names);
}

ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t offset)
{
    if (fails())
        return -1;
    if (is_short_write()) {
        struct iovec half = {iov->iov_base, (iov->iov_len + 1) / 2};
        sim.at += sim.fault == FAULT_SHORT_EIO;
        sim.fault = sim.fault == FAULT_SHORT_EIO ? FAULT_EIO : FAULT_NONE;
        return syscall(SYS_pwritev, fd, &half, 1, offset, 0);
    }
    ssize_t put = syscall(SYS_pwritev, fd, iov, n, offset, 0);
    note_write(fd, offset, put);
    return put;
}

int fdatasync(int fd)
{
    sim.syncs_after += fd == sim.sync_failed_fd;
    if (fails()) {
        int error = errno;
        if (error == EIO && !sim.cut)
            lose_write(fd);
        errno = error;
        return -1;
    }
    keep(fd);
    return 0;
}

int fsync(int fd)
{
    if (fails())
        return -1;
    keep(fd);
    return 0;
}

int fallocate(int fd, int mode, off_t offset, off_t len)
{
    if (fails())
        return -1;
    if (sim.disk_full || sim.cannot_preallocate) {
        errno = sim.disk_full ? ENOSPC : EOPNOTSUPP;
        return -1;
    }
    return (int)syscall(SYS_fallocate, fd, mode, offset, len);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    return fails() ? -1 : (int)syscall(SYS_renameat, from_dir, from, to_dir, to);
}

ssize_t pread(int fd, void *out, size_t len, off_t offset)
{
    if (sim.unreadable && offset < 8192 && (size_t)offset + len > 4096) {
        errno = EIO;
        return -1;
    }
    return syscall(SYS_pread64, fd, out, len, offset);
}

#endif
