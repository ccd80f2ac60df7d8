#include "journal/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "model/record.h"

/* How many of the bytes without a recognisable frame are delivered, with the first of their numbers. */
#define LOST_BYTES_MAX (UINT32_C(64) << 10)

static void close_segment(struct reader *reader)
{
    if (reader->fd >= 0)
        close(reader->fd);
    reader->fd = -1;
    reader->in_frame = false;
    reader->lost_until = reader->resume_seq = 0;
}

void reader_free(struct reader *reader)
{
    close_segment(reader);
    window_free(&reader->window);
    frame_view_free(&reader->view);
}

/* -1 with err: it cannot be opened. If it has been given up and its file is damaged that is no failure: no segment is
 * open then. */
static int open_segment(struct reader *reader, const struct segment *segment, struct err *err)
{
    char name[SEGMENT_NAME_SIZE];
    close_segment(reader);
    reader->fd = openat(reader->dir_fd, segment_name(segment->seq, name), O_RDONLY | O_CLOEXEC);
    if (reader->fd < 0 && segment->unreadable && segment_error_is_damage(errno))
        return 0;
    if (reader->fd < 0)
        return err_set(err, "segment %s: cannot be opened: %s", name, strerror(errno));
    reader->nonce = segment->nonce;
    reader->offset = 0;
    reader->window.salvage = segment->unreadable;
    window_reset(&reader->window, reader->fd);
    return 0;
}

static void skip_record(struct reader *reader)
{
    struct frame_entry entry = reader->view.table[reader->index++];
    uint32_t len = frame_entry_bytes(entry);
    if (!(entry.length & ENTRY_SHARES))
        reader->whole = (struct str){reader->view.records + reader->record, len};
    reader->record += len;
}

static int enter_frame(struct reader *reader, const struct frame_header *header, struct err *err)
{
    char *bytes = window_get(&reader->window, header->offset, header->length, header->offset + header->length, err);
    if (!bytes)
        return -1;
    frame_view_open(&reader->view, bytes, header);
    reader->index = reader->record = 0;
    reader->whole = (struct str){NULL, 0};
    while (reader->index < reader->view.header.count &&
           reader->view.header.first_seq + reader->index < reader->next_seq)
        skip_record(reader);
    if (reader->next_seq < reader->view.header.first_seq)
        reader->next_seq = reader->view.header.first_seq;
    reader->offset = header->offset;
    reader->in_frame = true;
    return 0;
}

static void set_lost_range(struct reader *reader, uint32_t offset, uint32_t length, uint64_t until)
{
    reader->lost_until = until;
    reader->lost_offset = offset;
    reader->lost_length = length < LOST_BYTES_MAX ? length : LOST_BYTES_MAX;
}

/* Goes to the next frame of this segment that has a number to read. 1: in a frame, or there is a lost range to report;
 * 0: the end of the segment. */
static int next_frame(struct reader *reader, const struct segment *segment, struct err *err)
{
    struct frame_header header;
    while (reader->offset < segment->used) {
        uint32_t from = reader->offset;
        int rc = segment_find_frame(&reader->window, segment->nonce, segment->seq, from, segment->used, &header, err);
        if (rc < 0)
            return -1;
        uint64_t known_until = rc == 0 ? segment->next_seq : header.first_seq;
        reader->offset = rc == 0 ? segment->used : header.offset;
        if (reader->offset > from && reader->next_seq < known_until) {
            set_lost_range(reader, from, reader->offset - from, known_until);
            return 1;
        }
        if (rc == 0)
            return 0;
        uint64_t until = header.first_seq + header.count;
        bool gap = header.flags & FRAME_GAP;
        if (!gap && reader->next_seq < until)
            return enter_frame(reader, &header, err) == 0 ? 1 : -1;
        if (gap && reader->next_seq < until)
            reader->next_seq = until;
        reader->offset = header.offset + header.length;
    }
    return 0;
}

/* 1: there is something to read at next_seq, 0: not yet, -1 with err. */
static int advance(struct reader *reader, struct err *err)
{
    const struct segment *segment;
    while ((segment = chain_find(reader->chain, reader->next_seq))) {
        bool opened = reader->fd >= 0 && reader->nonce == segment->nonce;
        if (!opened && open_segment(reader, segment, err) != 0)
            return -1;
        if (reader->next_seq < segment->seq)
            reader->next_seq = segment->seq;
        if (reader->fd < 0) {
            set_lost_range(reader, 0, 0, segment->next_seq);
            return 1;
        }
        int rc = next_frame(reader, segment, err);
        if (rc < 0) {
            char name[SEGMENT_NAME_SIZE];
            return err_prefix(err, "segment %s", segment_name(segment->seq, name));
        }
        if (rc > 0)
            return rc;
        reader->next_seq = segment->next_seq;
    }
    return 0;
}

static void seek(struct reader *reader, uint64_t seq)
{
    close_segment(reader);
    reader->next_seq = seq;
}

/* A record that shares nothing has only a front. */
struct record_bytes {
    struct str front, shared, rear;
    bool lost; /* the shared bytes are damaged: spaces replace them */
};

