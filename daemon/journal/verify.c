#include "journal/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* One segment while it is checked. */
struct walk {
    struct check *check;
    struct segment *segment;
    int fd;
    bool repair;
    bool last;         /* no later segment proves that its tail was synced */
    uint64_t next_seq; /* first number of the following segment, if any */
    uint32_t limit;    /* nothing from here on is examined */
    uint32_t tail;     /* offset of the last frame of the last segment; UINT32_MAX elsewhere */
    struct window window;
    struct frame_view view;
    struct buf marked; /* the table of the current frame, damaged records marked */
};

static int write_at(struct walk *walk, const void *bytes, size_t len, uint32_t offset)
{
    struct iovec iov = {(void *)bytes, len};
    return segment_write(walk->fd, &iov, 1, offset);
}

/* A repair may fail in a segment that is only read; the last one, which is appended to, must be repaired. */
static int require_repair(const struct walk *walk, int rc, struct err *err)
{
    if (rc == 0 || !walk->last)
        return 0;
    char name[SEGMENT_NAME_SIZE];
    return err_set(err, "segment %s: cannot repair damage: %s", segment_name(walk->segment->seq, name),
                   strerror(errno));
}

static bool report_damage(struct walk *walk, enum damage_kind kind, uint32_t offset, uint32_t length,
                          uint64_t first_seq, uint64_t count, bool synced)
{
    struct damage damage = {kind, walk->segment->seq, offset, length, first_seq, count, synced};
    return walk->check->on_damage(walk->check->ctx, walk->fd, &damage);
}

/* Makes [from, until) a gap frame: a header at each end. What a neighbour's header says about the journal applies. */
static int write_gap(struct walk *walk, uint32_t from, uint32_t until, uint64_t count,
                     const struct frame_header *neighbour)
{
    struct frame_header gap = *neighbour;
    gap.flags = FRAME_GAP;
    gap.count = (uint32_t)(count < UINT32_MAX ? count : UINT32_MAX);
    gap.offset = from;
    gap.length = until - from;
    gap.record_bytes = 0;
    gap.nonce = walk->segment->nonce;
    gap.segment_seq = walk->segment->seq;
    gap.segment_bytes = walk->segment->bytes;
    gap.first_seq = walk->segment->next_seq;
    gap.prev_checksum = walk->check->last_checksum;
    frame_seal(&gap, NULL);
    if (write_at(walk, &gap, sizeof(gap), from) != 0 ||
        write_at(walk, &gap, sizeof(gap), until - (uint32_t)sizeof(gap)) != 0)
        return -1;
    walk->segment->next_seq += gap.count;
    walk->check->tail = gap;
    return segment_sync(walk->fd);
}

static int write_zeros(struct walk *walk, uint32_t from, uint32_t until)
{
    static const char zeros[1 << 16];
    for (uint32_t part; from < until; from += part) {
        part = until - from < sizeof(zeros) ? until - from : (uint32_t)sizeof(zeros);
        if (write_at(walk, zeros, part, from) != 0)
            return -1;
    }
    return segment_sync(walk->fd);
}

/* Bytes before a later frame: they were synced, and everything in them is lost. */
static int lose_region(struct walk *walk, uint32_t from, uint32_t until, uint64_t next_seq,
                       const struct frame_header *neighbour, struct err *err)
{
    uint64_t count = next_seq - walk->segment->next_seq;
    report_damage(walk, DAMAGE_REGION, from, until - from, walk->segment->next_seq, count, true);
    walk->segment->used = until;
    if (walk->repair)
        return require_repair(walk, write_gap(walk, from, until, count, neighbour), err);
    return 0;
}

/* Reports runs of damaged records, marks them in `marked`, counts the others. Returns whether any was damaged. */
static bool check_records(struct walk *walk, bool synced)
{
    const struct frame_view *view = &walk->view;
    /* With both ends on the disk all of the frame was written, whether or not its sync returned. */
    uint32_t mark = synced || (view->front_ok && view->rear_ok) ? ENTRY_SALVAGED : ENTRY_TORN;
    const struct frame_header *header = &view->header;
    walk->marked.len = 0;
    buf_append(&walk->marked, view->table, header->count * sizeof(*view->table));
    struct frame_entry *marked = (struct frame_entry *)(void *)walk->marked.data;
    const char *record = view->records, *bad = NULL;
    uint32_t bad_from = 0;
    bool any = false;
    for (uint32_t i = 0; i <= header->count; i++) {
        bool ends = i == header->count || marked[i].length & ENTRY_DAMAGED || frame_record_ok(view, i, record);
        if (ends && bad) {
            report_damage(walk, DAMAGE_RECORDS, header->offset + (uint32_t)(bad - view->bytes),
                          (uint32_t)(record - bad), header->first_seq + bad_from, i - bad_from, synced);
            bad = NULL;
        }
        if (i == header->count)
            break;
        if (!ends) {
            bad_from = bad ? bad_from : i;
            bad = bad ? bad : record;
            any = true;
        }
        walk->segment->records += ends && !(marked[i].length & ENTRY_DAMAGED);
        record += frame_entry_bytes(marked[i]);
        marked[i].length |= ends ? 0 : mark;
        if (!(marked[i].length & ENTRY_TORN))
            walk->check->last_seq = header->first_seq + i;
    }
    return any;
}

