#include "journal/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The check of one segment. */
struct segment_scan {
    struct chain_check *check;
    struct segment *segment;
    int fd;
    bool repair;
    bool last;            /* no later segment proves that its tail was synced */
    uint64_t next_seq;    /* first number of the following segment, if any */
    uint32_t limit;       /* nothing from this offset on is examined */
    uint32_t tail;        /* offset of the last frame of the last segment; UINT32_MAX elsewhere */
    struct window window; /* salvages: it always gives bytes */
    struct frame_view view;
    struct buf marked; /* the table of the current frame, damaged records marked */
};

static int write_at(struct segment_scan *scan, const void *bytes, size_t len, uint32_t offset)
{
    struct iovec iov = {(void *)bytes, len};
    return segment_write(scan->fd, &iov, 1, offset);
}

/* A repair may fail in a segment that is only read; the last one, which is appended to, must be repaired. */
static int require_repair(const struct segment_scan *scan, int rc, struct err *err)
{
    if (rc == 0 || !scan->last)
        return 0;
    char name[SEGMENT_NAME_SIZE];
    return err_set(err, "segment %s: cannot repair damage: %s", segment_name(scan->segment->seq, name),
                   strerror(errno));
}

static bool report_damage(struct segment_scan *scan, enum damage_kind kind, uint32_t offset, uint32_t length,
                          uint64_t first_seq, uint64_t count, bool synced)
{
    struct damage damage = {kind, scan->segment->seq, offset, length, first_seq, count, synced};
    return scan->check->on_damage(scan->check->ctx, scan->fd, &damage);
}

/* Writes a gap frame over [from, until): a header at each end, with the fields of the journal from a neighbour's. */
static int write_gap(struct segment_scan *scan, uint32_t from, uint32_t until, uint64_t count,
                     const struct frame_header *neighbour)
{
    struct frame_header gap = *neighbour;
    gap.flags = FRAME_GAP;
    gap.count = (uint32_t)(count < UINT32_MAX ? count : UINT32_MAX);
    gap.offset = from;
    gap.length = until - from;
    gap.record_bytes = 0;
    gap.nonce = scan->segment->nonce;
    gap.segment_seq = scan->segment->seq;
    gap.segment_bytes = scan->segment->bytes;
    gap.first_seq = scan->segment->next_seq;
    gap.prev_checksum = scan->check->last_checksum;
    frame_seal(&gap, NULL);
    if (write_at(scan, &gap, sizeof(gap), from) != 0 ||
        write_at(scan, &gap, sizeof(gap), until - (uint32_t)sizeof(gap)) != 0)
        return -1;
    scan->segment->next_seq += gap.count;
    scan->check->tail = gap;
    return segment_sync(scan->fd);
}

static int write_zeros(struct segment_scan *scan, uint32_t from, uint32_t until)
{
    static const char zeros[1 << 16];
    for (uint32_t part; from < until; from += part) {
        part = until - from < sizeof(zeros) ? until - from : (uint32_t)sizeof(zeros);
        if (write_at(scan, zeros, part, from) != 0)
            return -1;
    }
    return segment_sync(scan->fd);
}

/* For bytes before a later frame, which proves that they were synced: everything in them is lost. */
static int lose_region(struct segment_scan *scan, uint32_t from, uint32_t until, uint64_t next_seq,
                       const struct frame_header *neighbour, struct err *err)
{
    uint64_t count = next_seq - scan->segment->next_seq;
    report_damage(scan, DAMAGE_REGION, from, until - from, scan->segment->next_seq, count, true);
    scan->segment->used = until;
    if (scan->repair)
        return require_repair(scan, write_gap(scan, from, until, count, neighbour), err);
    return 0;
}

/* Marks the damaged records in `marked`, counts the others. Returns whether any was damaged, apart from those that an
 * earlier recovery has marked. */
