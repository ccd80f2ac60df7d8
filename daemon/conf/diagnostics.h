/*
 * Diagnostics about a file: errors and warnings with their positions, printed in the order of the file.
 */
#ifndef MOBEYE_CONF_DIAGNOSTICS_H
#define MOBEYE_CONF_DIAGNOSTICS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "conf/conf.h"

/* Further diagnostics are not kept, which bounds the cost of an invalid file. */
#define DIAGNOSTICS_MAX 1000

struct diagnostic {
    struct source_pos pos;
    bool warning;
    size_t order; /* in which it was added; orders diagnostics at the same position */
    char *text;
};

/* {0} is empty. */
struct diagnostics {
    struct diagnostic *list;
    size_t n;
    bool more; /* there were more than DIAGNOSTICS_MAX */
    bool bad;  /* there was an error */
};

/* subject: "section.key", or "file" or "yaml" for the file as a whole. */
void diagnostics_error(struct diagnostics *diagnostics, struct source_pos pos, const char *subject, const char *fmt,
                       ...) __attribute__((format(printf, 4, 5)));
void diagnostics_warning(struct diagnostics *diagnostics, struct source_pos pos, const char *subject, const char *fmt,
                         ...) __attribute__((format(printf, 4, 5)));

/* An error with the text of err, and what was expected unless the text says that itself. */
void diagnostics_failure(struct diagnostics *diagnostics, struct source_pos pos, const char *subject,
                         const struct err *err, const char *expected);

/* Whether the source of a secret is out of reach (base/secret.h), which is a warning. */
bool diagnostics_out_of_reach(struct diagnostics *diagnostics, struct source_pos pos, const char *subject,
                              const char *source);

/* Sorts the diagnostics and appends one line for each, prefixed with `file`. */
void diagnostics_write(struct diagnostics *diagnostics, const char *file, struct buf *out);
void diagnostics_free(struct diagnostics *diagnostics);

/* A value made safe for a message: quoted, at most 48 bytes, without control characters. Used as
 * quoted(text).text. */
struct quoted {
    char text[56];
};
struct quoted quoted(const char *text);

/* The length in bytes of the control character at the start of UTF-8 text; 0 if there is none. */
size_t control_len(const char *text);

#endif
