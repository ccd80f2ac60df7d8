/*
 * What is wrong with a file: complaints with their places, told in the order of the file.
 */
#ifndef MOBEYE_CONF_REPORT_H
#define MOBEYE_CONF_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* The line, and the character in it; both count from 1. */
struct mark {
    size_t line, col;
};

/* Past so many the rest is only mentioned: what a megabyte of nonsense can cost is bounded. */
#define REPORT_MAX 1000

struct complaint_at {
    struct mark mark;
    bool warning;
    size_t order; /* of its coming, between complaints about one place */
    char *text;
};

/* {0} is an empty one. */
struct report {
    struct complaint_at *complaints;
    size_t n;
    bool more; /* than REPORT_MAX */
    bool bad;  /* there was an error */
};

/* subject: "section.key", or "file" and "yaml" for what concerns the whole. */
void report_error(struct report *report, struct mark mark, const char *subject, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void report_warning(struct report *report, struct mark mark, const char *subject, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Sorts the complaints and appends a line for each, with `file` in front. */
void report_write(struct report *report, const char *file, struct buf *out);
void report_free(struct report *report);

/* A value fit for a complaint: in quotes, at most 48 bytes of it, and nothing that a terminal would obey. Used as
 * quoted(text).text. */
struct quoted {
    char text[56];
};
struct quoted quoted(const char *text);

/* Bytes of the control character at the start of UTF-8 text, 0 where there is none. */
size_t control_len(const char *text);

#endif
