/*
 * The group-commit frame: the layout of records in a segment file, in memory. FORMAT.md describes it.
 *
 * Header and table are stored at the front of a frame and again at its rear, so that a damaged byte costs at most one
 * record.
 */
#ifndef MOBEYE_JOURNAL_FRAME_H
#define MOBEYE_JOURNAL_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define FRAME_VERSION     2
#define FRAME_BLOCK       512u                 /* frames begin and end on multiples of it */
#define FRAME_BYTES_MAX   (UINT32_C(2) << 20)  /* bounds the memory of writing and reading */
#define SEGMENT_BYTES_MAX (UINT32_C(64) << 20) /* a header that claims more is invalid */

enum frame_flag {
    FRAME_OPEN = 1,  /* the first of a segment; no records */
    FRAME_CLEAN = 2, /* clean stop: everything before is synced; no records */
    FRAME_UUID = 4,  /* the journal has another UUID from here on; no records */
    FRAME_GAP = 8,   /* bytes without a recognisable frame; `count` numbers are lost with them; no table */
};

struct frame_header {
    char magic[8];
    uint16_t version;
    uint16_t flags;
    uint32_t count;         /* numbers in this frame: first_seq to first_seq + count - 1 */
    uint32_t length;        /* of the whole frame */
    uint32_t record_bytes;  /* of all records together */
    uint32_t offset;        /* of the frame in its file */
    uint32_t segment_bytes; /* size that the file was preallocated with */
    uint8_t origin[16];     /* the same in all segments that belong together */
    uint8_t uuid[16];       /* of the journal, as the database knows it */
    uint64_t nonce;         /* random, different in each segment; seeds the checksums of records and tables */
    uint64_t first_seq;
    uint64_t stored_seq;    /* everything up to here was known to be in the database; at most first_seq - 1 */
    uint64_t prev_checksum; /* of record first_seq - 1; 0: there was none */
    int64_t wall_us;        /* time of the last record */
    uint64_t table_checksum;
    uint64_t segment_seq; /* first_seq of the segment's first frame, which is its name */
    uint64_t checksum;    /* of the bytes before */
};
_Static_assert(sizeof(struct frame_header) == 128, "the header is written as it is in memory");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the format is little-endian: the machine must be too");

/* Bits in the length of an entry. */
#define ENTRY_SALVAGED UINT32_C(0x80000000) /* recovery found the checksum wrong; the record was synced */
#define ENTRY_TORN     UINT32_C(0x40000000) /* likewise; it was not known to be synced, and its number stays empty */
#define ENTRY_DAMAGED  (ENTRY_SALVAGED | ENTRY_TORN)
/* The record begins with struct frame_shared. */
#define ENTRY_SHARES UINT32_C(0x20000000)
#define ENTRY_BYTES  UINT32_C(0x1fffffff)

struct frame_entry {
    uint64_t checksum;
    uint32_t length;
} __attribute__((packed));
_Static_assert(sizeof(struct frame_entry) == 12, "written as it is in memory");

/* A record that shares bytes with the nearest complete record before it in the frame, where they are at the same
 * offset. The record's own bytes follow, without the shared ones. */
struct frame_shared {
    uint64_t checksum; /* of these bytes */
    uint32_t offset, length;
};
_Static_assert(sizeof(struct frame_shared) == 16, "written as it is in memory");

static inline uint32_t frame_entry_bytes(struct frame_entry entry)
{
    return entry.length & ENTRY_BYTES;
}

/* The size of header and table. */
static inline uint32_t frame_front_bytes(const struct frame_header *header)
{
    uint32_t table = header->flags & FRAME_GAP ? 0 : header->count * (uint32_t)sizeof(struct frame_entry);
    return (uint32_t)sizeof(*header) + table;
}

/* The length of a frame of these records, padding included. */
uint64_t frame_length(uint64_t count, uint64_t record_bytes);

/* Of a record, by the length in its entry: with ENTRY_SHARES it is another one, so that this bit is checked too. */
uint64_t frame_record_checksum(uint64_t nonce, const void *record, uint32_t length);

/* Fills magic, version and both checksums; everything else must be set. */
void frame_seal(struct frame_header *header, const struct frame_entry *table);

/* Whether its checksum is right, its version this one, its offset this one and its values possible. */
bool frame_header_ok(const struct frame_header *header, uint32_t offset);

/* Whether it looks like the header of a later version of the format. */
bool frame_is_later_version(const struct frame_header *header);

/* A frame in memory, with the valid copy of header and table. */
struct frame_view {
    char *bytes; /* header.length of them; the caller's */
    struct frame_header header;
    const struct frame_entry *table;
    const char *records;
    bool front_ok, rear_ok, padding_ok; /* false: that part is damaged, which costs no record */
    struct buf merged;                  /* from two damaged tables; reused by the next frame_view_open() */
};

/* Opens a frame by a good copy of its header; not for FRAME_GAP. The records are not checked. */
void frame_view_open(struct frame_view *view, char *bytes, const struct frame_header *header);
void frame_view_free(struct frame_view *view);

/* Whether the checksum of record i, which begins at `record`, is right. */
bool frame_record_ok(const struct frame_view *view, uint32_t i, const char *record);

/* Rewrites header, table and zeroed padding in the bytes, at both ends. */
void frame_compose(struct frame_view *view);

#endif
