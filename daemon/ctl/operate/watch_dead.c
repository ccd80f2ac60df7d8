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

#include "base/file.h"

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

/* Removes what was written of a line, which the next one would continue. Keeps errno. */
static void cut_back(int fd, off_t size)
{
    int why = errno;
    if (ftruncate(fd, size) != 0)
        fprintf(stderr, "mobeyectl watch: an incomplete dead letter remains: %s\n", strerror(errno));
    errno = why;
}

int dead_append(const char *file, struct str event, struct err *err)
{
    struct buf line = {0};
    buf_append_str(&line, event);
    buf_append(&line, "\n", 1);
    int fd = open_locked(file, O_WRONLY | O_CREAT | O_APPEND);
    struct stat before;
    bool ok = fd >= 0 && fstat(fd, &before) == 0;
    /* The directory too: the file may be new. */
    if (ok && (file_write(fd, buf_str(&line)) != 0 || file_sync_parent(AT_FDCWD, file) != 0)) {
        ok = false;
        cut_back(fd, before.st_size);
    }
    int error = errno;
    if (fd >= 0)
        close(fd);
    buf_free(&line);
    return ok ? 0 : err_set(err, "%s: %s", file, strerror(error));
}

/* Renames the file, unless there is a renamed one already, left by an interrupted run or in use by another. -1 with err
 * set. */
static int take_away(const char *file, const char *taken, struct err *err)
{
    int fd = open_locked(file, O_RDWR);
    if (fd < 0 && errno == ENOENT)
        return 0;
    bool renamed = fd >= 0 && (renameat2(AT_FDCWD, file, AT_FDCWD, taken, RENAME_NOREPLACE) == 0 || errno == EEXIST);
    if (!renamed)
        err_set(err, "%s: %s", file, strerror(errno));
    if (fd >= 0)
        close(fd);
    return renamed ? 0 : -1;
}

/* Opens the renamed file for this run alone. NULL: there are no letters, or err is set (*ret_rc is -1). */
static FILE *open_taken(const char *taken, int *ret_rc, struct err *err)
{
    FILE *letters = fopen(taken, "re");
    *ret_rc = 0;
    if (!letters && errno == ENOENT)
        return NULL;
    if (letters && flock(fileno(letters), LOCK_EX | LOCK_NB) == 0 && is_same(taken, fileno(letters)))
        return letters;
    /* Locked, or removed since it was opened: by the run that has just ended. */
    bool is_busy = letters && (errno == EWOULDBLOCK || !is_same(taken, fileno(letters)));
    *ret_rc = err_set(err, "%s: %s", taken, is_busy ? "another --retry is running" : strerror(errno));
    if (letters)
        fclose(letters);
    return NULL;
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
    if (take_away(file, path, err) != 0)
        return -1;
    int rc;
    FILE *letters = open_taken(path, &rc, err);
    if (!letters)
        return rc;
    rc = retry_all(letters, file, delivery, ret_taken, ret_left, err);
    if (rc == 0 && unlink(path) != 0)
        rc = err_set(err, "%s: %s", path, strerror(errno));
    fclose(letters);
    return rc;
}
