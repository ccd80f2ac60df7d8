#include "journal/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "journal/internal.h"
#include "journal/lock.h"
#include "journal/recovery.h"

/* A segment that is not full is closed only so that its stored records can expire, and not more often than this. */
#define IDLE_ROTATION_US CLOCK_HOUR

static int open_directory(const char *directory, struct err *err)
{
    if (mkdir(directory, 0750) == 0) {
        if (file_sync_parent(AT_FDCWD, directory) != 0)
            return err_set(err, "cannot sync the parent directory: %s", strerror(errno));
    } else if (errno != EEXIST) {
        return err_set(err, "cannot be created: %s%s", strerror(errno), errno == EROFS ? " (" LOCK_WRITABLE ")" : "");
    }
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        err_set(err, "cannot be opened: %s", strerror(errno));
    return fd;
}

static void make_uuid(uint8_t uuid[JOURNAL_UUID_BYTES])
{
    arc4random_buf(uuid, JOURNAL_UUID_BYTES);
    uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x40);
    uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
}

static int create_journal(struct journal *journal, int64_t wall_us, struct err *err)
{
    journal->next_seq = 1;
    make_uuid(journal->uuid);
    memcpy(journal->chain.origin, journal->uuid, sizeof(journal->chain.origin));
    int rc = append_rotate(journal, 0, wall_us, true, err);
    return rc == JOURNAL_FULL ? err_prefix(err, "no space for the first segment") : rc;
}

static int recover_journal(struct journal *journal, int64_t wall_us, struct journal_recovery *report, struct err *err)
{
    struct recovered found;
    int rc = recovery_run(journal->dir_fd, wall_us, &found, report, err);
    journal->chain = found.chain;
    journal->fd = found.fd;
    if (rc != 0)
        return -1;
    report->fresh = found.chain.n == 0;
    if (report->fresh)
        return create_journal(journal, wall_us, err);
    append_remember_tail(journal);
    memcpy(journal->uuid, found.tail.uuid, sizeof(journal->uuid));
    journal->tail_flags = found.tail.flags;
    journal->tail_stored_seq = found.tail.stored_seq;
    journal->prev_checksum = found.last_checksum;
    journal->next_seq = journal_last(journal)->next_seq;
    journal->synced_seq = found.last_seq;
    journal->stored_seq = found.tail.stored_seq;
    if (journal->stored_seq < journal_first_seq(journal) - 1)
        journal->stored_seq = journal_first_seq(journal) - 1;
    if (journal->stored_seq > journal->synced_seq)
        journal->stored_seq = journal->synced_seq;
    return 0;
}

static int open_and_recover(struct journal *journal, const char *directory, int64_t wall_us,
                            struct journal_recovery *report, struct err *err)
{
    journal->dir_fd = open_directory(directory, err);
    if (journal->dir_fd < 0)
        return -1;
    journal->lock_fd = lock_take(journal->dir_fd, err);
    if (journal->lock_fd < 0)
        return -1;
    journal->reader.dir_fd = journal->dir_fd;
    journal->reader.chain = &journal->chain;
    if (recover_journal(journal, wall_us, report, err) != 0)
        return -1;
    lock_write(journal->lock_fd, journal->chain.origin);
    return 0;
}

int journal_open(struct journal **ret, const struct journal_options *options, int64_t wall_us,
                 struct journal_recovery *ret_recovery, struct err *err)
{
    struct journal *journal = mem_zalloc(sizeof(*journal));
    journal->dir_fd = journal->lock_fd = journal->fd = journal->reader.fd = -1;
    journal->wall_us = wall_us;
    *ret_recovery = (struct journal_recovery){0};
    journal_configure(journal, options);
    if (open_and_recover(journal, options->directory, wall_us, ret_recovery, err) != 0) {
        journal_free(&journal);
        return err_prefix(err, "journal %s", options->directory);
    }
    *ret = journal;
    return 0;
}

static void close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

void journal_free(struct journal **journal)
{
    if (!*journal)
        return;
    reader_free(&(*journal)->reader);
    chain_free(&(*journal)->chain);
    buf_free(&(*journal)->table);
    buf_free(&(*journal)->records);
    close_fd((*journal)->fd);
    close_fd((*journal)->lock_fd);
    close_fd((*journal)->dir_fd);
    free(*journal);
    *journal = NULL;
}

int journal_close(struct journal *journal, struct err *err)
{
    if (journal_sync(journal, err) != 0)
        return -1;
    if (journal->tail_flags & FRAME_CLEAN && journal->tail_stored_seq == journal->stored_seq)
        return 0;
    /* The records of a segment that was given up are synced, which a frame in another one proves. */
    if (journal_last(journal)->unreadable)
        append_rotate(journal, 0, journal->wall_us, true, NULL);
    const struct segment *last = journal_last(journal);
    if (last->used + FRAME_BLOCK > last->bytes || !append_tail_is_usable(journal))
        return 0;
    return append_empty_frame(journal, FRAME_CLEAN, err);
}

void journal_configure(struct journal *journal, const struct journal_options *options)
{
    journal->max_size_bytes = options->max_size_bytes;
    journal->keep_us = options->keep_us;
}

