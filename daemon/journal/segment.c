#include "journal/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

/* How much is read at once where frames are small. */
#define WINDOW_CHUNK (UINT32_C(1) << 20)

/* Disks fail by the sector; 4096 bytes is the largest sector size in use. */
#define SALVAGE_BLOCK 4096u

#define UNFINISHED_NAME "unfinished"

int segment_write(int fd, struct iovec *iov, int n, uint64_t offset)
{
    while (n > 0) {
        ssize_t put = pwritev(fd, iov, n, (off_t)offset);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0) {
            if (put == 0)
                errno = EIO;
            return -1;
        }
        offset += (uint64_t)put;
        for (; n > 0 && (size_t)put >= iov->iov_len; iov++, n--)
            put -= (ssize_t)iov->iov_len;
        if (n > 0) {
            iov->iov_base = (char *)iov->iov_base + put;
            iov->iov_len -= (size_t)put;
        }
    }
    return 0;
}

int segment_sync(int fd)
{
    int rc;
    do
        rc = fdatasync(fd);
    while (rc != 0 && errno == EINTR);
    return rc;
}

char *segment_name(uint64_t seq, char out[SEGMENT_NAME_SIZE])
{
    snprintf(out, SEGMENT_NAME_SIZE, "%020" PRIu64 ".seg", seq);
    return out;
}

bool segment_parse_name(const char *name, uint64_t *ret_seq)
{
    char again[SEGMENT_NAME_SIZE];
    if (strspn(name, "0123456789") != SEGMENT_NAME_SIZE - sizeof(".seg"))
        return false;
    errno = 0;
    *ret_seq = strtoull(name, NULL, 10);
    return errno == 0 && *ret_seq > 0 && strcmp(segment_name(*ret_seq, again), name) == 0;
}

bool segment_error_is_damage(int error)
{
    return error != EMFILE && error != ENFILE && error != ENOMEM && error != EACCES && error != EPERM;
}

/* SEGMENT_SHORT if errno is a shortage that may pass, else -1. */
static int create_failure(void)
{
    if (errno == ENOSPC || errno == EDQUOT || errno == EMFILE || errno == ENFILE || errno == ENOMEM)
        return SEGMENT_SHORT;
    return -1;
}

static int begin_file(int fd, const struct frame_header *first)
{
    char block[FRAME_BLOCK] = {0};
    memcpy(block, first, sizeof(*first));
    memcpy(block + sizeof(block) - sizeof(*first), first, sizeof(*first));
    struct iovec iov = {block, sizeof(block)};
    return segment_write(fd, &iov, 1, 0) != 0 || segment_sync(fd) != 0 ? -1 : 0;
}

int segment_preallocate(int fd, uint32_t bytes)
{
    int rc;
    do
        rc = fallocate(fd, 0, 0, (off_t)bytes);
    while (rc != 0 && errno == EINTR);
    return rc;
}

/* The directory entry must be on stable storage before the first record of the segment is acknowledged. If it is not,
 * the file is removed, unless it replaced another one. Returns enum segment_create or -1 with errno. */
static int rename_unfinished(int dir_fd, const char *name)
{
    bool replaces = faccessat(dir_fd, name, F_OK, 0) == 0;
    if (renameat(dir_fd, UNFINISHED_NAME, dir_fd, name) != 0)
        return create_failure();
    if (fsync(dir_fd) != 0) {
        int error = errno, rc = create_failure();
        if (replaces || (rc == SEGMENT_SHORT && unlinkat(dir_fd, name, 0) != 0))
            rc = -1;
        errno = error;
        return rc;
    }
    return SEGMENT_CREATED;
}

/* The process that appends to the file holds this lock. */
static int lock_file(int fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(fd, F_OFD_SETLK, &lock);
}

