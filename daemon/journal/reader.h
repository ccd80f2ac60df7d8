/*
 * Reads records in order. Remembers its position, so that continuing needs no search.
 */
#ifndef MOBEYE_JOURNAL_READER_H
#define MOBEYE_JOURNAL_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "journal/chain.h"
#include "model/batch.h"

/* Initially {.dir_fd = ..., .chain = ..., .fd = -1}. */
struct reader {
    int dir_fd; /* the caller's, as is the chain */
    const struct chain *chain;
    int fd;              /* of the current segment; -1: none */
    uint64_t nonce;      /* of the current segment */
    uint64_t next_seq;   /* the next record, for a caller that continues with resume_seq */
    uint64_t resume_seq; /* a caller that asks for another number begins a search */
    uint32_t offset;     /* of the current frame, or of the next one */
    bool in_frame;
    struct window window;
    struct frame_view view;
    uint32_t index, record; /* of the next record in the current frame: its index, its offset among the records */
    struct str whole;       /* the nearest record before it that shares nothing */
    uint64_t lost_until;    /* numbers below this one have no recognisable frame */
    uint32_t lost_offset, lost_length; /* the bytes in which such a frame was */
};

void reader_free(struct reader *reader);

/* As journal_read(); reads each segment up to `used`. */
int reader_read(struct reader *reader, uint64_t from_seq, size_t max_records, size_t max_bytes, struct batch *batch,
                struct err *err);

/* The checksum of a record according to the table of its frame. false: no segment holds it, or its frame is damaged. */
bool reader_checksum(struct reader *reader, uint64_t seq, uint64_t *ret);

#endif
