#include "frigate/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"

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
    if (file_load(file->dir_fd, NAME, STATE_FILE_MAX, ret) == 0 || errno == ENOENT)
        return 0;
    return err_set(err, "state %s/" NAME ": %s", file->directory, strerror(errno));
}

int state_file_write(const struct state_file *file, struct str text, struct err *err)
{
    return file_replace(file->dir_fd, NAME, text, 0600) == 0
               ? 0
               : err_set(err, "state %s/" NAME ": %s", file->directory, strerror(errno));
}
