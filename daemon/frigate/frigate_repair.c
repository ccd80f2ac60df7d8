/* Repairs JSON as Python's json module writes it, in place. */
#include <string.h>

#include "base/array.h"
#include "frigate/frigate_event.h"

/* The length of the UTF-8 sequence at p; 0: not valid. */
static size_t utf8_len(const unsigned char *p, size_t left)
{
    if (p[0] < 0x80)
        return 1;
    size_t len = p[0] >= 0xf0 && p[0] <= 0xf4 ? 4 : p[0] >= 0xe0 ? 3 : p[0] >= 0xc2 ? 2 : 0;
    if (len == 0 || p[0] > 0xf4 || left < len)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
    bool beyond = (p[0] == 0xed && p[1] >= 0xa0) || (p[0] == 0xf4 && p[1] >= 0x90);
    return overlong || beyond ? 0 : len;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The value of \uXXXX at p; -1: it is not an escape. */
static int escape_value(const char *p, size_t left)
{
    int value = 0;
    if (left < 6 || p[0] != '\\' || p[1] != 'u')
        return -1;
    for (int i = 2; i < 6; i++) {
        int digit = hex_digit(p[i]);
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* Repairs the escape at p; returns its length. */
static size_t repair_escape(char *p, size_t left)
{
    static const char replacement[] = {'\\', 'u', 'f', 'f', 'f', 'd'};
    int value = escape_value(p, left);
    if (value < 0)
        return left < 2 ? left : 2;
    bool high = value >= 0xd800 && value <= 0xdbff, low = value >= 0xdc00 && value <= 0xdfff;
    if (high) {
        int next = escape_value(p + 6, left - 6);
        if (next >= 0xdc00 && next <= 0xdfff)
            return 12;
    }
    if (high || low || value == 0)
        memcpy(p, replacement, sizeof(replacement));
    return 6;
}

/* Replaces a word that is not JSON by null and spaces; returns its length, at least 1. */
static size_t repair_word(char *p, size_t left)
{
    static const char *const words[] = {"-Infinity", "Infinity", "NaN"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        size_t len = strlen(words[i]);
        if (left < len || memcmp(p, words[i], len) != 0)
            continue;
        /* NaN is one byte shorter than null; a string in place of a number also counts as not given. */
        memset(p, ' ', len);
        memcpy(p, len > 3 ? "null" : "\"?\"", len > 3 ? 4 : 3);
        return len;
    }
    return 1;
}

void frigate_repair(char *text, size_t len)
{
    bool in_string = false;
    for (size_t at = 0; at < len;) {
        char *p = text + at;
        size_t left = len - at, valid = utf8_len((const unsigned char *)p, left);
        if (valid == 0) {
            *p = '?';
            at++;
        } else if (in_string && *p == '\\') {
            at += repair_escape(p, left);
        } else if (!in_string && (*p == 'N' || *p == 'I' || *p == '-')) {
            at += repair_word(p, left);
        } else {
            if (*p == '"')
                in_string = !in_string;
            else if (in_string && (unsigned char)*p < 0x20)
                *p = ' ';
            at += valid;
        }
    }
}