uint64_t journal_next_seq(const struct journal *journal)
{
    return journal->next_seq;
}

uint64_t journal_synced_seq(const struct journal *journal)
{
    return journal->synced_seq;
}

uint64_t journal_stored_seq(const struct journal *journal)
{
    return journal->stored_seq;
}

uint64_t journal_first_seq(const struct journal *journal)
{
    return journal->chain.segments[0].seq;
}

uint64_t journal_unsynced_bytes(const struct journal *journal)
{
    return journal->records.len;
}

uint64_t journal_bytes(const struct journal *journal)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < journal->chain.n; i++)
        bytes += journal->chain.segments[i].bytes;
    return bytes;
}

/* The used bytes of the segment in proportion to its records that are not stored. */
static double not_stored_bytes(const struct journal *journal, const struct segment *segment)
{
    uint64_t first = segment->seq > journal->stored_seq ? segment->seq : journal->stored_seq + 1;
    if (first >= segment->next_seq)
        return 0;
    return (double)segment->used * (double)(segment->next_seq - first) / (double)(segment->next_seq - segment->seq);
}

double journal_fill(const struct journal *journal)
{
    double bytes = 0;
    for (size_t i = 0; i < journal->chain.n; i++)
        bytes += not_stored_bytes(journal, &journal->chain.segments[i]);
    return bytes / (double)journal->max_size_bytes;
}

int64_t journal_reach_us(const struct journal *journal)
{
    const struct segment *first = &journal->chain.segments[0];
    return first->next_seq > first->seq ? first->first_wall_us : 0;
}

const uint8_t *journal_uuid(const struct journal *journal)
{
    return journal->uuid;
}

bool journal_checksum(struct journal *journal, uint64_t seq, uint64_t *ret)
{
    const struct segment *first = &journal->chain.segments[0];
    *ret = 0;
    if (seq == 0)
        return true;
    if (seq + 1 == first->seq)
        *ret = first->prev_checksum;
    else if (seq + journal->count + 1 == journal->next_seq)
        *ret = journal->prev_checksum;
    if (*ret != 0)
        return true;
    return seq <= journal->synced_seq && reader_checksum(&journal->reader, seq, ret);
}

int journal_new_uuid(struct journal *journal, struct err *err)
{
    if (journal_sync(journal, err) != 0)
        return -1;
    make_uuid(journal->uuid);
    const struct segment *last = journal_last(journal);
    if (last->used + APPEND_RESERVE_BYTES <= last->bytes && append_tail_is_usable(journal))
        return append_empty_frame(journal, FRAME_UUID, err);
    int rc = append_rotate(journal, 0, journal->wall_us, true, err);
    if (rc == JOURNAL_FULL)
        err_prefix(err, "no space for a segment with a new UUID");
    return rc == JOURNAL_APPENDED ? 0 : append_failed(journal, err);
}

int journal_read(struct journal *journal, uint64_t from_seq, size_t max_records, size_t max_bytes, struct batch *batch,
                 struct err *err)
{
    return reader_read(&journal->reader, from_seq, max_records, max_bytes, batch, err);
}

int journal_salvage(struct journal *journal, uint64_t seq, int64_t wall_us, struct journal_recovery *ret_found,
                    struct err *err)
{
    const struct segment *found = chain_find(&journal->chain, seq);
    *ret_found = (struct journal_recovery){0};
    if (!found)
        return err_set(err, "no segment holds record %" PRIu64, seq);
    if (found == journal_last(journal) && journal_sync(journal, err) != 0)
        return -1;
    if (recovery_salvage(journal->dir_fd, found, seq, wall_us, ret_found, err) != 0)
        return -1;
    journal->chain.segments[found - journal->chain.segments].unreadable = true;
    return 0;
}

/* The age at which a segment that does not fill is closed. */
static int64_t idle_rotation_us(int64_t keep_us)
{
    return keep_us > IDLE_ROTATION_US ? keep_us : IDLE_ROTATION_US;
}

int64_t journal_held_until_us(int64_t keep_us, int64_t wall_us)
{
    return wall_us + idle_rotation_us(keep_us) + keep_us;
}

/* Records in a segment that never fills would never expire. */
static bool is_idle(const struct journal *journal, int64_t wall_us)
{
    const struct segment *last = journal_last(journal);
    return journal->count == 0 && last->next_seq > last->seq && last->next_seq <= journal->stored_seq + 1 &&
           wall_us - last->first_wall_us >= idle_rotation_us(journal->keep_us);
}

int journal_failure(const struct journal *journal, struct err *err)
{
    return journal->failed ? err_set(err, "%s", journal->failure.text) : 0;
}

void journal_stored(struct journal *journal, uint64_t seq, int64_t wall_us)
{
    struct err err;
    journal->stored_seq = seq;
    if (!journal->failed && is_idle(journal, wall_us))
        append_rotate(journal, 0, wall_us, false, &err);
    const struct chain *chain = &journal->chain;
    while (chain->n > 1 && (wall_us - chain->segments[0].last_wall_us >= journal->keep_us ||
                            journal_bytes(journal) > journal->max_size_bytes))
        if (!append_drop_stored(journal))
            break;
}