/* Appends a row, its bytes after those of the row before; point_rows() fills in where they are. */
static void add_row(struct batch *batch, uint64_t seq, uint64_t checksum, const struct record_bytes *bytes,
                    const char *unreadable)
{
    struct batch_row *row = &batch->rows[batch->n++];
    buf_append_str(&batch->bytes, bytes->front);
    if (bytes->lost)
        memset(buf_reserve(&batch->bytes, bytes->shared.len), ' ', bytes->shared.len);
    else
        buf_append_str(&batch->bytes, bytes->shared);
    batch->bytes.len += bytes->lost ? bytes->shared.len : 0;
    buf_append_str(&batch->bytes, bytes->rear);
    row->record = (struct str){NULL, bytes->front.len + bytes->shared.len + bytes->rear.len};
    row->alert.seq = seq;
    row->alert.checksum = checksum;
    row->unreadable = unreadable;
}

static int add_lost(struct reader *reader, struct batch *batch, struct err *err)
{
    struct str bytes = STR("");
    if (reader->lost_length > 0) {
        uint32_t end = reader->lost_offset + reader->lost_length;
        bytes.p = window_get(&reader->window, reader->lost_offset, reader->lost_length, end, err);
        bytes.len = reader->lost_length;
        if (!bytes.p)
            return -1;
    }
    reader->lost_length = 0;
    add_row(batch, reader->next_seq++, 0, &(struct record_bytes){.front = bytes},
            "its frame in the journal is damaged");
    return 0;
}

/* Inserts the shared bytes of a record between its own. false: its own bytes cannot be those of a record that shares.
 */
static bool join_shared(const struct reader *reader, struct record_bytes *bytes)
{
    struct frame_shared head;
    struct str own = bytes->front, whole = reader->whole;
    if (own.len < sizeof(head))
        return false;
    memcpy(&head, own.p, sizeof(head));
    own = (struct str){own.p + sizeof(head), own.len - sizeof(head)};
    if (head.offset > own.len || head.length > RECORD_MAX)
        return false;
    *bytes = (struct record_bytes){
        .front = {own.p, head.offset},
        .shared = {NULL, head.length},
        .rear = {own.p + head.offset, own.len - head.offset},
        .lost = head.offset > whole.len || head.length > whole.len - head.offset ||
                frame_record_checksum(reader->nonce, whole.p + head.offset, head.length) != head.checksum,
    };
    if (!bytes->lost)
        bytes->shared.p = whole.p + head.offset;
    return true;
}

/* false: the batch is full. */
static bool add_record(struct reader *reader, size_t max_bytes, struct batch *batch)
{
    const struct frame_view *view = &reader->view;
    struct frame_entry entry = view->table[reader->index];
    struct record_bytes bytes = {.front = {view->records + reader->record, frame_entry_bytes(entry)}};
    if (!(entry.length & ENTRY_TORN)) {
        bool ok = !(entry.length & ENTRY_SALVAGED) && frame_record_ok(view, reader->index, bytes.front.p);
        if (ok && entry.length & ENTRY_SHARES)
            ok = join_shared(reader, &bytes);
        if (batch->n > 0 && batch->bytes.len + bytes.front.len + bytes.shared.len + bytes.rear.len > max_bytes)
            return false;
        add_row(batch, reader->next_seq, entry.checksum, &bytes, ok ? NULL : "its bytes in the journal are damaged");
    }
    skip_record(reader);
    reader->next_seq++;
    return true;
}

static void point_rows(struct batch *batch)
{
    const char *at = batch->bytes.data;
    for (size_t i = 0; i < batch->n; i++) {
        batch->rows[i].record.p = at;
        at = at ? at + batch->rows[i].record.len : NULL; /* rows without bytes need no buffer */
    }
}

/* 1: call again, 0: nothing more for now, -1 with err. */
static int read_step(struct reader *reader, size_t max_bytes, struct batch *batch, struct err *err)
{
    if (reader->next_seq < reader->lost_until)
        return add_lost(reader, batch, err) == 0 ? 1 : -1;
    if (!reader->in_frame)
        return advance(reader, err);
    if (reader->index < reader->view.header.count)
        return add_record(reader, max_bytes, batch);
    reader->in_frame = false;
    reader->offset += reader->view.header.length;
    return 1;
}

int reader_read(struct reader *reader, uint64_t from_seq, size_t max_records, size_t max_bytes, struct batch *batch,
                struct err *err)
{
    if (from_seq != reader->resume_seq || from_seq == 0)
        seek(reader, from_seq);
    int rc = 1;
    while (rc == 1 && batch->n < max_records && batch->n < batch->cap)
        rc = read_step(reader, max_bytes, batch, err);
    point_rows(batch);
    if (rc < 0)
        seek(reader, 0);
    if (batch->n == 0)
        return rc < 0 ? -1 : 0;
    batch->first_seq = from_seq;
    batch->last_seq = batch->rows[batch->n - 1].alert.seq;
    batch->last_checksum = batch->rows[batch->n - 1].alert.checksum;
    if (rc >= 0)
        reader->resume_seq = batch->last_seq + 1;
    return 0;
}

bool reader_checksum(struct reader *reader, uint64_t seq, uint64_t *ret)
{
    seek(reader, seq);
    bool found = advance(reader, NULL) == 1 && reader->in_frame && reader->next_seq == seq &&
                 reader->index < reader->view.header.count;
    if (found)
        *ret = reader->view.table[reader->index].checksum;
    seek(reader, 0);
    return found;
}
