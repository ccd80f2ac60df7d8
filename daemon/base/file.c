#include "base/file.h"

#include <errno.h>
#include <sys/types.h>
#include <unistd.h>

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
