#include "journal/frame.h"

#include <string.h>

#include <xxhash.h>

static const char magic[8] = "mobeyeJ\n";

/* Any constant will do: it keeps a header from being a valid record, and a record from being a valid header. */
#define HEADER_SEED UINT64_C(0x6d6f626579656864)

uint64_t frame_length(uint64_t count, uint64_t record_bytes)
{
    uint64_t bytes = 2 * (sizeof(struct frame_header) + count * sizeof(struct frame_entry)) + record_bytes;
    return (bytes + FRAME_BLOCK - 1) / FRAME_BLOCK * FRAME_BLOCK;
}

uint64_t frame_record_checksum(uint64_t nonce, const void *record, uint32_t length)
{
    return XXH3_64bits_withSeed(record, length & ENTRY_BYTES, nonce ^ (length & ENTRY_SHARES));
}

static uint64_t header_checksum(const struct frame_header *header)
{
    return XXH3_64bits_withSeed(header, offsetof(struct frame_header, checksum), HEADER_SEED);
}

static uint64_t table_checksum(const struct frame_header *header, const void *table)
{
    return XXH3_64bits_withSeed(table, header->count * sizeof(struct frame_entry), ~header->nonce);
}

void frame_seal(struct frame_header *header, const struct frame_entry *table)
{
    memcpy(header->magic, magic, sizeof(magic));
    header->version = FRAME_VERSION;
    header->table_checksum = header->flags & FRAME_GAP ? 0 : table_checksum(header, table);
    header->checksum = header_checksum(header);
}

bool frame_header_ok(const struct frame_header *header, uint32_t offset)
{
    if (memcmp(header->magic, magic, sizeof(magic)) != 0 || header->version != FRAME_VERSION ||
        header->offset != offset || header->checksum != header_checksum(header))
        return false;
    if (header->length < FRAME_BLOCK || header->length % FRAME_BLOCK != 0 ||
        header->segment_bytes > SEGMENT_BYTES_MAX || offset > header->segment_bytes ||
        header->length > header->segment_bytes - offset)
        return false;
    if (header->segment_seq == 0 || header->first_seq < header->segment_seq || header->first_seq > INT64_MAX)
        return false;
    if (header->flags & FRAME_GAP)
        return true;
    if (header->count == 0 && header->record_bytes > 0)
        return false;
    return header->length <= FRAME_BYTES_MAX && frame_length(header->count, header->record_bytes) <= header->length;
}

bool frame_is_later_version(const struct frame_header *header)
{
    return memcmp(header->magic, magic, sizeof(magic)) == 0 && header->version > FRAME_VERSION;
}

static bool table_ok(const struct frame_header *header, const struct frame_entry *table)
{
    if (table_checksum(header, table) != header->table_checksum)
        return false;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < header->count; i++)
        sum += frame_entry_bytes(table[i]);
    return sum == header->record_bytes;
}

/* Whether the record at `offset` of the records has the checksum of this entry. */
static bool entry_matches(const struct frame_view *view, struct frame_entry entry, uint32_t offset)
{
    uint32_t len = frame_entry_bytes(entry);
    return offset <= view->header.record_bytes && len <= view->header.record_bytes - offset &&
           frame_record_checksum(view->header.nonce, view->records + offset, entry.length) == entry.checksum;
}

/* The more credible of two entries: its checksum is right, or with its length the next entry's is. A record whose
 * checksum is right was never salvaged, whatever a damaged entry says. */
static struct frame_entry merge_entry(const struct frame_view *view, const struct frame_entry *front,
                                      const struct frame_entry *rear, uint32_t i, uint32_t offset)
{
    bool front_matches = entry_matches(view, front[i], offset);
    if (front_matches || entry_matches(view, rear[i], offset)) {
        struct frame_entry entry = front_matches ? front[i] : rear[i];
        entry.length &= ~ENTRY_DAMAGED;
        return entry;
    }
    if (i + 1 == view->header.count)
        return front[i];
    uint32_t next = offset + frame_entry_bytes(front[i]);
    return entry_matches(view, front[i + 1], next) || entry_matches(view, rear[i + 1], next) ? front[i] : rear[i];
}

