#include "journal/aside.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "journal/segment.h"

static bool open_folder(struct aside *aside)
{
    if (aside->fd >= 0)
        return true;
    bool made = mkdirat(aside->dir_fd, ASIDE_FOLDER, 0750) == 0;
    aside->fd = openat(aside->dir_fd, ASIDE_FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return aside->fd >= 0 && (!made || fsync(aside->dir_fd) == 0);
}

bool aside_copy(struct aside *aside, int segment_fd, uint64_t segment_seq, uint32_t offset, uint32_t length)
{
    char name[NAME_MAX];
    if (length == 0) /* an empty record whose entry was damaged */
        return true;
    if (!open_folder(aside))
        return false;
    snprintf(name, sizeof(name), "%020" PRIu64 "-%010" PRIu32 "-%" PRId64 ".bytes", segment_seq, offset,
             aside->wall_us);
    int fd = openat(aside->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (fd < 0)
        return false;
    bool ok = segment_copy_bytes(segment_fd, fd, offset, length) && fsync(aside->fd) == 0;
    close(fd);
    if (!ok)
        unlinkat(aside->fd, name, 0);
    return ok;
}

bool aside_move(struct aside *aside, const char *name)
{
    char kept[NAME_MAX + 32];
    if (!open_folder(aside))
        return false;
    snprintf(kept, sizeof(kept), "%s-%" PRId64, name, aside->wall_us);
    return renameat(aside->dir_fd, name, aside->fd, kept) == 0 && fsync(aside->fd) == 0 && fsync(aside->dir_fd) == 0;
}