/* A new file, locked. -1 with errno. */
static int open_unfinished(int dir_fd)
{
    segment_remove_unfinished(dir_fd);
    int fd = openat(dir_fd, UNFINISHED_NAME, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (fd < 0 || lock_file(fd) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

/* A failed write or fdatasync() is final here too: the file system has reserved the space. */
static int fill_unfinished(int dir_fd, int fd, const struct frame_header *first, const char *name)
{
    if (fd < 0 || segment_preallocate(fd, first->segment_bytes) != 0)
        return create_failure();
    return begin_file(fd, first) == 0 ? rename_unfinished(dir_fd, name) : -1;
}

int segment_create(int dir_fd, const struct frame_header *first, int *ret_fd, struct err *err)
{
    char name[SEGMENT_NAME_SIZE];
    segment_name(first->segment_seq, name);
    int fd = open_unfinished(dir_fd);
    int rc = fill_unfinished(dir_fd, fd, first, name);
    if (rc == SEGMENT_CREATED) {
        *ret_fd = fd;
        return rc;
    }
    int error = errno;
    if (fd >= 0)
        close(fd);
    segment_remove_unfinished(dir_fd);
    if (error == EOPNOTSUPP)
        err_set(err, "segment %s: the file system cannot preallocate (expected ext4, xfs, btrfs or tmpfs)", name);
    else
        err_set(err, "segment %s: cannot be created: %s", name, strerror(error));
    errno = error;
    return rc;
}

void segment_remove_unfinished(int dir_fd)
{
    unlinkat(dir_fd, UNFINISHED_NAME, 0);
}

void window_reset(struct window *window, int fd)
{
    window->fd = fd;
    window->offset = window->len = 0;
}

void window_free(struct window *window)
{
    free(window->data);
    window->data = NULL;
    window->cap = window->len = 0;
}

/* Reads up to the end of the file; beyond it gives zeros. */
static int read_all(int fd, char *out, size_t len, uint64_t offset)
{
    while (len > 0) {
        ssize_t got = pread(fd, out, len, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0) {
            memset(out, 0, len);
            return 0;
        }
        out += got;
        len -= (size_t)got;
        offset += (uint64_t)got;
    }
    return 0;
}

static void read_salvage(struct window *window, char *out, size_t len, uint64_t offset)
{
    window->salvaged = true;
    while (len > 0) {
        size_t part = SALVAGE_BLOCK - offset % SALVAGE_BLOCK;
        part = part < len ? part : len;
        if (read_all(window->fd, out, part, offset) != 0)
            memset(out, 0, part);
        out += part;
        len -= part;
        offset += part;
    }
}

char *window_get(struct window *window, uint32_t offset, uint32_t len, uint32_t limit, struct err *err)
{
    if (offset >= window->offset && (uint64_t)offset + len <= (uint64_t)window->offset + window->len)
        return window->data + (offset - window->offset);
    uint32_t want = len > WINDOW_CHUNK ? len : WINDOW_CHUNK;
    if (want > limit - offset)
        want = limit - offset > len ? limit - offset : len;
    if (want > window->cap) {
        window->data = mem_realloc(window->data, want, 1);
        window->cap = want;
    }
    window->len = 0;
    if (read_all(window->fd, window->data, want, offset) != 0) {
        if (!window->salvage) {
            err_set(err, "cannot read at %u: %s", offset, strerror(errno));
            return NULL;
        }
        read_salvage(window, window->data, want, offset);
    }
    window->offset = offset;
    window->len = want;
    return window->data;
}

struct frame_wanted {
    uint64_t nonce, min_seq;
};

static bool header_at(const char *bytes, struct frame_wanted wanted, struct frame_header *ret)
{
    memcpy(ret, bytes, sizeof(*ret));
    return frame_header_ok(ret, ret->offset) && ret->first_seq >= wanted.min_seq &&
           (wanted.nonce == 0 || ret->nonce == wanted.nonce);
}

int segment_find_frame(struct window *window, uint64_t nonce, uint64_t min_seq, uint32_t offset, uint32_t limit,
                       struct frame_header *ret, struct err *err)
{
    struct frame_wanted wanted = {nonce, min_seq};
    for (uint32_t at = offset; at + FRAME_BLOCK <= limit; at += FRAME_BLOCK) {
        const char *block = window_get(window, at, FRAME_BLOCK, limit, err);
        if (!block)
            return -1;
        if (header_at(block, wanted, ret) && ret->offset == at && ret->length <= limit - at)
            return 1;
        if (header_at(block + FRAME_BLOCK - sizeof(*ret), wanted, ret) && ret->offset >= offset &&
            (uint64_t)ret->offset + ret->length == (uint64_t)at + FRAME_BLOCK)
            return 1;
    }
    return 0;
}

static bool block_is_zero(const char *block)
{
    static const char zeros[FRAME_BLOCK];
    return memcmp(block, zeros, FRAME_BLOCK) == 0;
}

bool segment_find_bytes(struct window *window, uint32_t offset, uint32_t limit, uint32_t *ret_from, uint32_t *ret_until)
{
    *ret_from = *ret_until = limit;
    for (uint32_t at = offset; at + FRAME_BLOCK <= limit; at += FRAME_BLOCK) {
        if (block_is_zero(window_get(window, at, FRAME_BLOCK, limit, NULL)))
            continue;
        if (*ret_from == limit)
            *ret_from = at;
        *ret_until = at + FRAME_BLOCK;
    }
    return *ret_from < limit;
}

bool segment_copy_bytes(int from_fd, int to_fd, uint32_t offset, uint32_t length)
{
    struct window window = {.salvage = true};
    bool ok = true;
    window_reset(&window, from_fd);
    for (uint32_t done = 0, part; ok && done < length; done += part) {
        part = length - done < WINDOW_CHUNK ? length - done : WINDOW_CHUNK;
        struct iovec iov = {window_get(&window, offset + done, part, offset + length, NULL), part};
        ok = segment_write(to_fd, &iov, 1, done) == 0;
    }
    window_free(&window);
    return ok && segment_sync(to_fd) == 0;
}

static int copy_segment(int dir_fd, int from_fd, const struct segment *segment, const char *name, struct err *err)
{
    struct stat st;
    int fd = open_unfinished(dir_fd);
    bool ok =
        fd >= 0 && fstat(from_fd, &st) == 0 && segment_preallocate(fd, segment->bytes) == 0 &&
        segment_copy_bytes(from_fd, fd, 0, (uint32_t)(st.st_size < segment->bytes ? st.st_size : segment->bytes)) &&
        rename_unfinished(dir_fd, name) == SEGMENT_CREATED;
    if (ok)
        return fd;
    err_set(err, "segment %s: has another hard link and cannot be copied: %s", name, strerror(errno));
    if (fd >= 0)
        close(fd);
    segment_remove_unfinished(dir_fd);
    return -1;
}

/* Whether the open file has another name than this one. */
static bool is_linked(int dir_fd, int fd, const char *name)
{
    struct stat file, entry;
    return fstat(fd, &file) != 0 || file.st_nlink != 1 || fstatat(dir_fd, name, &entry, AT_SYMLINK_NOFOLLOW) != 0 ||
           !S_ISREG(entry.st_mode);
}

int segment_open_own(int dir_fd, const struct segment *segment, struct err *err)
{
    char name[SEGMENT_NAME_SIZE];
    segment_name(segment->seq, name);
    int fd = openat(dir_fd, name, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, "segment %s: cannot be opened: %s", name, strerror(errno));
    if (is_linked(dir_fd, fd, name)) {
        int own = copy_segment(dir_fd, fd, segment, name, err);
        close(fd);
        return own;
    }
    if (lock_file(fd) == 0)
        return fd;
    if (errno == EAGAIN)
        err_set(err, "segment %s: another process is appending to it (one daemon per journal)", name);
    else
        err_set(err, "segment %s: cannot be locked: %s", name, strerror(errno));
    close(fd);
    return -1;
}
