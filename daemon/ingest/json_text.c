#include "ingest/json_text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistr.h>

#define NUL_REASON       "U+0000 is not allowed"
#define SURROGATE_REASON "a lone surrogate is not allowed"

/* PostgreSQL 15: NUMERIC_DSCALE_MASK, and the bound on exponents in set_var_from_str(). */
enum { NUMERIC_DECIMALS_MAX = 16383, NUMERIC_EXPONENT_MAX = INT32_MAX / 2 - 1 };

/* Why a text is refused, and where; an earlier fault replaces a later one. */
struct json_fault {
    const char *reason;
    size_t offset;
};

static void fault_set(struct json_fault *fault, size_t offset, const char *reason)
{
    if (fault->reason && fault->offset <= offset)
        return;
    *fault = (struct json_fault){reason, offset};
}

/* Whether any byte has its high bit set, and whether any is below 0x20, eight bytes at a time. Most messages have
 * neither. */
static void classify(struct str text, bool *ret_high, bool *ret_control)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;
    uint64_t high = 0, control = 0, word;
    size_t i = 0;
    for (; i + sizeof(word) <= text.len; i += sizeof(word)) {
        memcpy(&word, text.p + i, sizeof(word));
        high |= word;
        control |= (word - ones * 0x20) & ~word;
    }
    word = ones * ' ';
    if (i < text.len)
        memcpy(&word, text.p + i, text.len - i);
    high |= word;
    control |= (word - ones * 0x20) & ~word;
    *ret_high = high & tops;
    *ret_control = control & tops;
}

static void find_control(struct str text, struct json_fault *fault)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c >= 0x20 || c == '\n' || c == '\r' || c == '\t')
            continue;
        fault_set(fault, i, c ? "a control character must be escaped" : NUL_REASON);
        return;
    }
}

static void find_bad_utf8(struct str text, struct json_fault *fault)
{
    const uint8_t *bytes = (const uint8_t *)text.p;
    if (text.len >= 3 && memcmp(bytes, "\xEF\xBB\xBF", 3) == 0)
        fault_set(fault, 0, "a byte order mark is not allowed");
    const uint8_t *bad = u8_check(bytes, text.len);
    if (bad)
        fault_set(fault, (size_t)(bad - bytes), "not UTF-8");
}

/* The code unit of \uXXXX at p; -1: there is no such escape. */
static int escaped_unit(const char *p, const char *end)
{
    if (end - p < 6 || p[0] != '\\' || p[1] != 'u')
        return -1;
    int unit = 0;
    for (int i = 2; i < 6; i++) {
        int c = p[i] | 0x20, digit;
        if (p[i] >= '0' && p[i] <= '9')
            digit = p[i] - '0';
        else if (c >= 'a' && c <= 'f')
            digit = c - 'a' + 10;
        else
            return -1;
        unit = unit << 4 | digit;
    }
    return unit;
}

static bool is_high_surrogate(int unit)
{
    return unit >= 0xD800 && unit <= 0xDBFF;
}

static bool is_low_surrogate(int unit)
{
    return unit >= 0xDC00 && unit <= 0xDFFF;
}

/* Escapes that are not valid JSON are left to the parser. */
static void find_bad_escape(struct str text, struct json_fault *fault)
{
    const char *end = text.p + text.len, *p = text.p;
    while ((p = memchr(p, '\\', (size_t)(end - p)))) {
        int unit = escaped_unit(p, end);
        if (unit == 0) {
            fault_set(fault, (size_t)(p - text.p), NUL_REASON);
            return;
        }
        bool pair = is_high_surrogate(unit) && is_low_surrogate(escaped_unit(p + 6, end));
        if ((is_high_surrogate(unit) || is_low_surrogate(unit)) && !pair) {
            fault_set(fault, (size_t)(p - text.p), SURROGATE_REASON);
            return;
        }
        ptrdiff_t step = pair ? 12 : unit > 0 ? 6 : 2;
        if (end - p <= step)
            return;
        p += step;
    }
}

const char *json_text_fault(struct str text, size_t *ret_offset)
{
    struct json_fault fault = {NULL, text.len};
    *ret_offset = text.len;
    if (text.len == 0)
        return NULL;
    bool high, control;
    classify(text, &high, &control);
    if (control)
        find_control(text, &fault);
    if (high)
        find_bad_utf8(text, &fault);
    find_bad_escape(text, &fault);
    *ret_offset = fault.offset;
    return fault.reason;
}

/* The number after "e", limited to a value far beyond any bound. */
static int64_t parse_exponent(const char *p, const char *end)
{
    bool negative = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+'))
        p++;
    int64_t value = 0;
    for (; p < end && value < INT64_C(1) << 32; p++)
        value = value * 10 + (*p - '0');
    return negative ? -value : value;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Skips digits. false: there was none. */
static bool skip_digits(const char **p, const char *end)
{
    const char *start = *p;
    while (*p < end && is_digit(**p))
        ++*p;
    return *p > start;
}

static bool skip_one_of(const char **p, const char *end, char a, char b)
{
    if (*p == end || (**p != a && **p != b))
        return false;
    ++*p;
    return true;
}

/* RFC 8259: [ minus ] int [ frac ] [ exp ] */
static bool is_number(const char *p, const char *end)
{
    skip_one_of(&p, end, '-', '-');
    const char *start = p;
    if (!skip_digits(&p, end) || (*start == '0' && p > start + 1))
        return false;
    if (skip_one_of(&p, end, '.', '.') && !skip_digits(&p, end))
        return false;
    if (skip_one_of(&p, end, 'e', 'E')) {
        skip_one_of(&p, end, '+', '-');
        if (!skip_digits(&p, end))
            return false;
    }
    return p == end;
}

static const char *parse_any_number(struct str token, double *ret)
{
    const char *end = token.p + token.len;
    if (!is_number(token.p, end))
        return JSON_NOT_JSON;
    const char *e = token.p, *point = NULL;
    for (; e < end && (*e | 0x20) != 'e'; e++)
        if (*e == '.')
            point = e + 1;
    int64_t exp = e < end ? parse_exponent(e + 1, end) : 0;
    int64_t decimals = (point ? e - point : 0) - exp;
    if (decimals > NUMERIC_DECIMALS_MAX)
        return "a number has more than 16383 decimal places";
    *ret = strtod(token.p, NULL);
    if (!isfinite(*ret) || exp > NUMERIC_EXPONENT_MAX)
        return "a number is out of range for an IEEE double";
    return NULL;
}

/* Up to 15 digits without an exponent: the digits and the power of ten are both exact doubles, so that their quotient
 * is rounded once, as strtod() would. */
const char *json_number(struct str token, double *ret)
{
    static const double powers[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    const char *p = token.p, *end = token.p + token.len, *point = end;
    bool negative = p < end && *p == '-';
    p += negative;
    if (p == end || end - p > 16 || !is_digit(end[-1]) || *p == '.' || (*p == '0' && end - p > 1 && p[1] != '.'))
        return parse_any_number(token, ret);
    uint64_t digits = 0;
    for (; p < end; p++) {
        if (is_digit(*p))
            digits = digits * 10 + (uint64_t)(*p - '0');
        else if (*p == '.' && point == end)
            point = p + 1;
        else
            return parse_any_number(token, ret);
    }
    double value = (double)digits / powers[end - point];
    *ret = negative ? -value : value;
    return NULL;
}
