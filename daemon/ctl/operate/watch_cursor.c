#include "ctl/operate/watch_cursor.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl/lib/ctl.h"

int cursor_read(const char *file, bool *ret_found, int64_t *ret_after, struct err *err)
{
    FILE *in = fopen(file, "re");
    *ret_found = false;
    if (!in && errno == ENOENT)
        return 0;
    if (!in)
        return err_set(err, "%s: %s", file, strerror(errno));
    *ret_found = fscanf(in, "%" SCNd64, ret_after) == 1 && *ret_after >= 0;
    fclose(in);
    return *ret_found ? 0 : err_set(err, "%s: not a change number (use --after N, or remove the file)", file);
}

int cursor_store(const char *file, int64_t after, struct err *err)
{
    char path[PATH_MAX], text[32];
    if (snprintf(path, sizeof(path), "%s.new", file) >= (int)sizeof(path))
        return err_set(err, "%s: %s", file, strerror(ENAMETOOLONG));
    snprintf(text, sizeof(text), "%" PRId64 "\n", after);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool stored = fd >= 0 && ctl_write(fd, str_from(text)) && rename(path, file) == 0;
    int why = errno;
    if (fd >= 0)
        close(fd);
    if (!stored)
        return err_set(err, "%s: %s", file, strerror(why));
    ctl_sync_directory(file);
    return 0;
}
