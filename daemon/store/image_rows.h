/*
 * The images of a batch as rows of mobeye.snapshot, for COPY. They are sent piece by piece from where they are: an
 * image is never copied in memory.
 */
#ifndef MOBEYE_STORE_IMAGE_ROWS_H
#define MOBEYE_STORE_IMAGE_ROWS_H

#include "store/encoded_batch.h"

#define IMAGE_ROWS_SQL                                                                                                 \
    "copy mobeye.snapshot (image_id, occurred_at, incident_id, device_id, placement_id, score, media_type, width, "    \
    "height, image) from stdin (format binary)"

/* The state of a COPY in progress. Initially {0}. */
struct image_rows {
    const struct encoded_batch *encoded; /* the owner's */
    const struct incident_set *set;      /* where their incidents are */
    size_t next;                         /* the next row of the batch */
    struct str image;                    /* the rest of the current image */
    struct buf head;                     /* what precedes it in its row */
    bool headed, ended;
};

void image_rows_free(struct image_rows *rows);

/* Whether any row to be stored has an image. */
bool image_rows_any(const struct encoded_batch *encoded);

/* Data of IMAGE_ROWS_SQL: image_rows_next_chunk() gives the next bytes to send, valid until its next call; false at the
 * end. */
void image_rows_begin(struct image_rows *rows, const struct encoded_batch *encoded, const struct incident_set *set);
bool image_rows_next_chunk(struct image_rows *rows, struct str *ret);

/* The row of the batch that the nth row (from 1) of that COPY belongs to; the number of rows: there is none. */
size_t image_rows_nth_row(const struct encoded_batch *encoded, size_t nth);

#endif
