/*
 * "Did you mean": the known word that a mistyped one resembles. Pure.
 */
#ifndef MOBEYE_CTL_LIB_NEAREST_H
#define MOBEYE_CTL_LIB_NEAREST_H

#include <stddef.h>

#define NEAREST_WORD_MAX 64

/* The i-th known word; NULL after the last. */
typedef const char *(*nearest_word_fn)(const void *ctx, size_t i);

/* The known word that differs from `word` by the fewest characters (one in a short word, two in a longer one; case is
 * ignored), or that begins with it; NULL: none does. */
const char *nearest_word(const char *word, nearest_word_fn known, const void *ctx);

/* A lower-case copy, truncated if too long. */
struct lower_word {
    char text[NEAREST_WORD_MAX + 1];
};
struct lower_word lower_word(const char *word);

/* " (did you mean X?)" for it, or "". */
struct nearest_hint {
    char text[128];
};
struct nearest_hint nearest_hint(const char *word, nearest_word_fn known, const void *ctx);

#endif
