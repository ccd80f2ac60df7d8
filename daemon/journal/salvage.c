#include "journal/salvage.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "journal/segment.h"

static bool open_folder(struct salvage *salvage)
{
    if (salvage->fd >= 0)
        return true;
    bool created = mkdirat(salvage->dir_fd, SALVAGE_FOLDER, 0750) == 0;
    salvage->fd = openat(salvage->dir_fd, SALVAGE_FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return salvage->fd >= 0 && (!created || fsync(salvage->dir_fd) == 0);
}

bool salvage_copy(struct salvage *salvage, int segment_fd, uint64_t segment_seq, uint32_t offset, uint32_t length)
{
    char name[NAME_MAX];
    if (length == 0) /* an empty record whose entry was damaged */
        return true;
    if (!open_folder(salvage))
        return false;
    snprintf(name, sizeof(name), "%020" PRIu64 "-%010" PRIu32 "-%" PRId64 ".bytes", segment_seq, offset,
             salvage->wall_us);
    int fd = openat(salvage->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (fd < 0)
        return false;
    bool ok = segment_copy_bytes(segment_fd, fd, offset, length) && fsync(salvage->fd) == 0;
    close(fd);
    if (!ok)
        unlinkat(salvage->fd, name, 0);
    return ok;
}

bool salvage_move(struct salvage *salvage, const char *name)
{
    char kept[NAME_MAX + 32];
    if (!open_folder(salvage))
        return false;
    snprintf(kept, sizeof(kept), "%s-%" PRId64, name, salvage->wall_us);
    return renameat(salvage->dir_fd, name, salvage->fd, kept) == 0 && fsync(salvage->fd) == 0 &&
           fsync(salvage->dir_fd) == 0;
}
