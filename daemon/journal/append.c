#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/array.h"
#include "base/clock.h"
#include "journal/internal.h"
#include "model/record.h"

#define SEGMENT_BYTES_LEAST                                                                                            \
    (UINT64_C(128) << 10) /* holds the largest record without an image; one that needs more gets a larger segment */
#define SEGMENT_BYTES_ALIGN UINT64_C(4096)
#define SEGMENT_BYTES_USUAL (UINT64_C(1) << 20)

#define ZERO_AHEAD_BYTES (UINT32_C(256) << 10) /* see zeros_ahead() */

/* After a shortage (a full disk, no descriptors), the delay before the next attempt to create a segment. */
#define SHORTAGE_PAUSE_US (100 * CLOCK_MS)
/* After a shortage journal_check_space() fails for this long: only an attempt reveals a quota or a lack of descriptors.
 */
#define SHORTAGE_LASTS_US (5 * CLOCK_SECOND)

/* A sixteenth of max_size, so that space is freed in small steps; a quarter if max_size is small. */
static uint32_t segment_bytes(uint64_t max_size_bytes)
{
    uint64_t bytes = max_size_bytes / 16;
    if (bytes < SEGMENT_BYTES_USUAL)
        bytes = max_size_bytes / 4 < SEGMENT_BYTES_USUAL ? max_size_bytes / 4 : SEGMENT_BYTES_USUAL;
    if (bytes < SEGMENT_BYTES_LEAST)
        bytes = SEGMENT_BYTES_LEAST;
    if (bytes > SEGMENT_BYTES_MAX)
        bytes = SEGMENT_BYTES_MAX;
    return (uint32_t)(bytes / SEGMENT_BYTES_ALIGN * SEGMENT_BYTES_ALIGN);
}

static uint32_t whole_blocks(uint64_t bytes)
{
    return (uint32_t)((bytes + SEGMENT_BYTES_ALIGN - 1) / SEGMENT_BYTES_ALIGN * SEGMENT_BYTES_ALIGN);
}

static bool is_stored(const struct journal *journal, const struct segment *segment)
{
    return segment->next_seq <= journal->stored_seq + 1 || segment->next_seq == segment->seq;
}

bool append_drop_stored(struct journal *journal)
{
    struct chain *chain = &journal->chain;
    char name[SEGMENT_NAME_SIZE];
    if (chain->n < 2 || !is_stored(journal, &chain->segments[0]))
        return false;
    if (unlinkat(journal->dir_fd, segment_name(chain->segments[0].seq, name), 0) != 0 && errno != ENOENT)
        return false;
    chain_remove(chain, 0);
    journal->shortage = 0;
    return true;
}

/* Removes stored segments until `bytes` fit within max_size; false: they do not. The last segment does not count if it
 * is stored, since it is removed next. */
static bool free_space(struct journal *journal, uint32_t bytes)
{
    if (journal->chain.n == 0)
        return true;
    while (journal_bytes(journal) + bytes > journal->max_size_bytes && append_drop_stored(journal))
        ;
    const struct segment *last = journal_last(journal);
    uint64_t stays = journal_bytes(journal) - (is_stored(journal, last) ? last->bytes : 0);
    return stays + bytes <= journal->max_size_bytes;
}

static bool disk_is_full(const struct journal *journal)
{
    return journal->shortage == ENOSPC || journal->shortage == EDQUOT;
}

static struct frame_header header_of_pending(const struct journal *journal, uint16_t flags)
{
    struct frame_header header = {
        .flags = flags,
        .count = journal->count,
        .length = (uint32_t)frame_length(journal->count, journal->records.len),
        .record_bytes = (uint32_t)journal->records.len,
        .first_seq = journal->next_seq - journal->count,
        .stored_seq = journal->stored_seq,
        .prev_checksum = journal->prev_checksum,
        .wall_us = journal->wall_us,
    };
    memcpy(header.origin, journal->chain.origin, sizeof(header.origin));
    memcpy(header.uuid, journal->uuid, sizeof(header.uuid));
    return header;
}

