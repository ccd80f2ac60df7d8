#include "journal/recovery.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "journal/lock.h"
#include "journal/salvage.h"

struct salvager {
    struct salvage salvage;
    struct journal_recovery *report;
};

static bool on_damage(void *ctx, int fd, const struct damage *damage)
{
    struct salvager *salvager = ctx;
    bool kept = salvage_copy(&salvager->salvage, fd, damage->segment_seq, damage->offset, damage->length);
    if (!kept)
        salvager->report->unsaved_bytes += damage->length;
    if (!damage->synced)
        salvager->report->torn_bytes += damage->length;
    else if (damage->count > 0)
        salvager->report->damaged += damage->count;
    else
        salvager->report->repaired++;
    return kept;
}

/* Failures are ignored: a file that stays is noticed when a segment of its name must be created. */
static void move_foreign(struct salvager *salvager, const struct chain *chain)
{
    for (size_t i = 0; i < chain->n_foreign; i++)
        salvage_move(&salvager->salvage, chain->foreign[i].name);
    salvager->report->foreign = chain->n_foreign - chain->n_lost;
    salvager->report->lost_segments = chain->n_lost;
}

/* After a failed sync, the page cache may hold a last frame that never reached the disk. */
static int rewrite_tail(int fd, const struct frame_header *tail, struct err *err)
{
    struct window window = {.salvage = true}; /* unreadable records are marked by now */
    window_reset(&window, fd);
    uint32_t part = tail->flags & FRAME_GAP ? (uint32_t)sizeof(*tail) : tail->length;
    struct iovec iov = {window_get(&window, tail->offset, part, tail->offset + tail->length, NULL), part};
    int rc = segment_write(fd, &iov, 1, tail->offset) != 0 || segment_sync(fd) != 0
                 ? err_set(err, "cannot rewrite the last frame: %s", strerror(errno))
                 : 0;
    window_free(&window);
    return rc;
}

/* A copied journal has holes where the original was preallocated. On a full disk xfs fails even to preallocate blocks
 * that are already there. */
static int fill_holes(int fd, uint32_t bytes)
{
    struct stat st;
    if (segment_preallocate(fd, bytes) == 0)
        return 0;
    int error = errno;
    if (error == ENOSPC && fstat(fd, &st) == 0 && (uint64_t)st.st_blocks * 512 >= bytes)
        return 0;
    errno = error;
    return -1;
}

/* Opens the last segment of the chain, as known so far, for writing. -1 with err. */
static int own_tail(int dir_fd, struct recovered *ret, uint64_t *owned_seq, struct err *err)
{
    const struct segment *last = &ret->chain.segments[ret->chain.n - 1];
    if (ret->fd >= 0 && *owned_seq == last->seq)
        return 0;
    if (ret->fd >= 0)
        close(ret->fd);
    *owned_seq = last->seq;
    ret->fd = segment_open_own(dir_fd, last, err);
    return ret->fd >= 0 ? 0 : -1;
}

static int prepare_tail(int dir_fd, struct recovered *ret, struct err *err)
{
    struct segment *last = &ret->chain.segments[ret->chain.n - 1];
    char name[SEGMENT_NAME_SIZE];
    segment_name(last->seq, name);
    if (fill_holes(ret->fd, last->bytes) != 0)
        return err_set(err, "segment %s: no space on the disk for its full size: %s", name, strerror(errno));
    if (rewrite_tail(ret->fd, &ret->tail, err) != 0)
        return err_prefix(err, "segment %s", name);
    if (fsync(ret->fd) != 0 || fsync(dir_fd) != 0)
        return err_set(err, "segment %s: cannot be synced: %s", name, strerror(errno));
    return 0;
}

int recovery_salvage(int dir_fd, const struct segment *segment, uint64_t from_seq, int64_t wall_us,
                     struct journal_recovery *report, struct err *err)
{
    struct salvager salvager = {{dir_fd, -1, wall_us}, report};
    struct chain_check check = {.on_damage = on_damage, .ctx = &salvager};
    *report = (struct journal_recovery){0};
    int open_error, rc = verify_synced(&check, segment, dir_fd, &open_error, err);
    if (rc != 0 && segment_error_is_damage(open_error)) {
        report->damaged = segment->next_seq - (from_seq > segment->seq ? from_seq : segment->seq);
        rc = 0;
    }
    if (salvager.salvage.fd >= 0) {
        report->salvaged = true;
        close(salvager.salvage.fd);
    }
    return rc;
}

static void count_records(const struct chain *chain, struct journal_recovery *report)
{
    for (size_t i = 0; i < chain->n; i++) {
        report->records += chain->segments[i].records;
        if (i > 0)
            report->missing += chain->segments[i].seq - chain->segments[i - 1].next_seq;
    }
}

int recovery_run(int dir_fd, int64_t wall_us, struct recovered *ret, struct journal_recovery *report, struct err *err)
{
    uint8_t origin[16];
    uint64_t owned_seq = 0;
    struct salvager salvager = {{dir_fd, -1, wall_us}, report};
    struct chain_check check = {.repair = true, .on_damage = on_damage, .ctx = &salvager};
    *ret = (struct recovered){.fd = -1};
    *report = (struct journal_recovery){0};
    segment_remove_unfinished(dir_fd);
    if (chain_load(&ret->chain, dir_fd, lock_origin(dir_fd, origin) ? origin : NULL, err) != 0)
        return -1;
    if (ret->chain.n > 0 && own_tail(dir_fd, ret, &owned_seq, err) != 0)
        return -1;
    int rc = verify_chain(&check, &ret->chain, dir_fd, err);
    move_foreign(&salvager, &ret->chain);
    ret->tail = check.tail;
    ret->last_checksum = check.last_checksum;
    ret->last_seq = check.last_seq;
    if (rc == 0 && ret->chain.n > 0)
        rc = own_tail(dir_fd, ret, &owned_seq, err);
    if (rc == 0 && ret->chain.n > 0)
        rc = prepare_tail(dir_fd, ret, err);
    count_records(&ret->chain, report);
    report->clean = check.tail.flags & FRAME_CLEAN && report->torn_bytes == 0;
    if (salvager.salvage.fd >= 0) {
        report->salvaged = true;
        close(salvager.salvage.fd);
    }
    return rc;
}