/* Both tables are damaged: takes what is good in either. Lengths are kept within the records. */
static void merge_tables(struct frame_view *view, const struct frame_entry *front, const struct frame_entry *rear)
{
    view->merged.len = 0;
    uint32_t offset = 0;
    for (uint32_t i = 0; i < view->header.count; i++) {
        struct frame_entry entry = merge_entry(view, front, rear, i, offset);
        uint32_t left = view->header.record_bytes - offset;
        if (frame_entry_bytes(entry) > left || i + 1 == view->header.count)
            entry.length = left | (entry.length & ~ENTRY_BYTES);
        offset += frame_entry_bytes(entry);
        buf_append(&view->merged, &entry, sizeof(entry));
    }
    view->table = (const struct frame_entry *)(const void *)view->merged.data;
}

static bool is_zero(const char *bytes, size_t len)
{
    return len == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1) == 0);
}

static const struct frame_entry *table_at(const char *bytes)
{
    return (const struct frame_entry *)(const void *)bytes;
}

/* Whether both are of the same frame. Recovery changes only the table's checksum in a header. */
static bool is_copy(const struct frame_header *copy, const struct frame_header *header)
{
    return frame_header_ok(copy, header->offset) && copy->nonce == header->nonce && copy->length == header->length &&
           copy->first_seq == header->first_seq && copy->count == header->count &&
           copy->record_bytes == header->record_bytes;
}

void frame_view_open(struct frame_view *view, char *bytes, const struct frame_header *header)
{
    struct frame_header front, rear;
    memcpy(&front, bytes, sizeof(front));
    memcpy(&rear, bytes + header->length - sizeof(rear), sizeof(rear));
    bool front_header = is_copy(&front, header), rear_header = is_copy(&rear, header);

    view->bytes = bytes;
    view->header = front_header ? front : rear;
    const struct frame_entry *front_table = table_at(bytes + sizeof(front));
    const struct frame_entry *rear_table = table_at(bytes + header->length - frame_front_bytes(&view->header));
    bool front_table_ok = table_ok(&view->header, front_table);
    if (!front_table_ok && front_header && rear_header && memcmp(&front, &rear, sizeof(front)) != 0) {
        /* Recovery was interrupted while it rewrote the front: the rear is still the old one. */
        view->header = rear;
        rear_table = table_at(bytes + header->length - frame_front_bytes(&rear));
        front_table_ok = table_ok(&rear, front_table);
    }
    bool rear_table_ok = table_ok(&view->header, rear_table);

    view->records = bytes + frame_front_bytes(&view->header);
    if (front_table_ok || rear_table_ok)
        view->table = front_table_ok ? front_table : rear_table;
    else
        merge_tables(view, front_table, rear_table);
    view->front_ok = front_header && front_table_ok && memcmp(&front, &view->header, sizeof(front)) == 0;
    view->rear_ok = rear_header && rear_table_ok && memcmp(&rear, &view->header, sizeof(rear)) == 0;
    const char *padding = view->records + view->header.record_bytes;
    view->padding_ok = is_zero(padding, (size_t)((const char *)rear_table - padding));
}

void frame_view_free(struct frame_view *view)
{
    buf_free(&view->merged);
}

bool frame_record_ok(const struct frame_view *view, uint32_t i, const char *record)
{
    struct frame_entry entry = view->table[i];
    return frame_record_checksum(view->header.nonce, record, entry.length) == entry.checksum;
}

void frame_compose(struct frame_view *view)
{
    uint32_t front = frame_front_bytes(&view->header);
    uint32_t table = front - (uint32_t)sizeof(view->header);
    char *rear = view->bytes + view->header.length - front;
    char *padding = view->bytes + front + view->header.record_bytes;
    if (table > 0)
        memmove(view->bytes + sizeof(view->header), view->table, table);
    memcpy(view->bytes, &view->header, sizeof(view->header));
    memset(padding, 0, (size_t)(rear - padding));
    memcpy(rear, view->bytes + sizeof(view->header), table);
    memcpy(rear + table, &view->header, sizeof(view->header));
    view->table = table_at(view->bytes + sizeof(view->header));
}
