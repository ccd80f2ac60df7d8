/* A reader of a stream must give the same result however its bytes arrive. */
#ifndef MOBEYE_TESTS_IN_PIECES_H
#define MOBEYE_TESTS_IN_PIECES_H

#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"

/* Writes the next piece of the text to the pipe; after its end closes it. */
static void write_piece(int fd, const char *text, size_t piece, size_t *at)
{
    size_t left = strlen(text) - *at, part = left < piece ? left : piece;
    if (part > 0)
        cr_assert_eq(write(fd, text + *at, part), (ssize_t)part);
    else
        close(fd);
    *at += part;
}

/* split() returns what it read of the text in pieces of that size, as a string. */
static void assert_same_in_pieces(struct buf (*split)(const char *text, size_t piece), const char *text,
                                  const char *expected)
{
    for (size_t piece = 1; piece <= strlen(text) + 1; piece++) {
        struct buf got = split(text, piece);
        cr_assert_str_eq(got.data, expected, "in pieces of %zu bytes: %s", piece, got.data);
        buf_free(&got);
    }
}

#endif
