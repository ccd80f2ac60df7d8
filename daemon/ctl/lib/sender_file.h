/*
 * Sends the alerts in a file, JSON documents (documents.h).
 */
#ifndef MOBEYE_CTL_LIB_SENDER_FILE_H
#define MOBEYE_CTL_LIB_SENDER_FILE_H

#include "ctl/lib/documents.h"
#include "ctl/lib/sender.h"

struct sender_file {
    struct documents *documents; /* the max of their lines must be ALERT_PAYLOAD_MAX; longer ones are rejected here */
    const struct buf *images;    /* of the first n_images alerts, in their order */
    size_t n_images;
    uint64_t total; /* number of documents to come, for the progress bar; 0: unknown, no bar */
};

/* Sends every document, and waits for the replies; the numbers in the callbacks are those of the lines that they begin
 * on.
 * -1 with err set: as sender_step(), or the file cannot be read. ret_counts is always filled. */
int sender_file_send(const struct sender_options *options, const struct sender_file *file,
                     struct sender_counts *ret_counts, struct err *err);

/* Appends "too_large: message: ..." for a document of len bytes. */
void sender_file_too_large(uint64_t len, struct buf *out);

#endif
