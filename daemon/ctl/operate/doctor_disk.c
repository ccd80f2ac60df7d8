/* mobeyectl doctor: the disk of the journal, and whether it really flushes. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/array.h"
#include "base/clock.h"
#include "ctl/operate/doctor.h"
#include "journal/frame.h"

#define XFS_MAGIC  0x58465342
#define ZFS_MAGIC  0x2fc12fc1
#define CIFS_MAGIC 0xff534d42
#define RAMFS      0x858458f6
#define FUSE_MAGIC 0x65735546

static const struct filesystem {
    unsigned long magic;
    const char *name;
    enum doctor_level level;
    const char *advice;
} filesystems[] = {
    {EXT4_SUPER_MAGIC, "ext4", DOCTOR_OK, NULL},
    {XFS_MAGIC, "xfs", DOCTOR_OK, NULL},
    {BTRFS_SUPER_MAGIC, "btrfs", DOCTOR_OK, NULL},
    {ZFS_MAGIC, "zfs", DOCTOR_OK, NULL},
    {TMPFS_MAGIC, "tmpfs", DOCTOR_PROBLEM,
     "a power cut loses accepted alerts, since this is memory: put journal.directory on a disk"},
    {RAMFS, "ramfs", DOCTOR_PROBLEM,
     "a power cut loses accepted alerts, since this is memory: put journal.directory on a disk"},
    {OVERLAYFS_SUPER_MAGIC, "overlayfs", DOCTOR_WARNING,
     "the file system is deleted with its container: put the journal on a volume"},
    {NFS_SUPER_MAGIC, "NFS", DOCTOR_WARNING,
     "locks and flushes depend on the server and the network: use a local disk"},
    {CIFS_MAGIC, "SMB", DOCTOR_WARNING, "locks and flushes depend on the server and the network: use a local disk"},
    {FUSE_MAGIC, "FUSE", DOCTOR_WARNING,
     "a user program decides whether a flush reaches the disk: use a file system of the kernel"},
};

/* Opens the directory or, if it does not exist yet, the directory in which it will be created. */
static int open_directory(const struct doctor *d, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s", d->conf->journal.directory);
    for (;;) {
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        char *slash = strrchr(path, '/');
        if (fd >= 0 || errno != ENOENT || !slash)
            return fd;
        slash[slash == path] = '\0';
    }
}