static bool mark_damaged(struct segment_scan *scan, bool synced)
{
    const struct frame_view *view = &scan->view;
    /* If both ends are on disk the whole frame was written, whether or not its sync returned. */
    uint32_t mark = synced || (view->front_ok && view->rear_ok) ? ENTRY_SALVAGED : ENTRY_TORN;
    scan->marked.len = 0;
    buf_append(&scan->marked, view->table, view->header.count * sizeof(*view->table));
    struct frame_entry *marked = (struct frame_entry *)(void *)scan->marked.data;
    const char *record = view->records;
    bool any = false;
    for (uint32_t i = 0; i < view->header.count; record += frame_entry_bytes(marked[i++])) {
        if (!(marked[i].length & ENTRY_DAMAGED)) {
            bool ok = frame_record_ok(view, i, record);
            scan->segment->records += ok;
            marked[i].length |= ok ? 0 : mark;
            any |= !ok;
        }
        if (!(marked[i].length & ENTRY_TORN))
            scan->check->last_seq = view->header.first_seq + i;
    }
    return any;
}

/* Reports each run of records that mark_damaged() has marked. */
static void report_runs(struct segment_scan *scan, bool synced)
{
    const struct frame_view *view = &scan->view;
    const struct frame_entry *marked = (const struct frame_entry *)(const void *)scan->marked.data;
    uint32_t at = view->header.offset + frame_front_bytes(&view->header);
    for (uint32_t i = 0; i < view->header.count;) {
        uint32_t from = i, from_at = at;
        for (; i < view->header.count && marked[i].length != view->table[i].length; i++)
            at += frame_entry_bytes(marked[i]);
        if (i > from)
            report_damage(scan, DAMAGE_RECORDS, from_at, at - from_at, view->header.first_seq + from, i - from, synced);
        else
            at += frame_entry_bytes(marked[i++]);
    }
}

static void report_copies(struct segment_scan *scan, bool synced)
{
    const struct frame_view *view = &scan->view;
    uint32_t begin = view->header.offset, end = begin + view->header.length;
    uint32_t ends = frame_front_bytes(&view->header), records = ends + view->header.record_bytes;
    if (!view->front_ok)
        report_damage(scan, DAMAGE_COPY, begin, ends, view->header.first_seq, 0, synced);
    if (!view->padding_ok)
        report_damage(scan, DAMAGE_COPY, begin + records, end - ends - begin - records, view->header.first_seq, 0,
                      synced);
    if (!view->rear_ok)
        report_damage(scan, DAMAGE_COPY, end - ends, ends, view->header.first_seq, 0, synced);
}

/* Rewrites one end after the other, so that one is valid whenever this is interrupted. */
static int rewrite_frame(struct segment_scan *scan)
{
    struct frame_view *view = &scan->view;
    view->table = (const struct frame_entry *)(const void *)scan->marked.data;
    frame_seal(&view->header, view->table);
    frame_compose(view);
    uint32_t ends = frame_front_bytes(&view->header), rear = ends + view->header.record_bytes;
    if (write_at(scan, view->bytes, ends, view->header.offset) != 0 || segment_sync(scan->fd) != 0)
        return -1;
    if (write_at(scan, view->bytes + rear, view->header.length - rear, view->header.offset + rear) != 0)
        return -1;
    return segment_sync(scan->fd);
}

/* A torn frame without any of its records on the disk is not worth keeping. */
static bool is_torn_off(const struct frame_view *view)
{
    const char *record = view->records;
    if (view->front_ok && view->rear_ok)
        return false;
    for (uint32_t i = 0; i < view->header.count; i++) {
        if (view->table[i].length & ENTRY_DAMAGED || frame_record_ok(view, i, record))
            return false;
        record += frame_entry_bytes(view->table[i]);
    }
    return view->header.count > 0;
}

