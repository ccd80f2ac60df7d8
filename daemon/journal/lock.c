#include "journal/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hex.h"

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

/* -1 with errno, also if it is a link or not a regular file. */
static int open_lock(int dir_fd, int flags)
{
    struct stat st;
    int fd = openat(dir_fd, LOCK_NAME, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0640);
    if (fd < 0 || (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)))
        return fd;
    close(fd);
    errno = EINVAL;
    return -1;
}

static int lock_directory(int dir_fd, struct err *err)
{
    if (flock(dir_fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    if (errno == EWOULDBLOCK)
        return err_set(err, "another process has this directory open, without its lock file (was it removed?)");
    return err_set(err, "cannot lock the directory: %s", strerror(errno));
}

static const char *expected(int error)
{
    if (error == EROFS)
        return LOCK_WRITABLE;
    return error == EACCES ? "must belong to the user that runs the daemon" : "must be a regular file";
}

int lock_take(int dir_fd, struct err *err)
{
    char text[96];
    struct flock lock;
    int fd = open_lock(dir_fd, O_RDWR | O_CREAT);
    if (fd < 0)
        return err_set(err, "cannot open the lock file: %s (%s)", strerror(errno), expected(errno));
    if (try_lock(fd, F_OFD_SETLK, &lock) == 0) {
        if (lock_directory(dir_fd, err) == 0)
            return fd;
        close(fd);
        return -1;
    }
    if (errno == EAGAIN) {
        read_file(fd, text);
        err_set(err, "process %ld has this journal open (one daemon per directory)", atol(text));
    } else {
        err_set(err, "cannot lock the lock file: %s", strerror(errno));
    }
    close(fd);
    return -1;
}

bool lock_origin(int dir_fd, uint8_t ret[16])
{
    char text[96];
    int fd = open_lock(dir_fd, O_RDONLY);
    if (fd < 0)
        return false;
    read_file(fd, text);
    close(fd);
    const char *hex = strchr(text, ' ');
    return hex && hex_read(ret, 16, hex + 1); /* it may be incomplete after a power cut */
}

void lock_write(int lock_fd, const uint8_t origin[16])
{
    char text[96];
    int len = snprintf(text, sizeof(text), "%ld ", (long)getpid());
    hex_write(text + len, origin, 16);
    len += 2 * 16;
    text[len++] = '\n';
    if (pwrite(lock_fd, text, (size_t)len, 0) == len && ftruncate(lock_fd, len) != 0)
        return;
}

pid_t lock_holder(int dir_fd)
{
    char text[96] = "";
    struct flock lock;
    int fd = open_lock(dir_fd, O_RDWR);
    if (fd < 0)
        return 0;
    bool held = try_lock(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
    if (held)
        read_file(fd, text);
    close(fd);
    return held ? (pid_t)atol(text) : 0;
}