static uint64_t bytes_in(int dir_fd)
{
    uint64_t bytes = 0;
    DIR *dir = fdopendir(dup(dir_fd));
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        struct stat st;
        if (fstatat(dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
            bytes += (uint64_t)st.st_blocks * 512;
    }
    if (dir)
        closedir(dir);
    return bytes;
}

static void say_space(struct doctor *d, int fd, const char *path)
{
    struct statvfs space;
    uint64_t max = d->conf->journal.max_size_bytes;
    if (fstatvfs(fd, &space) < 0)
        return;
    uint64_t room = (uint64_t)space.f_bavail * space.f_frsize;
    uint64_t ours = strcmp(path, d->conf->journal.directory) == 0 ? bytes_in(fd) : 0;
    double mib = 1 << 20;
    if (room < SEGMENT_BYTES_MAX)
        doctor_say(d, DOCTOR_PROBLEM, "space", "free space; senders get RETRY when the disk is full",
                   "%.0f MiB are free in %s", (double)room / mib, path);
    else if (room + ours < max)
        doctor_say(d, DOCTOR_WARNING, "space",
                   "a long outage of the database would fill the disk: lower journal.max_size or free space",
                   "%.0f MiB are free in %s, but journal.max_size is %.0f MiB", (double)room / mib, path,
                   (double)max / mib);
    else
        doctor_say(d, DOCTOR_OK, "space", NULL, "%.0f MiB are free, journal.max_size is %.0f MiB", (double)room / mib,
                   (double)max / mib);
}

static void say_filesystem(struct doctor *d, int fd, const char *path)
{
    struct statfs fs;
    if (fstatfs(fd, &fs) < 0)
        return;
    for (size_t i = 0; i < ARRAY_LEN(filesystems); i++)
        if (filesystems[i].magic == ((unsigned long)fs.f_type & 0xffffffff)) {
            doctor_say(d, filesystems[i].level, "filesystem", filesystems[i].advice, "%s is on %s", path,
                       filesystems[i].name);
            return;
        }
    doctor_say(d, DOCTOR_WARNING, "filesystem", "use ext4 or xfs, which are tested",
               "%s is on a file system of type 0x%lx", path, (unsigned long)fs.f_type);
}

void doctor_disk(struct doctor *d)
{
    char path[PATH_MAX];
    int fd = open_directory(d, path);
    if (fd < 0 && doctor_needs_root(d, "disk", path))
        return;
    if (fd < 0) {
        doctor_say(d, DOCTOR_PROBLEM, "disk", "run doctor as root; journal.directory has to be the daemon's",
                   "%s cannot be opened (%s)", path, strerror(errno));
        return;
    }
    say_filesystem(d, fd, path);
    say_space(d, fd, path);
    close(fd);
}

/* Whether the mount that the device number belongs to was mounted with an option that disables flushes. */
static bool mounted_without_barriers(dev_t dev)
{
    char wanted[32], *line = NULL;
    size_t size = 0;
    bool found = false;
    FILE *mounts = fopen("/proc/self/mountinfo", "re");
    snprintf(wanted, sizeof(wanted), " %u:%u ", major(dev), minor(dev));
    while (mounts && !found && getline(&line, &size, mounts) > 0)
        found = strstr(line, wanted) && (strstr(line, "nobarrier") || strstr(line, "barrier=0"));
    free(line);
    if (mounts)
        fclose(mounts);
    return found;
}

/* What the kernel assumes of the disk: "write back" or "write through"; false: it does not say. */
static bool write_cache(dev_t dev, char ret[32])
{
    static const char *const places[] = {"/sys/dev/block/%u:%u/queue/write_cache",
                                         "/sys/dev/block/%u:%u/../queue/write_cache"}; /* if it is a partition */
    for (size_t i = 0; i < 2; i++) {
        char path[96];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(path, sizeof(path), places[i], major(dev), minor(dev));
#pragma GCC diagnostic pop
        FILE *file = fopen(path, "re");
        bool read = file && fgets(ret, 32, file);
        if (file)
            fclose(file);
        if (read) {
            ret[strcspn(ret, "\n")] = '\0';
            return true;
        }
    }
    return false;
}

enum { SYNCS = 50, BLOCK = 4096 };

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The median time of writing a block and flushing it, in a file that has no name; -1: it cannot be measured here. */
static int64_t median_sync_us(int dir_fd)
{
    static const char block[BLOCK];
    int64_t took[SYNCS];
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", dir_fd);
    int fd = open(path, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    bool done = fd >= 0 && posix_fallocate(fd, 0, SYNCS * BLOCK) == 0 && fsync(fd) == 0;
    for (int i = 0; done && i < SYNCS; i++) {
        int64_t start = clock_mono_us();
        done = pwrite(fd, block, BLOCK, i * BLOCK) == BLOCK && fdatasync(fd) == 0;
        took[i] = clock_mono_us() - start;
    }
    if (fd >= 0)
        close(fd);
    if (!done)
        return -1;
    qsort(took, SYNCS, sizeof(took[0]), compare);
    return took[SYNCS / 2];
}

static void say_sync(struct doctor *d, int64_t us)
{
    if (us < 0)
        doctor_say(d, DOCTOR_WARNING, "flush", "run doctor as root while the journal's disk has free space",
                   "the duration of a flush could not be measured");
    else if (us < 10)
        doctor_say(d, DOCTOR_WARNING, "flush",
                   "this is too fast for a disk: test it with a power cut before relying on it",
                   "a block is written and flushed in %" PRId64 " us", us);
    else if (us > 20000)
        doctor_say(d, DOCTOR_WARNING, "flush",
                   "every acknowledgement waits for a flush: use a faster disk for the journal",
                   "a block is written and flushed in %" PRId64 " ms", us / 1000);
    else
        doctor_say(d, DOCTOR_OK, "flush", NULL, "a block is written and flushed in %" PRId64 " us", us);
}

void doctor_flush(struct doctor *d)
{
    char path[PATH_MAX], cache[32];
    struct stat st;
    int fd = open_directory(d, path);
    if (fd < 0 || fstat(fd, &st) < 0)
        return;
    if (mounted_without_barriers(st.st_dev))
        doctor_say(d, DOCTOR_PROBLEM, "flush", "remove nobarrier from /etc/fstab",
                   "%s is mounted without barriers: a power cut loses accepted alerts", path);
    if (write_cache(st.st_dev, cache))
        doctor_say(d, DOCTOR_OK, "flush", NULL, "the kernel considers the disk's cache \"%s\"%s", cache,
                   strcmp(cache, "write back") == 0 ? " and flushes it" : " and does not flush it");
    say_sync(d, median_sync_us(fd));
    close(fd);
}