/* false: the segment is as small as it may be. */
static bool halve(struct frame_header *first, uint32_t least_bytes)
{
    uint32_t bytes = whole_blocks(first->segment_bytes / 2);
    if (first->segment_bytes <= least_bytes)
        return false;
    first->segment_bytes = bytes > least_bytes ? bytes : least_bytes;
    return true;
}

/* On a full disk, stored segments make room; the last one cannot, so the new segment is then created smaller, which is
 * how the last one becomes removable. */
static int create_segment(struct journal *journal, struct frame_header *first, uint32_t least_bytes, int *ret_fd,
                          struct err *err)
{
    int rc;
    char name[SEGMENT_NAME_SIZE];
    bool replaces = journal->chain.n > 0 && journal_last(journal)->seq == first->segment_seq;
    if (!replaces && faccessat(journal->dir_fd, segment_name(first->segment_seq, name), F_OK, 0) == 0)
        return err_set(err, "segment %s: a file of this name exists that does not belong to this journal", name);
    arc4random_buf(&first->nonce, sizeof(first->nonce));
    first->nonce |= 1;
    do {
        frame_seal(first, NULL);
        rc = segment_create(journal->dir_fd, first, ret_fd, err);
        journal->shortage = rc == SEGMENT_SHORT ? errno : 0;
    } while (disk_is_full(journal) && (append_drop_stored(journal) || halve(first, least_bytes)));
    return rc;
}

void append_remember_tail(struct journal *journal)
{
    struct stat st = {0};
    fstat(journal->fd, &st);
    journal->tail_dev = st.st_dev;
    journal->tail_inode = st.st_ino;
}