static void extend_segment(struct segment_scan *scan, const struct frame_header *header, uint64_t last_checksum)
{
    struct segment *segment = scan->segment;
    if (header->offset == 0 && header->first_seq == segment->seq)
        segment->prev_checksum = header->prev_checksum;
    if (segment->used == 0 || segment->next_seq == segment->seq)
        segment->first_wall_us = segment->last_wall_us = header->wall_us;
    if (header->count > 0) {
        scan->check->last_checksum = last_checksum;
        segment->last_wall_us = header->wall_us;
    }
    segment->next_seq = header->first_seq + header->count;
    segment->used = header->offset + header->length;
    scan->check->tail = *header;
}

static int check_gap(struct segment_scan *scan, const struct frame_header *header, struct err *err)
{
    uint32_t rear = header->offset + header->length - (uint32_t)sizeof(*header);
    uint32_t places[] = {header->offset, rear};
    extend_segment(scan, header, 0);
    for (int i = 0; i < 2; i++) {
        const char *copy = window_get(&scan->window, places[i], sizeof(*header), scan->limit, NULL);
        if (memcmp(copy, header, sizeof(*header)) == 0)
            continue;
        report_damage(scan, DAMAGE_COPY, places[i], sizeof(*header), header->first_seq, 0, true);
        if (scan->repair) {
            int rc = write_at(scan, header, sizeof(*header), places[i]) != 0 ? -1 : segment_sync(scan->fd);
            if (require_repair(scan, rc, err) != 0)
                return -1;
        }
    }
    return 0;
}

/* 1: the frame counts, 0: it is torn and has no records, -1 with err. */
static int check_frame(struct segment_scan *scan, const struct frame_header *header, struct err *err)
{
    bool synced = header->offset != scan->tail;
    if (header->flags & FRAME_GAP)
        return check_gap(scan, header, err) == 0 ? 1 : -1;
    char *bytes = window_get(&scan->window, header->offset, header->length, scan->limit, NULL);
    struct frame_view *view = &scan->view;
    frame_view_open(view, bytes, header);
    if (!synced && scan->segment->used > 0 && is_torn_off(view))
        return 0;
    bool damaged = mark_damaged(scan, synced);
    report_runs(scan, synced);
    report_copies(scan, synced);
    uint64_t last_checksum = view->header.count ? view->table[view->header.count - 1].checksum : 0;
    if (scan->repair && (damaged || !view->front_ok || !view->rear_ok || !view->padding_ok) &&
        require_repair(scan, rewrite_frame(scan), err) != 0)
        return -1;
    extend_segment(scan, &view->header, last_checksum);
    return 1;
}

/* Everything after the last frame must be zeros. */
static int check_remainder(struct segment_scan *scan, struct err *err)
{
    uint32_t from, until, used = scan->segment->used;
    if (!segment_find_bytes(&scan->window, used, scan->limit, &from, &until))
        return 0;
    if (!scan->last) {
        bool lost = scan->next_seq > scan->segment->next_seq;
        return lose_region(scan, used, until, lost ? scan->next_seq : scan->segment->next_seq, &scan->check->tail, err);
    }
    bool kept = report_damage(scan, DAMAGE_REGION, from, until - from, scan->segment->next_seq, 0, false);
    if (!scan->repair)
        return 0;
    if (kept)
        return require_repair(scan, write_zeros(scan, from, until), err);
    scan->segment->used = until;
    return require_repair(scan, write_gap(scan, used, until, 0, &scan->check->tail), err);
}

/* Finds the last frame, the only one that may never have been synced. */
static void find_tail(struct segment_scan *scan)
{
    struct frame_header header;
    uint32_t at = 0;
    uint64_t seq = scan->segment->seq, nonce = scan->segment->nonce;
    while (segment_find_frame(&scan->window, nonce, seq, at, scan->limit, &header, NULL) == 1) {
        scan->tail = header.offset;
        at = header.offset + header.length;
        seq = header.first_seq + header.count;
    }
    if (scan->check->live)
        scan->limit = at;
}

