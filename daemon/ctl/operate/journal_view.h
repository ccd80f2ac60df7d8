/*
 * A journal as mobeyectl looks at it: read-only, also beside the daemon that writes it.
 */
#ifndef MOBEYE_CTL_OPERATE_JOURNAL_VIEW_H
#define MOBEYE_CTL_OPERATE_JOURNAL_VIEW_H

#include <stdint.h>
#include <sys/types.h>

#include "ctl/lib/options.h"
#include "journal/verify.h"

struct journal_request {
    struct ctl_call call;
    const char *directory;
    uint64_t from, to; /* 0: not given */
};

struct journal_view {
    const struct journal_request *request;
    int dir_fd;
    pid_t writer; /* 0: nobody has it open */
    struct chain chain;
    struct check check;
    bool tell;
    unsigned long damaged;
};

/* Opens and checks the journal; `tell` prints what is damaged, and how far it is. Not CTL_OK: printed why. Closing it
 * is the caller's, in either case. */
int journal_view_open(struct journal_view *view, const struct journal_request *request, bool tell);
void journal_view_close(struct journal_view *view);

/* Prints one finding: "FILEPLACE: what", or as JSON without the place. */
void journal_view_tell(const struct journal_view *view, const char *file, const char *place, const char *what);

/* The journal's UUID as text. */
void journal_view_uuid(const struct journal_view *view, char out[37]);

#endif
