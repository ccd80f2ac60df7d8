#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/mem.h"

/* Closes fd, if there is one, and returns rc with the errno that came with it. */
static int close_after(int fd, int rc)
{
    int why = errno;
    if (fd >= 0)
        close(fd);
    errno = why;
    return rc;
}

int file_read(int fd, size_t max_bytes, struct buf *ret)
{
    char *data = buf_reserve(ret, max_bytes + 1);
    for (size_t n = 0; n <= max_bytes;) {
        ssize_t got = read(fd, data + n, max_bytes + 1 - n);
        if (got == 0)
            return 0;
        if (got < 0 && errno != EINTR)
            return -1;
        n += got > 0 ? (size_t)got : 0;
        ret->len += got > 0 ? (size_t)got : 0;
    }
    errno = EFBIG;
    return -1;
}

int file_load(int dir_fd, const char *path, size_t max_bytes, struct buf *ret)
{
    int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);
    return close_after(fd, fd < 0 ? -1 : file_read(fd, max_bytes, ret));
}

void file_hold_standard(void)
{
    static const int flags[] = {O_WRONLY, O_RDONLY, O_RDONLY};
    for (int fd = STDIN_FILENO, held = fd; fd <= STDERR_FILENO && held >= 0; fd++)
        held = fcntl(fd, F_GETFD) < 0 ? open("/dev/null", flags[fd]) : fd; /* the lowest number that is free */
}

int file_write(int fd, struct str text)
{
    for (size_t at = 0; at < text.len;) {
        ssize_t wrote = write(fd, text.p + at, text.len - at);
        if (wrote == 0)
            errno = EIO;
        if (wrote == 0 || (wrote < 0 && errno != EINTR))
            return -1;
        at += wrote > 0 ? (size_t)wrote : 0;
    }
    return fsync(fd);
}

int file_sync_parent(int dir_fd, const char *path)
{
    char *copy = mem_strdup(path);
    int fd = openat(dir_fd, dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(copy);
    return close_after(fd, fd < 0 ? -1 : fsync(fd));
}

int file_rename(int dir_fd, const char *from, const char *to)
{
    return renameat(dir_fd, from, dir_fd, to) != 0 ? -1 : file_sync_parent(dir_fd, to);
}

int file_replace(int dir_fd, const char *path, struct str text, mode_t mode)
{
    char temp[PATH_MAX];
    if (snprintf(temp, sizeof(temp), "%s.new", path) >= (int)sizeof(temp)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    unlinkat(dir_fd, temp, 0); /* left by an interrupted run, perhaps with another mode */
    int fd = openat(dir_fd, temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -1;
    if (close_after(fd, fchmod(fd, mode) != 0 ? -1 : file_write(fd, text)) == 0 && file_rename(dir_fd, temp, path) == 0)
        return 0;
    int why = errno;
    unlinkat(dir_fd, temp, 0);
    errno = why;
    return -1;
}
