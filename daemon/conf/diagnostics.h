/*
 * What is wrong with a file: complaints with their places, told in the order of the file.
 */
#ifndef MOBEYE_CONF_DIAGNOSTICS_H
#define MOBEYE_CONF_DIAGNOSTICS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "conf/conf.h"

/* Past so many the rest is only mentioned: what a megabyte of nonsense can cost is bounded. */
#define DIAGNOSTICS_MAX 1000

struct diagnostic {
    struct source_pos pos;
    bool warning;
    size_t order; /* of its coming, between complaints about one place */
    char *text;
};

/* {0} is an empty one. */
struct diagnostics {
    struct diagnostic *list;
    size_t n;
    bool more; /* than DIAGNOSTICS_MAX */
    bool bad;  /* there was an error */
};

/* subject: "section.key", or "file" and "yaml" for what concerns the whole. */
void diagnostics_error(struct diagnostics *diagnostics, struct source_pos pos, const char *subject, const char *fmt,
                       ...) __attribute__((format(printf, 4, 5)));
void diagnostics_warning(struct diagnostics *diagnostics, struct source_pos pos, const char *subject, const char *fmt,
                         ...) __attribute__((format(printf, 4, 5)));

/* Sorts the complaints and appends a line for each, with `file` in front. */
void diagnostics_write(struct diagnostics *diagnostics, const char *file, struct buf *out);
void diagnostics_free(struct diagnostics *diagnostics);

/* A value fit for a complaint: in quotes, at most 48 bytes of it, and nothing that a terminal would obey. Used as
 * quoted(text).text. */
struct quoted {
    char text[56];
};
struct quoted quoted(const char *text);

/* Bytes of the control character at the start of UTF-8 text, 0 where there is none. */
size_t control_len(const char *text);

#endif
