/*
 * Read-only access to a journal, also while the daemon writes it.
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
    pid_t writer; /* the process that has it open; 0: none */
    struct chain chain;
    struct chain_check check;
    bool verbose;
    unsigned long damaged; /* number of damaged regions */
};

/* Opens and checks the journal; `verbose` prints damage and progress. If not CTL_OK, the error was printed. The caller
 * closes it in either case. */
int journal_view_open(struct journal_view *view, const struct journal_request *request, bool verbose);
void journal_view_close(struct journal_view *view);

/* Prints one diagnostic: "FILEPLACE: what", or as JSON without the place. */
void journal_view_print(const struct journal_view *view, const char *file, const char *place, const char *what);

#endif
