/*
 * Sends the alerts in a file, one JSON document per line.
 */
#ifndef MOBEYE_CTL_LIB_SENDER_FILE_H
#define MOBEYE_CTL_LIB_SENDER_FILE_H

#include "ctl/lib/lines.h"
#include "ctl/lib/sender.h"

struct sender_file {
    struct lines *lines;      /* their max must be ALERT_PAYLOAD_MAX; longer lines are rejected here */
    const struct buf *images; /* of the first n_images alerts, in their order */
    size_t n_images;
    uint64_t total; /* number of lines to come, for the progress bar; 0: unknown, no bar */
};

/* Sends every line that is not blank, and waits for the replies; the numbers in the callbacks are those of the lines.
 * -1 with err set: as sender_step(), or the file cannot be read. ret_counts is always filled. */
int sender_file_send(const struct sender_options *options, const struct sender_file *file,
                     struct sender_counts *ret_counts, struct err *err);

/* Whether the line is empty or white space only. */
bool sender_file_blank(struct str line);

/* Appends "too_large: message: ..." for a line of len bytes. */
void sender_file_too_large(uint64_t len, struct buf *out);

#endif
