#include "frigate/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define NAME "state"

int state_file_open(struct state_file *file, const char *directory, struct err *err)
{
    file->directory = directory;
    file->dir_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file->dir_fd < 0)
        return err_set(err, "state %s: %s", directory, strerror(errno));
    if (flock(file->dir_fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    err_set(err, "state %s: %s", directory,
            errno == EWOULDBLOCK ? "another mobeye-frigate uses this directory" : strerror(errno));
    state_file_close(file);
    return -1;
}

void state_file_close(struct state_file *file)
{
    if (file->dir_fd >= 0)
        close(file->dir_fd);
    file->dir_fd = -1;
}

int state_file_read(const struct state_file *file, struct buf *ret, struct err *err)
{
    ssize_t got = 1;
    int fd = openat(file->dir_fd, NAME, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : err_set(err, "state %s/" NAME ": %s", file->directory, strerror(errno));
    while (got > 0 && ret->len < STATE_FILE_MAX) {
        got = read(fd, buf_reserve(ret, 65536), 65536);
        if (got < 0 && errno == EINTR)
            got = 1;
        else if (got > 0)
            ret->len += (size_t)got;
    }
    int saved = errno;
    close(fd);
    return got < 0 ? err_set(err, "state %s/" NAME ": %s", file->directory, strerror(saved)) : 0;
}

static int write_all(int fd, struct str text)
{
    for (size_t at = 0; at < text.len;) {
        ssize_t n = write(fd, text.p + at, text.len - at);
        if (n < 0 && errno != EINTR)
            return -1;
        at += n > 0 ? (size_t)n : 0;
    }
    return fsync(fd);
}

int state_file_write(const struct state_file *file, struct str text, struct err *err)
{
    int fd = openat(file->dir_fd, NAME ".new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_set(err, "state %s/" NAME ".new: %s", file->directory, strerror(errno));
    int rc = write_all(fd, text), saved = errno;
    if (close(fd) != 0 && rc == 0) {
        rc = -1;
        saved = errno;
    }
    if (rc != 0)
        return err_set(err, "state %s/" NAME ".new: %s", file->directory, strerror(saved));
    if (renameat(file->dir_fd, NAME ".new", file->dir_fd, NAME) != 0 || fsync(file->dir_fd) != 0)
        return err_set(err, "state %s/" NAME ": %s", file->directory, strerror(errno));
    return 0;
}
