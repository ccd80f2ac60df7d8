#include "base/unix_socket.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* 0, or the error of connecting. EAGAIN: the backlog of the listener is full. */
static int connect_error(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int error = fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ? 0 : errno;
    if (fd >= 0)
        close(fd);
    return error;
}

/* 0: may be removed; or the error. */
static int occupied(const char *path)
{
    struct stat st;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (lstat(path, &st) != 0)
        return errno;
    if (!S_ISSOCK(st.st_mode))
        return EEXIST;
    if (snprintf(address.sun_path, sizeof(address.sun_path), "%s", path) >= (int)sizeof(address.sun_path))
        return ENAMETOOLONG;
    int error = connect_error(&address);
    if (error == 0 || error == EAGAIN)
        return EADDRINUSE;
    return error == ECONNREFUSED ? 0 : error;
}

int unix_socket_claim(const char *path)
{
    int error = occupied(path);
    if (error == 0 && unlink(path) != 0)
        error = errno;
    if (error == 0 || error == ENOENT)
        return 0;
    errno = error;
    return -1;
}
