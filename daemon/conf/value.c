#include "conf/value.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/array.h"

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit durations[] = {
    {"d", INT64_C(86400000000)}, {"h", INT64_C(3600000000)}, {"m", 60000000}, {"s", 1000000}, {"ms", 1000},
};
static const struct unit sizes[] = {
    {"TiB", INT64_C(1) << 40},
    {"GiB", 1 << 30},
    {"MiB", 1 << 20},
    {"KiB", 1 << 10},
};
static const char *const days[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

/* Reads the digits at *p and moves past them. False: no digits, or the number does not fit an int64_t. */
static bool read_digits(const char **p, int64_t *ret)
{
    char *end;
    if (!isdigit((unsigned char)**p))
        return false;
    errno = 0;
    *ret = strtoll(*p, &end, 10);
    *p = end;
    return errno == 0;
}

int value_int(const char *text, int64_t *ret, struct err *err)
{
    double number;
    const char *p = text + (*text == '-');
    if (value_number(text, &number, NULL) != 0)
        return err_set(err, "is not a number");
    if (!isdigit((unsigned char)*p) || p[strspn(p, "0123456789")])
        return err_set(err, "is not a whole number");
    /* YAML 1.1 reads 010 as 8, which is not what its author meant. */
    if (p[0] == '0' && p[1])
        return err_set(err, "has a leading zero");
    errno = 0;
    *ret = strtoll(text, NULL, 10);
    return errno == 0 ? 0 : err_set(err, "is out of range");
}

int value_number(const char *text, double *ret, struct err *err)
{
    char *end;
    if (!*text || text[strspn(text, "0123456789.eE+-")])
        return err_set(err, "is not a number");
    *ret = strtod(text, &end);
    if (*end || !isfinite(*ret))
        return err_set(err, "is not a number");
    return 0;
}

int value_bool(const char *text, bool *ret, struct err *err)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (strcasecmp(text, words[i]) == 0) {
            *ret = i % 2;
            return 0;
        }
    }
    return err_set(err, "is not true or false");
}

int value_duration(const char *text, int64_t *ret_us, struct err *err)
{
    const char *p = text;
    int64_t sum = 0, number, part;
    size_t next = 0; /* units come in this order, each at most once */
    if (strcmp(text, "0") == 0) {
        *ret_us = 0;
        return 0;
    }
    do {
        if (!isdigit((unsigned char)*p))
            return err_set(err, "is not a duration");
        if (!read_digits(&p, &number))
            return err_set(err, "is out of range");
        size_t len = strcspn(p, "0123456789");
        while (next < ARRAY_LEN(durations) &&
               (strlen(durations[next].name) != len || memcmp(durations[next].name, p, len) != 0))
            next++;
        if (next == ARRAY_LEN(durations))
            return err_set(err, "is not a duration");
        if (__builtin_mul_overflow(number, durations[next++].factor, &part) || __builtin_add_overflow(sum, part, &sum))
            return err_set(err, "is out of range");
        p += len;
    } while (*p);
    *ret_us = sum;
    return 0;
}

int value_size(const char *text, int64_t *ret_bytes, struct err *err)
{
    const char *p = text;
    int64_t number, factor = 0;
    if (!isdigit((unsigned char)*p))
        return err_set(err, "is not a size");
    if (!read_digits(&p, &number))
        return err_set(err, "is out of range");
    if (!*p)
        factor = 1;
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        if (strcmp(p, sizes[i].name) == 0)
            factor = sizes[i].factor;
    if (factor == 0)
        return err_set(err, "is not a size");
    return __builtin_mul_overflow(number, factor, ret_bytes) ? err_set(err, "is out of range") : 0;
}

int value_distance(const char *text, double *ret_m, struct err *err)
{
    static const char digits[] = "0123456789";
    const char *p = text + strspn(text, digits);
    bool good = p > text;
    if (*p == '.') {
        size_t decimals = strspn(p + 1, digits);
        good = good && decimals > 0;
        p += 1 + decimals;
    }
    bool metres = strcmp(p, "m") == 0;
    if (!good || (!metres && strcmp(p, "km") != 0))
        return err_set(err, "is not a distance");
    *ret_m = strtod(text, NULL) * (metres ? 1 : 1000);
    return 0;
}

