#include "base/nearest.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { SHORT_WORD = 4 };

static bool same(const char *a, const char *b)
{
    return tolower((unsigned char)*a) == tolower((unsigned char)*b);
}

unsigned word_distance(const char *word, const char *known)
{
    const unsigned differ = strlen(word) <= SHORT_WORD ? WORDS_DIFFER - 1 : WORDS_DIFFER;
    size_t n = strlen(word), m = strlen(known);
    unsigned d[NEAREST_WORD_MAX + 1][NEAREST_WORD_MAX + 1];
    if (n >= m + differ || m >= n + differ || n > NEAREST_WORD_MAX || m > NEAREST_WORD_MAX)
        return WORDS_DIFFER;
    for (size_t i = 0; i <= n; i++) {
        for (size_t j = 0; j <= m; j++) {
            if (i == 0 || j == 0) {
                d[i][j] = (unsigned)(i + j);
                continue;
            }
            const char *a = word + i - 1, *b = known + j - 1;
            unsigned best = d[i - 1][j - 1] + !same(a, b);
            if (d[i - 1][j] + 1 < best)
                best = d[i - 1][j] + 1;
            if (d[i][j - 1] + 1 < best)
                best = d[i][j - 1] + 1;
            if (i > 1 && j > 1 && same(a, b - 1) && same(a - 1, b) && d[i - 2][j - 2] + 1 < best)
                best = d[i - 2][j - 2] + 1;
            d[i][j] = best;
        }
    }
    return d[n][m] < differ ? d[n][m] : WORDS_DIFFER;
}

const char *nearest_word(const char *word, nearest_word_fn known, const void *ctx)
{
    const char *nearest = NULL, *begins = NULL, *candidate;
    size_t len = strlen(word);
    unsigned least = WORDS_DIFFER;
    for (size_t i = 0; (candidate = known(ctx, i)); i++) {
        unsigned distance = *candidate ? word_distance(word, candidate) : WORDS_DIFFER;
        if (distance < least) {
            least = distance;
            nearest = candidate;
        }
        if (!begins && len >= 2 && strncasecmp(candidate, word, len) == 0)
            begins = candidate;
    }
    return nearest ? nearest : begins;
}

struct nearest_hint nearest_hint(const char *word, nearest_word_fn known, const void *ctx)
{
    struct nearest_hint ret = {""};
    const char *nearest = nearest_word(word, known, ctx);
    if (nearest)
        snprintf(ret.text, sizeof(ret.text), " (did you mean %s?)", nearest);
    return ret;
}