bool append_tail_is_usable(const struct journal *journal)
{
    struct stat st;
    char name[SEGMENT_NAME_SIZE];
    segment_name(journal_last(journal)->seq, name);
    return !journal_last(journal)->unreadable && fstatat(journal->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           st.st_dev == journal->tail_dev && st.st_ino == journal->tail_inode && st.st_nlink == 1;
}

static void append_to_segment(struct journal *journal, const struct frame_header *first, int fd)
{
    if (journal->fd >= 0)
        close(journal->fd);
    journal->fd = fd;
    append_remember_tail(journal);
    journal->tail_flags = first->flags;
    journal->tail_stored_seq = first->stored_seq;
    journal->zeroed = 0;
    bool replaces = journal->chain.n > 0 && journal_last(journal)->seq == first->segment_seq;
    struct segment *segment = replaces ? journal_last(journal) : chain_add(&journal->chain);
    *segment = (struct segment){
        .seq = first->segment_seq,
        .next_seq = first->segment_seq,
        .prev_checksum = first->prev_checksum,
        .nonce = first->nonce,
        .bytes = first->segment_bytes,
        .used = first->length,
        .first_wall_us = first->wall_us,
        .last_wall_us = first->wall_us,
    };
}

int append_failed(struct journal *journal, const struct err *err)
{
    journal->failed = true;
    if (err)
        journal->failure = *err;
    return -1;
}

/* Creates the next segment, or replaces the last one, which is empty, and appends to it. */
static int begin_segment(struct journal *journal, uint32_t bytes, uint32_t least_bytes, int64_t wall_us,
                         struct err *err)
{
    int fd = -1;
    struct frame_header first = header_of_pending(journal, FRAME_OPEN);
    first.segment_bytes = bytes;
    first.segment_seq = first.first_seq;
    first.wall_us = wall_us;
    int rc = create_segment(journal, &first, least_bytes, &fd, err);
    if (rc < 0)
        return append_failed(journal, err);
    journal->shortage_us = wall_us;
    if (rc == SEGMENT_SHORT)
        return JOURNAL_FULL;
    append_to_segment(journal, &first, fd);
    return JOURNAL_APPENDED;
}

/* Whether the last segment could be removed if there were another, so that a small one in its place would free
 * space. */
static bool last_is_in_the_way(const struct journal *journal)
{
    const struct segment *last = journal->chain.n > 0 ? journal_last(journal) : NULL;
    return last && last->bytes > SEGMENT_BYTES_LEAST && last->next_seq > last->seq && is_stored(journal, last);
}

int append_rotate(struct journal *journal, uint64_t need_bytes, int64_t wall_us, bool force, struct err *err)
{
    int64_t since_us = wall_us - journal->shortage_us;
    if (journal->shortage != 0 && !force && since_us >= 0 && since_us < SHORTAGE_PAUSE_US) {
        err_set(err, "cannot create a segment: %s", strerror(journal->shortage));
        return JOURNAL_FULL;
    }
    uint32_t bytes = segment_bytes(journal->max_size_bytes),
             least_bytes = whole_blocks(need_bytes + FRAME_BLOCK + APPEND_RESERVE_BYTES);
    if (least_bytes < SEGMENT_BYTES_LEAST)
        least_bytes = SEGMENT_BYTES_LEAST;
    if (bytes < least_bytes)
        bytes = least_bytes;
    if (!free_space(journal, bytes) && !force) {
        err_set(err, "journal.max_size reached by alerts not yet in the database");
        return JOURNAL_FULL;
    }
    int rc = begin_segment(journal, bytes, least_bytes, wall_us, err);
    if (rc != JOURNAL_FULL || !disk_is_full(journal) || least_bytes == SEGMENT_BYTES_LEAST ||
        !last_is_in_the_way(journal))
        return rc;
    rc = begin_segment(journal, SEGMENT_BYTES_LEAST, SEGMENT_BYTES_LEAST, wall_us, err);
    return rc == JOURNAL_APPENDED ? begin_segment(journal, bytes, least_bytes, wall_us, err) : rc;
}

/*
 * The first write to a preallocated block costs the file system a transaction of its own in the sync: 0.17 ms instead
 * of 0.11 ms on ext4. So a small frame also writes zeros for those after it; a large frame would write twice as much.
 */
static size_t zeros_ahead(const struct journal *journal, const struct frame_header *header)
{
    uint32_t end = header->offset + header->length, left = header->segment_bytes - end;
    if (end <= journal->zeroed || header->length > ZERO_AHEAD_BYTES / 4)
        return 0;
    return left < ZERO_AHEAD_BYTES ? left : ZERO_AHEAD_BYTES;
}

/* One write, one sync. */
static int write_frame(struct journal *journal, struct frame_header *header, struct err *err)
{
    static char zeros[ZERO_AHEAD_BYTES];
    struct segment *last = journal_last(journal);
    header->offset = last->used;
    header->nonce = last->nonce;
    header->segment_bytes = last->bytes;
    header->segment_seq = last->seq;
    frame_seal(header, (const struct frame_entry *)(const void *)journal->table.data);
    size_t ahead = zeros_ahead(journal, header),
           pad = header->length - 2 * frame_front_bytes(header) - header->record_bytes;
    struct iovec iov[] = {
        {header, sizeof(*header)},
        {journal->table.data, journal->table.len},
        {journal->records.data, journal->records.len},
        {zeros, pad},
        {journal->table.data, journal->table.len},
        {header, sizeof(*header)},
        {zeros, ahead},
    };
    int rc = segment_write(journal->fd, iov, ARRAY_LEN(iov), header->offset);
    rc = rc == 0 ? segment_sync(journal->fd) : rc;
    if (rc != 0) {
        char name[SEGMENT_NAME_SIZE];
        err_set(err, "segment %s: cannot be written: %s", segment_name(last->seq, name), strerror(errno));
        return append_failed(journal, err);
    }
    last->used += header->length;
    if (ahead > 0)
        journal->zeroed = last->used + (uint32_t)ahead;
    journal->tail_flags = header->flags;
    journal->tail_stored_seq = header->stored_seq;
    return 0;
}

int append_flush(struct journal *journal, struct err *err)
{
    if (journal->count == 0)
        return 0;
    struct frame_header header = header_of_pending(journal, 0);
    if (write_frame(journal, &header, err) != 0)
        return -1;
    struct segment *last = journal_last(journal);
    if (last->next_seq == last->seq)
        last->first_wall_us = header.wall_us;
    last->last_wall_us = header.wall_us;
    last->next_seq = journal->next_seq;
    last->records += journal->count;
    const struct frame_entry *table = (const struct frame_entry *)(const void *)journal->table.data;
    journal->prev_checksum = table[journal->count - 1].checksum;
    journal->synced_seq = journal->next_seq - 1;
    journal->count = 0;
    journal->table.len = journal->records.len = 0;
    return 0;
}

int append_empty_frame(struct journal *journal, uint16_t flags, struct err *err)
{
    struct frame_header header = header_of_pending(journal, flags);
    return write_frame(journal, &header, err);
}

/* Bytes of record i in the frame. */
static size_t bytes_in_frame(const struct journal_message *message, size_t i)
{
    size_t bytes = message->records[i].len;
    return i > 0 && message->shared_bytes > 0 ? bytes + sizeof(struct frame_shared) - message->shared_bytes : bytes;
}

/* The length of the pending frame with the message added. */
static uint64_t length_with(const struct journal *journal, const struct journal_message *message)
{
    size_t bytes = journal->records.len;
    for (size_t i = 0; i < message->n; i++)
        bytes += bytes_in_frame(message, i);
    return frame_length(journal->count + message->n, bytes);
}

static bool fits_segment(const struct journal *journal, uint64_t length)
{
    const struct segment *last = journal_last(journal);
    return length <= FRAME_BYTES_MAX && last->used + length + (uint64_t)APPEND_RESERVE_BYTES <= last->bytes;
}

/* As free_space(), but removes nothing. */
static bool could_free_space(const struct journal *journal, uint32_t bytes)
{
    uint64_t stays = 0;
    for (size_t i = 0; i < journal->chain.n; i++)
        stays += is_stored(journal, &journal->chain.segments[i]) ? 0 : journal->chain.segments[i].bytes;
    return stays + bytes <= journal->max_size_bytes;
}

/* Whether a record of this many bytes fits into the last segment, after what was appended and not written yet. */
static bool fits_record(const struct journal *journal, size_t bytes)
{
    return fits_segment(journal, frame_length(journal->count + UINT64_C(1), journal->records.len + bytes));
}

static int check_shortage(const struct journal *journal, int64_t wall_us, struct err *err)
{
    int64_t since_us = wall_us - journal->shortage_us;
    if (journal->shortage == 0 || since_us < 0 || since_us >= SHORTAGE_LASTS_US)
        return 0;
    return err_set(err, "cannot create a segment: %s", strerror(journal->shortage));
}

static int check_disk_space(const struct journal *journal, struct err *err)
{
    struct statvfs fs;
    if (fstatvfs(journal->dir_fd, &fs) != 0)
        return err_set(err, "cannot read the free space of the file system: %s", strerror(errno));
    uint64_t blocks = geteuid() == 0 ? fs.f_bfree : fs.f_bavail;
    return blocks * fs.f_frsize >= SEGMENT_BYTES_LEAST ? 0 : err_set(err, "the disk is full");
}

int journal_check_space(const struct journal *journal, int64_t wall_us, struct err *err)
{
    uint32_t bytes = segment_bytes(journal->max_size_bytes);
    if (journal->failed)
        return err_set(err, "the journal has failed earlier: %s", journal->failure.text);
    if (fits_record(journal, RECORD_PLAIN_MAX)) {
        if (fits_record(journal, RECORD_MAX) || check_shortage(journal, wall_us, err) == 0)
            return 0;
        return err_prefix(err, "alerts with images get RETRY");
    }
    if (!could_free_space(journal, bytes))
        return err_set(err, "journal.max_size reached by alerts not yet in the database");
    if (journal->chain.n > 1 && is_stored(journal, &journal->chain.segments[0]))
        return 0;
    return check_shortage(journal, wall_us, err) == 0 ? check_disk_space(journal, err) : -1;
}

_Static_assert(JOURNAL_MESSAGE_BYTES >= RECORD_MAX, "a record with the largest image is a message");
_Static_assert(JOURNAL_MESSAGE_BYTES + JOURNAL_MESSAGE_RECORDS * 64 + 2 * FRAME_BLOCK <= FRAME_BYTES_MAX,
               "a message is one frame at most");

static int check_message(const struct journal_message *message, struct err *err)
{
    size_t end = message->shared_offset + message->shared_bytes, bytes = 0;
    for (size_t i = 0; i < message->n; i++) {
        if (message->records[i].len > RECORD_MAX)
            return err_set(err, "record too large: %zu bytes (at most %d)", message->records[i].len, RECORD_MAX);
        if (message->records[i].len < end)
            return err_set(err, "record too short: %zu bytes (its shared bytes end at %zu)", message->records[i].len,
                           end);
        bytes += bytes_in_frame(message, i);
    }
    if (message->n > JOURNAL_MESSAGE_RECORDS || bytes > JOURNAL_MESSAGE_BYTES)
        return err_set(err, "message too large: %zu records, %zu bytes (at most %d and %d)", message->n, bytes,
                       JOURNAL_MESSAGE_RECORDS, JOURNAL_MESSAGE_BYTES);
    return 0;
}

static void add_record(struct journal *journal, const struct journal_message *message, size_t i)
{
    uint64_t nonce = journal_last(journal)->nonce;
    struct str record = message->records[i];
    size_t at = journal->records.len, end = message->shared_offset + message->shared_bytes;
    uint32_t length = 0;
    if (i > 0 && message->shared_bytes > 0) {
        const char *bytes = message->records[0].p + message->shared_offset;
        struct frame_shared shared = {frame_record_checksum(nonce, bytes, (uint32_t)message->shared_bytes),
                                      (uint32_t)message->shared_offset, (uint32_t)message->shared_bytes};
        assert(memcmp(bytes, record.p + message->shared_offset, message->shared_bytes) == 0);
        buf_append(&journal->records, &shared, sizeof(shared));
        buf_append(&journal->records, record.p, message->shared_offset);
        record = (struct str){record.p + end, record.len - end};
        length = ENTRY_SHARES;
    }
    buf_append_str(&journal->records, record);
    length |= (uint32_t)(journal->records.len - at);
    struct frame_entry entry = {frame_record_checksum(nonce, journal->records.data + at, length), length};
    buf_append(&journal->table, &entry, sizeof(entry));
    journal->count++;
    journal->next_seq++;
}

int journal_append_message(struct journal *journal, const struct journal_message *message, int64_t wall_us,
                           uint64_t *ret_seq, struct err *err)
{
    if (journal->failed)
        return err_set(err, "the journal has failed earlier: %s", journal->failure.text);
    if (check_message(message, err) != 0)
        return -1;
    if (!fits_segment(journal, length_with(journal, message)) && append_flush(journal, err) != 0)
        return -1;
    uint64_t length = length_with(journal, message);
    /* A link created while a frame is pending is noticed only after it. That is harmless: a daemon that opens the link
     * copies the segment before it writes. */
    if (!fits_segment(journal, length) || (journal->count == 0 && !append_tail_is_usable(journal))) {
        int rc = append_rotate(journal, length, wall_us, false, err);
        if (rc != JOURNAL_APPENDED)
            return rc;
    }
    for (size_t i = 0; i < message->n; i++)
        add_record(journal, message, i);
    journal->wall_us = wall_us;
    *ret_seq = journal->next_seq - 1;
    return JOURNAL_APPENDED;
}

int journal_append(struct journal *journal, struct str record, int64_t wall_us, uint64_t *ret_seq, struct err *err)
{
    return journal_append_message(journal, &(struct journal_message){.records = &record, .n = 1}, wall_us, ret_seq,
                                  err);
}

int journal_sync(struct journal *journal, struct err *err)
{
    if (journal->failed)
        return err_set(err, "the journal has failed earlier: %s", journal->failure.text);
    return append_flush(journal, err);
}
