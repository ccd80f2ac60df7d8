/*
 * A disk below the journal, for one test program: every write, sync and change of a name in one directory is recorded,
 * and a state that a crash may leave behind is built from it.
 *
 * After a crash a file holds everything written before its last completed sync. Of later writes, each sector of 512
 * bytes is there or not, independently of the others and of their order, and some are torn. Changes of names are kept
 * in their order (ext4, xfs), at least up to the last sync of a directory.
 */
#ifndef MOBEYE_TESTS_DISK_MODEL_H
#define MOBEYE_TESTS_DISK_MODEL_H

#include <stdarg.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "test_journal_support.h"

#define DISK_SECTOR     512
#define DISK_FILE_BYTES (256 << 10) /* the largest file */
#define DISK_NAMES      64

enum disk_op_kind { DISK_WRITE, DISK_RESIZE, DISK_SYNC, DISK_CREATE, DISK_RENAME, DISK_UNLINK, DISK_SYNC_NAMES };

struct disk_op {
    enum disk_op_kind kind;
    size_t file; /* index into files: WRITE, RESIZE, SYNC, CREATE */
    size_t offset, len;
    char *bytes;             /* WRITE; the op's own */
    char name[160], to[160]; /* below the directory: CREATE, RENAME, UNLINK */
};

static struct {
    bool recording;
    char directory[4096]; /* whose files are recorded; those below it too */
    ino_t files[4096];
    size_t n_files;
    struct disk_op *ops;
    size_t n, capacity;
    uint64_t random;
} disk;

/* splitmix64: the same states by the same seed on every machine. */
static uint64_t disk_random(void)
{
    uint64_t z = disk.random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* 0 to n - 1. */
static size_t disk_below(size_t n)
{
    return (size_t)(disk_random() % n);
}

static struct disk_op *disk_add(enum disk_op_kind kind)
{
    if (disk.n == disk.capacity) {
        disk.capacity = disk.capacity ? 2 * disk.capacity : 256;
        disk.ops = realloc(disk.ops, disk.capacity * sizeof(*disk.ops));
        cr_assert_not_null(disk.ops);
    }
    disk.ops[disk.n] = (struct disk_op){.kind = kind};
    return &disk.ops[disk.n++];
}

/* The path of an open file below the directory; false: it is not there. */
static bool disk_path(int fd, char out[static 160])
{
    char link[64], path[4096];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof(path) - 1);
    size_t prefix = strlen(disk.directory);
    if (len < (ssize_t)prefix || memcmp(path, disk.directory, prefix) != 0)
        return false;
    path[len] = '\0';
    const char *rest = path + prefix + (path[prefix] == '/');
    return snprintf(out, 160, "%s", rest) < 160;
}

/* Its index; n_files: it was not created while recording. */
static size_t disk_file(int fd)
{
    struct stat st;
    cr_assert_eq(fstat(fd, &st), 0);
    size_t i = disk.n_files;
    while (i > 0 && disk.files[i - 1] != st.st_ino)
        i--;
    return i > 0 ? i - 1 : disk.n_files;
}

static void disk_note(enum disk_op_kind kind, int fd, size_t offset, size_t len, const struct iovec *iov)
{
    size_t file = disk.recording ? disk_file(fd) : disk.n_files;
    if (file == disk.n_files)
        return;
    struct disk_op *op = disk_add(kind);
    op->file = file;
    op->offset = offset;
    op->len = len;
    if (kind != DISK_WRITE)
        return;
    op->bytes = malloc(len ? len : 1);
    for (size_t done = 0; done < len; iov++) {
        size_t part = iov->iov_len < len - done ? iov->iov_len : len - done;
        if (part > 0)
            memcpy(op->bytes + done, iov->iov_base, part);
        done += part;
    }
}

static void disk_join(char out[static 160], const char *dir, const char *name)
{
    cr_assert_lt(snprintf(out, 160, "%s%s%s", dir, *dir ? "/" : "", name), 160);
}