/* Reads "HH:MM" at *p, up to 24:00. */
static bool read_time(const char **p, int *ret_min)
{
    const char *t = *p;
    for (size_t i = 0; i < 5; i++)
        if (i == 2 ? t[i] != ':' : !isdigit((unsigned char)t[i]))
            return false;
    int hour = (t[0] - '0') * 10 + t[1] - '0', min = (t[3] - '0') * 10 + t[4] - '0';
    *p += 5;
    *ret_min = hour * 60 + min;
    return min < 60 && *ret_min <= 24 * 60;
}

int value_hours(const char *text, struct conf_hours *ret, struct err *err)
{
    const char *p = text;
    if (!read_time(&p, &ret->from_min) || *p++ != '-' || !read_time(&p, &ret->until_min) || *p ||
        ret->from_min == 24 * 60)
        return err_set(err, "is not a time range");
    if (ret->from_min == ret->until_min)
        return err_set(err, "ends when it starts");
    return 0;
}

int value_date(const char *text, uint32_t *ret_day, struct err *err)
{
    static const uint32_t lengths[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    uint32_t number = 0;
    for (size_t i = 0; i < 10; i++) {
        bool dash = i == 4 || i == 7;
        if (dash ? text[i] != '-' : !isdigit((unsigned char)text[i]))
            return err_set(err, "is not a date");
        if (!dash)
            number = number * 10 + (uint32_t)(text[i] - '0');
    }
    uint32_t year = number / 10000, month = number / 100 % 100, day = number % 100;
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (text[10] || month < 1 || month > 12 || day < 1 || day > lengths[month - 1] ||
        (month == 2 && day == 29 && !leap))
        return err_set(err, "is not a date");
    *ret_day = number;
    return 0;
}

static int day_from(const char *text, size_t len)
{
    for (size_t i = 0; i < ARRAY_LEN(days); i++)
        if (strlen(days[i]) == len && memcmp(days[i], text, len) == 0)
            return (int)i;
    return -1;
}

int value_days(const char *text, uint32_t *ret_days, struct err *err)
{
    size_t len = strcspn(text, "-");
    int from = day_from(text, len);
    int until = text[len] ? day_from(text + len + 1, strlen(text + len + 1)) : from;
    if (from < 0 || until < 0)
        return err_set(err, "is not a day");
    *ret_days = 0;
    for (int day = from;; day = (day + 1) % (int)ARRAY_LEN(days)) {
        *ret_days |= 1u << day;
        if (day == until)
            return 0;
    }
}

struct value_text value_duration_text(int64_t us)
{
    struct value_text out = {""};
    size_t len = 0;
    for (size_t i = 0; i < ARRAY_LEN(durations); i++) {
        int64_t count = us / durations[i].factor;
        us %= durations[i].factor;
        if (count > 0)
            len += (size_t)snprintf(out.text + len, sizeof(out.text) - len, "%" PRId64 "%s", count, durations[i].name);
    }
    if (len == 0)
        memcpy(out.text, "0s", sizeof("0s"));
    return out;
}

struct value_text value_size_text(int64_t bytes)
{
    struct value_text out;
    struct unit unit = {"", 1};
    for (size_t i = ARRAY_LEN(sizes); i-- > 0;)
        if (bytes > 0 && bytes % sizes[i].factor == 0)
            unit = sizes[i];
    snprintf(out.text, sizeof(out.text), "%" PRId64 "%s", bytes / unit.factor, unit.name);
    return out;
}

struct value_text value_distance_text(int64_t m)
{
    struct value_text out;
    bool whole = m > 0 && m % 1000 == 0;
    snprintf(out.text, sizeof(out.text), "%" PRId64 "%s", whole ? m / 1000 : m, whole ? "km" : "m");
    return out;
}

const char *value_not_text(const char *text)
{
    double number;
    bool truth;
    const char *p = text + (*text == '-' || *text == '+');
    bool hex = p[0] == '0' && (p[1] == 'x' || p[1] == 'X') && p[2] && !p[2 + strspn(p + 2, "0123456789abcdefABCDEF")];
    if (hex || value_number(text, &number, NULL) == 0)
        return "a number";
    if (value_bool(text, &truth, NULL) == 0)
        return "true or false";
    return NULL;
}

size_t value_chars(const char *text)
{
    size_t chars = 0;
    for (; *text; text++)
        chars += ((unsigned char)*text & 0xc0) != 0x80;
    return chars;
}
