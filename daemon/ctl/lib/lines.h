/*
 * The lines of a file, pipe or terminal, each bounded: what is longer is passed over, and its length told.
 */
#ifndef MOBEYE_CTL_LIB_LINES_H
#define MOBEYE_CTL_LIB_LINES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct lines {
    int fd;
    size_t max;      /* bytes of a line that is returned whole */
    struct buf in;   /* read, returned up to `at` */
    size_t at;       /* <= in.len */
    uint64_t passed; /* bytes of a longer line that were thrown away */
    uint64_t number; /* of the last line that was returned */
    bool end;        /* read() has seen the end */
};

struct line_text {
    struct str text; /* without line feed and carriage return; empty where the line is too long */
    uint64_t number; /* 1, 2, ... */
    uint64_t len;    /* of the line, in bytes; more than `max` where it is too long */
};

/* The next line that is there. false: read more first, or, where `end` is set, that was all. ret->text is valid until
 * the next call of either function. */
bool lines_next(struct lines *lines, struct line_text *ret);

/* Reads what there is, waiting for the first byte; sets `end`. -1 with errno set. */
int lines_read(struct lines *lines);

#endif