static void report_copies(struct walk *walk, bool synced)
{
    const struct frame_view *view = &walk->view;
    uint32_t begin = view->header.offset, end = begin + view->header.length;
    uint32_t ends = frame_front_bytes(&view->header), records = ends + view->header.record_bytes;
    if (!view->front_ok)
        report_damage(walk, DAMAGE_COPY, begin, ends, view->header.first_seq, 0, synced);
    if (!view->padding_ok)
        report_damage(walk, DAMAGE_COPY, begin + records, end - ends - begin - records, view->header.first_seq, 0,
                      synced);
    if (!view->rear_ok)
        report_damage(walk, DAMAGE_COPY, end - ends, ends, view->header.first_seq, 0, synced);
}

/* One end after the other, so that one of them is valid whenever this is interrupted. */
static int rewrite_frame(struct walk *walk)
{
    struct frame_view *view = &walk->view;
    view->table = (const struct frame_entry *)(const void *)walk->marked.data;
    frame_seal(&view->header, view->table);
    frame_compose(view);
    uint32_t ends = frame_front_bytes(&view->header), rear = ends + view->header.record_bytes;
    if (write_at(walk, view->bytes, ends, view->header.offset) != 0 || segment_sync(walk->fd) != 0)
        return -1;
    if (write_at(walk, view->bytes + rear, view->header.length - rear, view->header.offset + rear) != 0)
        return -1;
    return segment_sync(walk->fd);
}

/* A frame torn before any of its records reached the disk is not worth keeping. */
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

static void extend_segment(struct walk *walk, const struct frame_header *header, uint64_t last_checksum)
{
    struct segment *segment = walk->segment;
    if (header->offset == 0 && header->first_seq == segment->seq)
        segment->prev_checksum = header->prev_checksum;
    if (segment->used == 0 || segment->next_seq == segment->seq)
        segment->first_wall_us = segment->last_wall_us = header->wall_us;
    if (header->count > 0) {
        walk->check->last_checksum = last_checksum;
        segment->last_wall_us = header->wall_us;
    }
    segment->next_seq = header->first_seq + header->count;
    segment->used = header->offset + header->length;
    walk->check->tail = *header;
}

static int check_gap(struct walk *walk, const struct frame_header *header, struct err *err)
{
    uint32_t rear = header->offset + header->length - (uint32_t)sizeof(*header);
    uint32_t places[] = {header->offset, rear};
    extend_segment(walk, header, 0);
    for (int i = 0; i < 2; i++) {
        const char *copy = window_get(&walk->window, places[i], sizeof(*header), walk->limit, err);
        if (!copy)
            return -1;
        if (memcmp(copy, header, sizeof(*header)) == 0)
            continue;
        report_damage(walk, DAMAGE_COPY, places[i], sizeof(*header), header->first_seq, 0, true);
        if (walk->repair) {
            int rc = write_at(walk, header, sizeof(*header), places[i]) != 0 ? -1 : segment_sync(walk->fd);
            if (require_repair(walk, rc, err) != 0)
                return -1;
        }
    }
    return 0;
}

/* 1: the frame counts, 0: it was torn off and does not, -1 with err. */
static int check_frame(struct walk *walk, const struct frame_header *header, struct err *err)
{
    bool synced = header->offset != walk->tail;
    if (header->flags & FRAME_GAP)
        return check_gap(walk, header, err) == 0 ? 1 : -1;
    char *bytes = window_get(&walk->window, header->offset, header->length, walk->limit, err);
    if (!bytes)
        return -1;
    struct frame_view *view = &walk->view;
    frame_view_open(view, bytes, header);
    if (!synced && walk->segment->used > 0 && is_torn_off(view))
        return 0;
    bool damaged = check_records(walk, synced);
    report_copies(walk, synced);
    uint64_t last_checksum = view->header.count ? view->table[view->header.count - 1].checksum : 0;
    if (walk->repair && (damaged || !view->front_ok || !view->rear_ok || !view->padding_ok) &&
        require_repair(walk, rewrite_frame(walk), err) != 0)
        return -1;
    extend_segment(walk, &view->header, last_checksum);
    return 1;
}

