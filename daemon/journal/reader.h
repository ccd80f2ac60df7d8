/*
 * Reads records in order. Keeps its place, so that reading on costs no search.
 */
#ifndef MOBEYE_JOURNAL_READER_H
#define MOBEYE_JOURNAL_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "journal/chain.h"
#include "model/batch.h"

/* {.dir_fd = ..., .fd = -1} is one that has not begun. */
struct reader {
    int dir_fd;          /* the caller's */
    int fd;              /* of the segment at hand; -1: none */
    uint64_t nonce;      /* which segment that is */
    uint64_t next_seq;   /* what comes next, */
    uint64_t resume_seq; /* where the caller goes on with this number */
    uint32_t offset;     /* of the frame at hand, or of the next one where none is */
    bool in_frame;
    struct window window;
    struct frame_view view;
    uint32_t index, record; /* in the frame at hand: which comes next, and where it begins among the records */
    struct str whole;       /* the nearest one before it that shares nothing */
    uint64_t lost_until;    /* numbers below it have no frame that can be recognised ... */
    uint32_t lost_offset, lost_length; /* ... any more; these bytes are where it was */
};

void reader_free(struct reader *reader);

/* As journal_read(); reads what lies below `used` of the segments. */
int reader_read(struct reader *reader, const struct chain *chain, uint64_t from_seq, size_t max_records,
                size_t max_bytes, struct batch *batch, struct err *err);

/* The checksum that the table of its frame says a record has. false: no segment holds it, or its frame is damaged. */
bool reader_checksum(struct reader *reader, const struct chain *chain, uint64_t seq, uint64_t *ret);

#endif
