#include "ctl/operate/watch_cursor.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

int cursor_open(const char *file)
{
    struct stat st;
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd >= 0 && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))) {
        close(fd);
        errno = EINVAL;
        return -1;
    }
    return fd;
}

int cursor_read(const char *file, bool *ret_found, int64_t *ret_after, struct err *err)
{
    char text[32] = "", *end = text;
    int fd = cursor_open(file);
    *ret_found = false;
    if (fd < 0 && errno == ENOENT)
        return 0;
    ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    int why = errno;
    if (fd >= 0)
        close(fd);
    if (len < 0)
        return err_set(err, "%s: %s", file, why == EINVAL ? "not a regular file" : strerror(why));
    *ret_after = strtoll(text, &end, 10);
    *ret_found = end != text && *ret_after >= 0;
    return *ret_found ? 0 : err_set(err, "%s: not a change number (use --after N, or remove the file)", file);
}

int cursor_store(const char *file, int64_t after, struct err *err)
{
    char text[32];
    snprintf(text, sizeof(text), "%" PRId64 "\n", after);
    return file_replace(AT_FDCWD, file, str_from(text), 0600) == 0 ? 0 : err_set(err, "%s: %s", file, strerror(errno));
}
