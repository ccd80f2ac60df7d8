#include "ctl/operate/watch_dead.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whether the path still refers to the open file. */
static bool is_same(const char *path, int fd)
{
    struct stat named, opened;
    return stat(path, &named) == 0 && fstat(fd, &opened) == 0 && named.st_ino == opened.st_ino &&
           named.st_dev == opened.st_dev;
}

/* Opens the file and locks it; retries if it was renamed in between. A process that renames it holds the lock. */
static int open_locked(const char *file, int flags)
{
    for (;;) {
        int fd = open(file, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
            return -1;
        if (flock(fd, LOCK_EX) == 0 && is_same(file, fd))
            return fd;
        int error = errno;
        bool gone = !is_same(file, fd);
        close(fd);
        errno = error;
        if (!gone)
            return -1;
    }
}

int dead_append(const char *file, struct str event, struct err *err)
{
    struct buf line = {0};
    buf_append_str(&line, event);
    buf_append(&line, "\n", 1);
    int fd = open_locked(file, O_WRONLY | O_CREAT | O_APPEND);
    bool ok = fd >= 0 && write(fd, line.data, line.len) == (ssize_t)line.len && fsync(fd) == 0;
    int error = errno;
    if (fd >= 0)
        close(fd);
    buf_free(&line);
    return ok ? 0 : err_set(err, "%s: %s", file, strerror(error));
}

/* Renames the file, unless an earlier run left the renamed one. 1: there are letters; 0: none; -1 with err set. */
static int take_away(const char *file, const char *taken, struct err *err)
{
    if (access(taken, F_OK) == 0)
        return 1;
    int fd = open_locked(file, O_RDWR);
    if (fd < 0 && errno == ENOENT)
        return 0;
    int rc = fd >= 0 ? rename(file, taken) : -1;
    if (rc != 0)
        err_set(err, "%s: %s", file, strerror(errno));
    if (fd >= 0)
        close(fd);
    return rc == 0 ? 1 : -1;
}

static int retry_all(FILE *letters, const char *file, const struct delivery *delivery, size_t *taken, size_t *left,
                     struct err *err)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    int rc = 0;
    while (rc == 0 && (len = getline(&line, &cap, letters)) > 0) {
        struct err why;
        struct str event = {line, (size_t)len - (line[len - 1] == '\n')};
        if (event.len == 0)
            continue;
        if (delivery_send(delivery, event, DELIVERY_TIMEOUT_S, &why) == DELIVERY_TAKEN) {
            ++*taken;
            continue;
        }
        fprintf(stderr, "mobeyectl watch: %s\n", why.text);
        ++*left;
        rc = dead_append(file, event, err);
    }
    if (rc == 0 && ferror(letters))
        rc = err_set(err, "%s: cannot be read: %s", file, strerror(errno));
    free(line);
    return rc;
}

int dead_retry(const char *file, const struct delivery *delivery, size_t *ret_taken, size_t *ret_left, struct err *err)
{
    char path[PATH_MAX];
    *ret_taken = *ret_left = 0;
    if (snprintf(path, sizeof(path), "%s.retrying", file) >= (int)sizeof(path))
        return err_set(err, "%s: %s", file, strerror(ENAMETOOLONG));
    int rc = take_away(file, path, err);
    if (rc <= 0)
        return rc;
    FILE *letters = fopen(path, "re");
    if (!letters)
        return err_set(err, "%s: %s", path, strerror(errno));
    rc = retry_all(letters, file, delivery, ret_taken, ret_left, err);
    fclose(letters);
    if (rc == 0 && unlink(path) != 0)
        rc = err_set(err, "%s: %s", path, strerror(errno));
    return rc;
}
