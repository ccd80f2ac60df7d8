/*
 * The lines of a file, pipe or terminal, of bounded length: a longer line is skipped and its length reported.
 */
#ifndef MOBEYE_CTL_LIB_LINES_H
#define MOBEYE_CTL_LIB_LINES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct lines {
    int fd;
    size_t max;      /* the longest line that is returned, in bytes */
    struct buf in;   /* bytes read; those before `at` have been returned */
    size_t at;       /* <= in.len */
    uint64_t passed; /* bytes of a longer line that were discarded */
    uint64_t number; /* number of the last line that was returned */
    bool end;        /* read() has reached the end */
};

struct line_text {
    struct str text; /* without line feed and carriage return; empty if the line is too long */
    uint64_t number; /* 1, 2, ... */
    uint64_t len;    /* length of the line in bytes; more than `max` if it is too long */
};

/* Returns the next line from the buffer. false: call lines_read() first or, if `end` is set, there are no more lines.
 * ret->text is valid until the next call of either function. */
bool lines_next(struct lines *lines, struct line_text *ret);

/* Reads what is available, waiting for the first byte; sets `end` at the end. -1 with errno set. */
int lines_read(struct lines *lines);

#endif
