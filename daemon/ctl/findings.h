/*
 * What is wrong with a file, gathered from all who looked at it and told in the order of its lines.
 */
#ifndef MOBEYE_CTL_FINDINGS_H
#define MOBEYE_CTL_FINDINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct finding {
    uint64_t line; /* 1, 2, ...; 0: of the file as a whole */
    size_t order;
    bool warning;
    char *text;
};

/* {0} is none. */
struct findings {
    struct finding *list;
    size_t n, cap;
    size_t errors; /* of the n; the others are warnings */
};

void findings_add(struct findings *findings, uint64_t line, bool warning, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* "FILE:LINE: [warning: ]TEXT" on stderr, by line, control characters escaped. */
void findings_print(struct findings *findings, const char *file);

void findings_free(struct findings *findings); /* leaves none */

#endif