/* Everything after the last frame must be zeros. */
static int check_remainder(struct walk *walk, struct err *err)
{
    uint32_t from, until, used = walk->segment->used;
    int rc = segment_find_bytes(&walk->window, used, walk->limit, &from, &until, err);
    if (rc <= 0)
        return rc;
    if (!walk->last) {
        bool lost = walk->next_seq > walk->segment->next_seq;
        return lose_region(walk, used, until, lost ? walk->next_seq : walk->segment->next_seq, &walk->check->tail, err);
    }
    bool kept = report_damage(walk, DAMAGE_REGION, from, until - from, walk->segment->next_seq, 0, false);
    if (!walk->repair)
        return 0;
    if (kept)
        return require_repair(walk, write_zeros(walk, from, until), err);
    walk->segment->used = until;
    return require_repair(walk, write_gap(walk, used, until, 0, &walk->check->tail), err);
}

/* Finds the last frame, the only one that may never have been synced. */
static int find_tail(struct walk *walk, struct err *err)
{
    struct frame_header header;
    int rc;
    uint32_t at = 0;
    uint64_t seq = walk->segment->seq, nonce = walk->segment->nonce;
    while ((rc = segment_find_frame(&walk->window, nonce, seq, at, walk->limit, &header, err)) == 1) {
        walk->tail = header.offset;
        at = header.offset + header.length;
        seq = header.first_seq + header.count;
    }
    if (walk->check->live)
        walk->limit = at;
    return rc;
}

static int walk_segment(struct walk *walk, struct err *err)
{
    struct segment *segment = walk->segment;
    struct frame_header header;
    int rc;
    segment->next_seq = segment->seq;
    if (walk->last && find_tail(walk, err) != 0)
        return -1;
    while ((rc = segment_find_frame(&walk->window, segment->nonce, segment->next_seq, segment->used, walk->limit,
                                    &header, err)) == 1) {
        if (header.offset > segment->used &&
            lose_region(walk, segment->used, header.offset, header.first_seq, &header, err) != 0)
            return -1;
        rc = check_frame(walk, &header, err);
        if (rc != 1)
            break;
    }
    return rc < 0 ? -1 : check_remainder(walk, err);
}

/* -1 with err, and with errno if the file cannot be opened, else errno is 0. */
static int walk_file(struct walk *walk, int dir_fd, struct err *err)
{
    struct stat st;
    char name[SEGMENT_NAME_SIZE];
    segment_name(walk->segment->seq, name);
    walk->fd = openat(dir_fd, name, (walk->check->repair ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    if (walk->fd < 0) {
        int error = errno;
        err_set(err, "segment %s: cannot be opened: %s", name, strerror(error));
        errno = error;
        return -1;
    }
    /* A file with another name too is somebody's copy and is not changed. The last segment has its own file by now. */
    walk->repair = walk->check->repair && fstat(walk->fd, &st) == 0 && st.st_nlink == 1;
    walk->window.salvage = true;
    window_reset(&walk->window, walk->fd);
    int rc = walk_segment(walk, err);
    walk->segment->unreadable = walk->window.salvaged;
    window_free(&walk->window);
    frame_view_free(&walk->view);
    buf_free(&walk->marked);
    close(walk->fd);
    errno = 0;
    return rc;
}

/* 1: checked, 0: it has disappeared, -1 with err. */
static int check_segment(struct check *check, struct chain *chain, size_t i, int dir_fd, struct err *err)
{
    struct walk walk = {.check = check, .segment = &chain->segments[i], .tail = UINT32_MAX};
    walk.last = i + 1 == chain->n;
    walk.next_seq = walk.last ? 0 : chain->segments[i + 1].seq;
    walk.limit = walk.segment->bytes;
    int rc = walk_file(&walk, dir_fd, err);
    if (rc != 0)
        return errno == ENOENT ? 0 : -1;
    return 1;
}

int check_synced(struct check *check, const struct segment *segment, int dir_fd, struct err *err)
{
    struct segment copy = {.seq = segment->seq, .nonce = segment->nonce, .bytes = segment->bytes};
    struct walk walk = {.check = check, .segment = &copy, .tail = UINT32_MAX};
    walk.next_seq = segment->next_seq;
    walk.limit = segment->used;
    return walk_file(&walk, dir_fd, err);
}

int check_chain(struct check *check, struct chain *chain, int dir_fd, struct err *err)
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
