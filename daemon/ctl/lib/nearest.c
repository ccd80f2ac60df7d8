#include "ctl/lib/nearest.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "conf/schema.h"

enum { SHORT_WORD = 4 };

struct lower_word lower_word(const char *word)
{
    struct lower_word ret = {""};
    for (size_t i = 0; i < NEAREST_WORD_MAX && word[i]; i++)
        ret.text[i] = (char)tolower((unsigned char)word[i]);
    return ret;
}

const char *nearest_word(const char *word, nearest_word_fn known, const void *ctx)
{
    const char *nearest = NULL, *begins = NULL;
    size_t len = strlen(word);
    unsigned least = len <= SHORT_WORD ? 2 : 3;
    struct lower_word wanted = lower_word(word);
    for (size_t i = 0; known(ctx, i); i++) {
        const char *candidate = known(ctx, i);
        unsigned distance = schema_distance(wanted.text, lower_word(candidate).text);
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
