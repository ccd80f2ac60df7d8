/*
 * "Did you mean": the known word that a mistyped one resembles. Pure.
 */
#ifndef MOBEYE_BASE_NEAREST_H
#define MOBEYE_BASE_NEAREST_H

#include <stddef.h>

enum { NEAREST_WORD_MAX = 64, WORDS_DIFFER = 3 };

/* The number of characters changed, added, removed or swapped with a neighbour, ignoring case: 0 to 2. WORDS_DIFFER:
 * more, more than one in a word of up to 4 characters, or a word is longer than NEAREST_WORD_MAX. */
unsigned word_distance(const char *word, const char *known);

/* The i-th known word; "": skip it; NULL after the last. */
typedef const char *(*nearest_word_fn)(const void *ctx, size_t i);

/* The first of the known words that are nearest to `word`; otherwise the first that begins with it, if it has two
 * characters or more; NULL: none does. */
const char *nearest_word(const char *word, nearest_word_fn known, const void *ctx);

/* " (did you mean X?)" for it, or "". */
struct nearest_hint {
    char text[128];
};
struct nearest_hint nearest_hint(const char *word, nearest_word_fn known, const void *ctx);

#endif
