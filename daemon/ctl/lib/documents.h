/*
 * The JSON documents of a file, as programs and people write them: one per line; one over several lines; or all of them
 * in an array.
 */
#ifndef MOBEYE_CTL_LIB_DOCUMENTS_H
#define MOBEYE_CTL_LIB_DOCUMENTS_H

#include "ctl/lib/lines.h"

/* Initially {.lines = lines}. Free it with documents_free(). */
struct documents {
    struct lines *lines;
    struct line_text line; /* the current line */
    size_t at;             /* how much of it has been returned or collected */
    bool has_line;
    bool in_array;   /* the first character of the file was [ */
    bool closed;     /* its ] was seen, or its absence was reported */
    bool begun;      /* a document was seen */
    struct buf text; /* of a document over several lines, as far as read; no more is added once it is too long */
    uint64_t len;    /* its length */
    uint64_t from;   /* the line that it begins on */
    unsigned depth;  /* of braces and brackets in it; 0: none is being collected */
};

/* Returns the next document that is not blank, with the line that it begins on; a line that does not begin with { is
 * one too, for the decoder to refuse. A document without an end lasts until a line that begins with {. An array without
 * an end gives a last document, [, for the decoder to refuse: the file was cut. As lines_next().
 */
bool documents_next(struct documents *documents, struct line_text *ret);

void documents_free(struct documents *documents);

#endif
