/*
 * Errors and warnings about a file, collected from all checks and printed in the order of its lines.
 */
#ifndef MOBEYE_CTL_LIB_LINE_DIAGNOSTICS_H
#define MOBEYE_CTL_LIB_LINE_DIAGNOSTICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum line_severity { LINE_ERROR, LINE_WARNING, LINE_NOTE /* what was assumed */ };

struct line_diagnostic {
    uint64_t line; /* 1, 2, ...; 0: concerns the whole file */
    size_t order;
    enum line_severity severity;
    const char *topic; /* topic of a note that is added only once */
    size_t more;       /* further lines of that topic */
    char *text;
};

/* {0} is empty. */
struct line_diagnostics {
    struct line_diagnostic *list;
    size_t n, cap;
    size_t errors; /* how many of the n are errors */
};

void line_diagnostics_add(struct line_diagnostics *line_diagnostics, uint64_t line, bool warning, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Adds what was assumed about the file or a line. */
void line_diagnostics_note(struct line_diagnostics *line_diagnostics, uint64_t line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The same for what is assumed in many lines: only the first note of a topic (compared as a pointer) is kept; the
 * others are counted. */
void line_diagnostics_assume(struct line_diagnostics *line_diagnostics, uint64_t line, const char *topic,
                             const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* "FILE:LINE: [warning: |note: ]TEXT" on stderr, by line, control characters escaped. */
void line_diagnostics_print(struct line_diagnostics *line_diagnostics, const char *file);

void line_diagnostics_free(struct line_diagnostics *line_diagnostics); /* leaves it empty */

#endif