static void disk_note_name(enum disk_op_kind kind, int dir_fd, const char *name, int to_fd, const char *to)
{
    char dir[160];
    if (!disk.recording || !disk_path(dir_fd, dir))
        return;
    struct disk_op *op = disk_add(kind);
    disk_join(op->name, dir, name);
    if (to && disk_path(to_fd, dir))
        disk_join(op->to, dir, to);
}

ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t offset)
{
    ssize_t put = syscall(SYS_pwritev, fd, iov, n, offset, 0);
    if (put > 0)
        disk_note(DISK_WRITE, fd, (size_t)offset, (size_t)put, iov);
    return put;
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t offset)
{
    struct iovec iov = {(void *)(uintptr_t)bytes, len};
    return pwritev(fd, &iov, 1, offset);
}

int fallocate(int fd, int mode, off_t offset, off_t len)
{
    int rc = (int)syscall(SYS_fallocate, fd, mode, offset, len);
    if (rc == 0)
        disk_note(DISK_RESIZE, fd, 0, (size_t)(offset + len), NULL);
    return rc;
}

int ftruncate(int fd, off_t len)
{
    int rc = (int)syscall(SYS_ftruncate, fd, len);
    if (rc == 0)
        disk_note(DISK_RESIZE, fd, 0, (size_t)len, NULL);
    return rc;
}

/* Nothing here has to survive a crash of the machine, so nothing is flushed. */
int fdatasync(int fd)
{
    disk_note(DISK_SYNC, fd, 0, 0, NULL);
    return 0;
}

int fsync(int fd)
{
    struct stat st;
    char path[160];
    cr_assert_eq(fstat(fd, &st), 0);
    if (S_ISDIR(st.st_mode) && disk.recording && disk_path(fd, path))
        disk_add(DISK_SYNC_NAMES);
    else if (!S_ISDIR(st.st_mode))
        disk_note(DISK_SYNC, fd, 0, 0, NULL);
    return 0;
}

int openat(int dir_fd, const char *name, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    bool created = disk.recording && (flags & O_CREAT) && faccessat(dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) != 0;
    int fd = (int)syscall(SYS_openat, dir_fd, name, flags, mode);
    struct stat st;
    if (fd >= 0 && created) {
        cr_assert_eq(fstat(fd, &st), 0);
        cr_assert_lt(disk.n_files, sizeof(disk.files) / sizeof(disk.files[0]));
        disk.files[disk.n_files] = st.st_ino;
        disk_note_name(DISK_CREATE, dir_fd, name, -1, NULL);
        disk.ops[disk.n - 1].file = disk.n_files++;
    }
    return fd;
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    int rc = (int)syscall(SYS_renameat, from_dir, from, to_dir, to);
    if (rc == 0)
        disk_note_name(DISK_RENAME, from_dir, from, to_dir, to);
    return rc;
}

int unlinkat(int dir_fd, const char *name, int flags)
{
    int rc = (int)syscall(SYS_unlinkat, dir_fd, name, flags);
    if (rc == 0)
        disk_note_name(DISK_UNLINK, dir_fd, name, -1, NULL);
    return rc;
}

/* UUIDs and nonces follow from the seed too. */
void arc4random_buf(void *out, size_t len)
{
    for (size_t i = 0; i < len; i++)
        ((unsigned char *)out)[i] = (unsigned char)disk_random();
}

static void disk_forget(void)
{
    for (size_t i = 0; i < disk.n; i++)
        free(disk.ops[i].bytes);
    disk.n = disk.n_files = 0;
}

static int disk_adopt(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    static char image[DISK_FILE_BYTES];
    (void)ftw;
    if (type != FTW_F)
        return 0;
    size_t len = load_file(path, image, sizeof(image)), file = disk.n_files++;
    disk.files[file] = st->st_ino;
    struct disk_op *op = disk_add(DISK_CREATE);
    op->file = file;
    snprintf(op->name, sizeof(op->name), "%s", path + strlen(disk.directory) + 1);
    op = disk_add(DISK_WRITE);
    op->file = file;
    op->len = len;
    op->bytes = malloc(len ? len : 1);
    memcpy(op->bytes, image, len);
    disk_add(DISK_SYNC)->file = file;
    return 0;
}

/* Records what happens below `directory` from now on. What is in it already is on stable storage. */
static void disk_record(const char *directory)
{
    disk_forget();
    snprintf(disk.directory, sizeof(disk.directory), "%s", directory);
    nftw(directory, disk_adopt, 16, FTW_PHYS);
    disk_add(DISK_SYNC_NAMES);
    disk.recording = true;
}