static int scan_segment(struct segment_scan *scan, struct err *err)
{
    struct segment *segment = scan->segment;
    struct frame_header header;
    int rc = 1;
    segment->next_seq = segment->seq;
    if (scan->last)
        find_tail(scan);
    while (rc == 1 && segment_find_frame(&scan->window, segment->nonce, segment->next_seq, segment->used, scan->limit,
                                         &header, NULL) == 1) {
        if (header.offset > segment->used &&
            lose_region(scan, segment->used, header.offset, header.first_seq, &header, err) != 0)
            return -1;
        rc = check_frame(scan, &header, err);
    }
    return rc < 0 ? -1 : check_remainder(scan, err);
}

/* -1 with err. ret_open_error: errno if the file cannot be opened, else 0. */
static int scan_file(struct segment_scan *scan, int dir_fd, int *ret_open_error, struct err *err)
{
    struct stat st;
    char name[SEGMENT_NAME_SIZE];
    segment_name(scan->segment->seq, name);
    scan->fd = openat(dir_fd, name, (scan->check->repair ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    *ret_open_error = scan->fd < 0 ? errno : 0;
    if (scan->fd < 0)
        return err_set(err, "segment %s: cannot be opened: %s", name, strerror(*ret_open_error));
    /* A file with a second hard link is also part of a copy and is not changed. Recovery has already given the last
     * segment a file of its own. */
    scan->repair = scan->check->repair && fstat(scan->fd, &st) == 0 && st.st_nlink == 1;
    scan->window.salvage = true;
    window_reset(&scan->window, scan->fd);
    int rc = scan_segment(scan, err);
    scan->segment->unreadable = scan->window.salvaged;
    window_free(&scan->window);
    frame_view_free(&scan->view);
    buf_free(&scan->marked);
    close(scan->fd);
    return rc;
}

/* 1: checked, 0: it has disappeared, -1 with err. */
static int check_segment(struct chain_check *check, struct chain *chain, size_t i, int dir_fd, struct err *err)
{
    struct segment_scan scan = {.check = check, .segment = &chain->segments[i], .tail = UINT32_MAX};
    scan.last = i + 1 == chain->n;
    scan.next_seq = scan.last ? 0 : chain->segments[i + 1].seq;
    scan.limit = scan.segment->bytes;
    int open_error, rc = scan_file(&scan, dir_fd, &open_error, err);
    if (rc != 0)
        return open_error == ENOENT ? 0 : -1;
    return 1;
}

int verify_synced(struct chain_check *check, const struct segment *segment, int dir_fd, int *ret_open_error,
                  struct err *err)
{
    struct segment copy = {.seq = segment->seq, .nonce = segment->nonce, .bytes = segment->bytes};
    struct segment_scan scan = {.check = check, .segment = &copy, .tail = UINT32_MAX};
    scan.next_seq = segment->next_seq;
    scan.limit = segment->used;
    return scan_file(&scan, dir_fd, ret_open_error, err);
}

int verify_chain(struct chain_check *check, struct chain *chain, int dir_fd, struct err *err)
{
    uint64_t next_seq = 0;
    check->last_seq = chain->n > 0 ? chain->segments[0].seq - 1 : 0;
    for (size_t i = 0; i < chain->n;) {
        char name[SEGMENT_NAME_SIZE];
        bool taken = chain->segments[i].seq < next_seq;
        if (taken)
            chain_add_foreign(chain, segment_name(chain->segments[i].seq, name),
                              "another segment has the same numbers");
        int rc = taken ? 0 : check_segment(check, chain, i, dir_fd, err);
        if (rc < 0)
            return -1;
        if (rc == 0)
            chain_remove(chain, i);
        else
            next_seq = chain->segments[i++].next_seq;
        if (check->on_progress)
            check->on_progress(check->ctx, i, chain->n);
    }
    return 0;
}
