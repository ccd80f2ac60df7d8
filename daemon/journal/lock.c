#include "journal/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOCK_NAME "lock"

static int try_lock(int fd, int command, struct flock *lock)
{
    *lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(fd, command, lock);
}

/* "PID ORIGIN\n" */
static void read_file(int fd, char text[96])
{
    ssize_t got = pread(fd, text, 95, 0);
    text[got > 0 ? got : 0] = '\0';
}

int lock_take(int dir_fd, struct err *err)
{
    char text[96];
    struct flock lock;
    int fd = openat(dir_fd, LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0)
        return err_set(err, "the lock file cannot be opened: %s", strerror(errno));
    if (try_lock(fd, F_OFD_SETLK, &lock) == 0)
        return fd;
    if (errno == EAGAIN || errno == EACCES) {
        read_file(fd, text);
        err_set(err, "process %ld has this journal open; a directory belongs to one daemon at a time", atol(text));
    } else {
        err_set(err, "cannot be locked: %s", strerror(errno));
    }
    close(fd);
    return -1;
}

bool lock_origin(int dir_fd, uint8_t ret[16])
{
    char text[96];
    int fd = openat(dir_fd, LOCK_NAME, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    read_file(fd, text);
    close(fd);
    const char *hex = strchr(text, ' ');
    for (size_t i = 0; i < 16; i++) {
        unsigned byte;
        if (!hex || sscanf(hex + 1 + 2 * i, "%2x", &byte) != 1)
            return false;
        ret[i] = (uint8_t)byte;
    }
    return true;
}

void lock_write(int lock_fd, const uint8_t origin[16])
{
    char text[96];
    int len = snprintf(text, sizeof(text), "%ld ", (long)getpid());
    for (int i = 0; i < 16; i++)
        len += snprintf(text + len, sizeof(text) - (size_t)len, "%02x", origin[i]);
    text[len++] = '\n';
    if (pwrite(lock_fd, text, (size_t)len, 0) == len && ftruncate(lock_fd, len) != 0)
        return;
}

pid_t lock_holder(int dir_fd)
{
    char text[96] = "";
    struct flock lock;
    int fd = openat(dir_fd, LOCK_NAME, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return 0;
    bool held = try_lock(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
    if (held)
        read_file(fd, text);
    close(fd);
    return held ? (pid_t)atol(text) : 0;
}