/* How likely (of 16) an unsynced write is to be on the disk, drawn for each state: all, none, and between. */
static unsigned disk_draw_share(void)
{
    static const unsigned shares[] = {0, 1, 8, 15, 16};
    return shares[disk_below(5)];
}

static void disk_apply_write(const struct disk_op *op, char *image, size_t *size, unsigned share)
{
    cr_assert_leq(op->offset + op->len, (size_t)DISK_FILE_BYTES);
    for (size_t done = 0, part; done < op->len; done += part) {
        size_t at = op->offset + done;
        part = DISK_SECTOR - at % DISK_SECTOR;
        part = part < op->len - done ? part : op->len - done;
        if (disk_below(16) >= share)
            continue;
        size_t kept = share < 16 && disk_below(16) == 0 ? disk_below(part + 1) : part; /* torn within the sector */
        memcpy(image + at, op->bytes + done, kept);
        *size = *size > at + kept ? *size : at + kept;
    }
}

/* The bytes of a file after a crash before op `until`. Returns its size. */
static size_t disk_image(size_t file, size_t until, char *image)
{
    size_t synced = 0, size = 0;
    for (size_t i = 0; i < until; i++)
        if (disk.ops[i].kind == DISK_SYNC && disk.ops[i].file == file)
            synced = i;
    unsigned share = disk_draw_share();
    memset(image, 0, DISK_FILE_BYTES);
    for (size_t i = 0; i < until; i++) {
        const struct disk_op *op = &disk.ops[i];
        if (op->file != file)
            continue;
        if (op->kind == DISK_WRITE)
            disk_apply_write(op, image, &size, i < synced ? 16 : share);
        else if (op->kind == DISK_RESIZE && (i < synced || disk_below(2)))
            size = op->len;
    }
    return size;
}

struct disk_name {
    char name[160];
    size_t file;
};

static void disk_remove_name(struct disk_name *names, size_t *n, const char *name)
{
    for (size_t i = 0; i < *n; i++)
        if (strcmp(names[i].name, name) == 0)
            names[i--] = names[--*n];
}

static void disk_change_names(const struct disk_op *op, struct disk_name *names, size_t *n)
{
    size_t file = op->file;
    for (size_t i = 0; op->kind == DISK_RENAME && i < *n; i++)
        if (strcmp(names[i].name, op->name) == 0)
            file = names[i].file;
    disk_remove_name(names, n, op->name);
    if (op->kind == DISK_UNLINK)
        return;
    const char *name = op->kind == DISK_RENAME ? op->to : op->name;
    disk_remove_name(names, n, name);
    cr_assert_lt(*n, (size_t)DISK_NAMES);
    snprintf(names[*n].name, sizeof(names[*n].name), "%s", name);
    names[(*n)++].file = file;
}

static bool disk_changes_names(const struct disk_op *op)
{
    return op->kind == DISK_CREATE || op->kind == DISK_RENAME || op->kind == DISK_UNLINK;
}

/* Makes `directory` what a crash before op `until` may have left. Nothing is recorded. */
static void disk_crash(size_t until, const char *directory)
{
    static char image[DISK_FILE_BYTES];
    struct disk_name names[DISK_NAMES];
    size_t n = 0, kept = 0;
    disk.recording = false;
    for (size_t i = 0; i < until; i++)
        kept = disk.ops[i].kind == DISK_SYNC_NAMES ? i : kept;
    kept += disk_below(until - kept + 1);
    for (size_t i = 0; i < kept; i++)
        if (disk_changes_names(&disk.ops[i]))
            disk_change_names(&disk.ops[i], names, &n);
    remove_tree(directory);
    cr_assert_eq(mkdir(directory, 0700), 0);
    for (size_t i = 0; i < n; i++) {
        char path[8192], *folder;
        cr_assert_lt(snprintf(path, sizeof(path), "%s/%s", directory, names[i].name), (int)sizeof(path));
        folder = strrchr(path, '/');
        *folder = '\0';
        mkdir(path, 0700);
        *folder = '/';
        save_file(path, image, disk_image(names[i].file, until, image));
    }
}

#endif
