/*
 * The group-commit frame: how records lie in a segment file, as bytes in memory. FORMAT.md has the layout.
 *
 * A frame says everything twice except its records: header and table stand at its front and again at its rear, so that
 * a flipped byte costs one record at most.
 */
#ifndef MOBEYE_JOURNAL_FRAME_H
#define MOBEYE_JOURNAL_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define FRAME_VERSION     2
#define FRAME_VERSION_OLD 1                    /* the same, and no record shares bytes */
#define FRAME_BLOCK       512u                 /* frames begin and end on multiples of it */
#define FRAME_BYTES_MAX   (UINT32_C(2) << 20)  /* bounds the memory of writing and reading */
#define SEGMENT_BYTES_MAX (UINT32_C(64) << 20) /* none is made larger, none is believed to be */

enum frame_flag {
    FRAME_OPEN = 1,  /* the first of a segment; no records */
    FRAME_CLEAN = 2, /* the writer stopped here and everything before is synced; no records */
    FRAME_UUID = 4,  /* the journal has another UUID from here on; no records */
    FRAME_GAP = 8,   /* bytes that recovery set aside; `count` numbers are lost with them; no table */
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
    uint64_t nonce;         /* random, another one in each segment; seeds the checksums of records and tables */
    uint64_t first_seq;
    uint64_t stored_seq;    /* everything up to here was known to be in the database; at most first_seq - 1 */
    uint64_t prev_checksum; /* of record first_seq - 1; 0: there was none */
    int64_t wall_us;        /* time of the last record */
    uint64_t table_checksum;
    uint64_t segment_seq; /* first_seq of the segment's first frame, which is its name */
    uint64_t checksum;    /* of the bytes before */
};
_Static_assert(sizeof(struct frame_header) == 128, "the header is written as it lies in memory");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the format is little-endian, and so must the machine be");

/* In the length of an entry: recovery found that the record does not check. */
#define ENTRY_SALVAGED UINT32_C(0x80000000) /* it was synced */
#define ENTRY_TORN     UINT32_C(0x40000000) /* it never was, as far as can be told: its number stays empty */
#define ENTRY_MARKS    (ENTRY_SALVAGED | ENTRY_TORN)
/* There as well: it begins with struct frame_shared. */
#define ENTRY_SHARES UINT32_C(0x20000000)
#define ENTRY_BYTES  UINT32_C(0x1fffffff)

struct frame_entry {
    uint64_t checksum;
    uint32_t length;
} __attribute__((packed));
_Static_assert(sizeof(struct frame_entry) == 12, "written as it lies in memory");

/* A record that has bytes in common with the nearest one before it in the frame that is whole: the same bytes at the
 * same offset. They are not in its own bytes, which follow. */
struct frame_shared {
    uint64_t checksum; /* of these bytes */
    uint32_t offset, length;
};
_Static_assert(sizeof(struct frame_shared) == 16, "written as it lies in memory");

static inline uint32_t frame_entry_bytes(struct frame_entry entry)
{
    return entry.length & ENTRY_BYTES;
}

/* Of header and table together. */
static inline uint32_t frame_front_bytes(const struct frame_header *header)
{
    uint32_t table = header->flags & FRAME_GAP ? 0 : header->count * (uint32_t)sizeof(struct frame_entry);
    return (uint32_t)sizeof(*header) + table;
}

/* How long a frame of these records is. */
uint64_t frame_length(uint64_t count, uint64_t record_bytes);

uint64_t frame_record_checksum(uint64_t nonce, const void *record, size_t len);

/* Fills magic, version and both checksums; everything else is set. */
void frame_seal(struct frame_header *header, const struct frame_entry *table);

/* Does it check, is it of this version, does it lie at this offset of its file, and is it possible? */
bool frame_header_ok(const struct frame_header *header, uint32_t offset);

/* Does it look like the header of a format that this program does not know yet? */
bool frame_is_later_version(const struct frame_header *header);

/* A frame in memory, with the copy of header and table that holds. */
struct frame_view {
    char *bytes; /* header.length of them; the caller's */
    struct frame_header header;
    const struct frame_entry *table;
    const char *records;
    bool front_ok, rear_ok, padding_ok; /* false: that piece is damaged, though nothing is lost by it */
    struct buf merged;                  /* of two damaged tables; kept from view to view */
};

/* Looks at the bytes of a frame of which `header` is one good copy; not one with FRAME_GAP. The records themselves are
 * not checked. */
void frame_view_open(struct frame_view *view, char *bytes, const struct frame_header *header);
void frame_view_free(struct frame_view *view);

/* Does record i, which begins at `record`, still check? */
bool frame_record_ok(const struct frame_view *view, uint32_t i, const char *record);

/* Writes header, table and zeroed padding into the bytes at both ends, as they should be. */
void frame_compose(struct frame_view *view);

#endif
