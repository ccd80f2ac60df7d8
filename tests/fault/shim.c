/*
 * Preloaded into the daemon, it makes one call of the journal fail, or one sync of mobeyectl. MOBEYE_FAULT is
 * CALL:N:HOW, for the Nth CALL of the process:
 *   pwritev    EIO, ENOSPC    nothing is written
 *              short          half of it is written, which is not an error
 *              torn           half of it is written, and the next one fails with EIO
 *   fdatasync  EIO, ENOSPC    the page cache still shows what was written
 *              lost           EIO, and what was written last is gone, as where the kernel drops the pages
 *   fsync, fallocate  EIO, ENOSPC
 * Later calls succeed: a program that tries again is told that all is well.
 *
 * While the file named by MOBEYE_UNREADABLE exists, the calls that it describes always fail with EIO: "pread FILE FROM
 * UNTIL", of the file with this name between these offsets, or "openat FILE".
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

struct fault {
    char call[16], how[16];
    long n;
    bool read;
};

static struct fault fault;
static long seen;
static bool torn;
static struct {
    int fd;
    off_t offset;
    size_t len;
} last_write = {.fd = -1};

/* How this call is to fail; NULL: it does not. */
static const char *due(const char *call)
{
    const char *text = getenv("MOBEYE_FAULT");
    if (!fault.read && text && sscanf(text, "%15[^:]:%ld:%15s", fault.call, &fault.n, fault.how) != 3) {
        fprintf(stderr, "shim: MOBEYE_FAULT is CALL:N:HOW, not \"%s\"\n", text);
        abort();
    }
    fault.read = true;
    if (strcmp(call, fault.call) != 0 || ++seen != fault.n)
        return NULL;
    fprintf(stderr, "shim: %s %ld: %s\n", call, seen, fault.how);
    return fault.how;
}

static int fail(const char *how)
{
    errno = strcmp(how, "ENOSPC") == 0 ? ENOSPC : EIO;
    return -1;
}

static ssize_t write_half(int fd, const struct iovec *iov, int n, off_t offset)
{
    size_t len = 0, at = 0;
    for (int i = 0; i < n; i++)
        len += iov[i].iov_len;
    char *bytes = len > 0 ? malloc(len) : NULL;
    if (!bytes)
        abort();
    for (int i = 0; i < n; at += iov[i++].iov_len)
        memcpy(bytes + at, iov[i].iov_base, iov[i].iov_len);
    ssize_t put = pwrite(fd, bytes, len / 2, offset);
    free(bytes);
    return put;
}

ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t offset)
{
    ssize_t (*real)(int, const struct iovec *, int, off_t);
    *(void **)&real = dlsym(RTLD_NEXT, "pwritev");
    if (torn) {
        torn = false;
        return fail("EIO");
    }
    const char *how = due("pwritev");
    torn = how && strcmp(how, "torn") == 0;
    if (torn || (how && strcmp(how, "short") == 0))
        return write_half(fd, iov, n, offset);
    if (how)
        return fail(how);
    ssize_t put = real(fd, iov, n, offset);
    last_write.fd = fd;
    last_write.offset = offset;
    last_write.len = put > 0 ? (size_t)put : 0;
    return put;
}

static void lose(int fd)
{
    char *zeros = calloc(1, last_write.len);
    if (!zeros || fd != last_write.fd || pwrite(fd, zeros, last_write.len, last_write.offset) < 0)
        abort();
    free(zeros);
}

int fdatasync(int fd)
{
    int (*real)(int);
    *(void **)&real = dlsym(RTLD_NEXT, "fdatasync");
    const char *how = due("fdatasync");
    if (how && strcmp(how, "lost") == 0)
        lose(fd);
    return how ? fail(how) : real(fd);
}

int fsync(int fd)
{
    int (*real)(int);
    *(void **)&real = dlsym(RTLD_NEXT, "fsync");
    const char *how = due("fsync");
    return how ? fail(how) : real(fd);
}

/* Whether this call is among those that fail as long as the file exists. */
static bool is_unreadable(const char *call, const char *name, off_t from, off_t until)
{
    char bad_call[16] = "", bad_name[64] = "";
    long bad_from = 0, bad_until = 0;
    const char *path = getenv("MOBEYE_UNREADABLE");
    FILE *file = path ? fopen(path, "re") : NULL;
    if (!file)
        return false;
    int n = fscanf(file, "%15s %63s %ld %ld", bad_call, bad_name, &bad_from, &bad_until);
    fclose(file);
    return n >= 2 && strcmp(call, bad_call) == 0 && strcmp(name, bad_name) == 0 &&
           (n == 2 || (from < bad_until && until > bad_from));
}

ssize_t pread(int fd, void *out, size_t len, off_t offset)
{
    char link[64], path[4096];
    ssize_t (*real)(int, void *, size_t, off_t);
    *(void **)&real = dlsym(RTLD_NEXT, "pread");
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof(path) - 1);
    path[n > 0 ? n : 0] = '\0';
    const char *slash = strrchr(path, '/');
    if (slash && is_unreadable("pread", slash + 1, offset, offset + (off_t)len))
        return fail("EIO");
    return real(fd, out, len, offset);
}

int openat(int dir_fd, const char *path, int flags, ...)
{
    int (*real)(int, const char *, int, ...);
    *(void **)&real = dlsym(RTLD_NEXT, "openat");
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    return is_unreadable("openat", path, 0, 0) ? fail("EIO") : real(dir_fd, path, flags, mode);
}

/* What openat() is where the flags are not constant, in a fortified build. */
int __openat_2(int dir_fd, const char *path, int flags);
int __openat_2(int dir_fd, const char *path, int flags)
{
    return openat(dir_fd, path, flags);
}

int fallocate(int fd, int mode, off_t offset, off_t len)
{
    int (*real)(int, int, off_t, off_t);
    *(void **)&real = dlsym(RTLD_NEXT, "fallocate");
    const char *how = due("fallocate");
    return how ? fail(how) : real(fd, mode, offset, len);
}
