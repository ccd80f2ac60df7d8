/*
 * Errors and warnings about a file, collected from all checks and printed in the order of its lines.
 */
#ifndef MOBEYE_CTL_LIB_LINE_DIAGNOSTICS_H
#define MOBEYE_CTL_LIB_LINE_DIAGNOSTICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct line_diagnostic {
    uint64_t line; /* 1, 2, ...; 0: concerns the whole file */
    size_t order;
    bool warning;
    char *text;
};

/* {0} is empty. */
struct line_diagnostics {
    struct line_diagnostic *list;
    size_t n, cap;
    size_t errors; /* how many of the n are errors; the others are warnings */
};

void line_diagnostics_add(struct line_diagnostics *line_diagnostics, uint64_t line, bool warning, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* "FILE:LINE: [warning: ]TEXT" on stderr, by line, control characters escaped. */
void line_diagnostics_print(struct line_diagnostics *line_diagnostics, const char *file);

void line_diagnostics_free(struct line_diagnostics *line_diagnostics); /* leaves it empty */

#endif
