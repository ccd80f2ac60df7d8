#include "ctl/lib/cell_read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/array.h"
#include "base/clock.h"

enum { NUMBER_MAX = 32, TIME_MAX = 32 };

bool cell_has_only(struct str text, const char *characters)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.p[i] == '\0' || !strchr(characters, text.p[i]))
            return false;
    return true;
}

/* Rewrites 155.990,61 as 155990.61. false: the dots are not between groups of three digits. */
static bool replace_comma(const char *text, char out[NUMBER_MAX + 1])
{
    const char *comma = strchr(text, ',');
    if (!comma || strchr(comma + 1, ',') || strchr(comma, '.'))
        return false;
    size_t n = 0;
    for (const char *at = text; *at; at++) {
        if (*at == '.' && (strcspn(at + 1, ".,") != 3 || at == text))
            return false;
        if (*at != '.')
            out[n++] = *at == ',' ? '.' : *at;
    }
    out[n] = '\0';
    return true;
}

int cell_number(struct str text, double *ret, struct buf *assumed, struct err *err)
{
    char copy[NUMBER_MAX + 1], number[NUMBER_MAX + 1];
    if (text.len == 0 || text.len > NUMBER_MAX || !cell_has_only(text, "0123456789.,+-"))
        return err_set(err, "\"%.*s\" is not a number (expected a decimal such as 5.38421)", (int)text.len, text.p);
    memcpy(copy, text.p, text.len);
    copy[text.len] = '\0';
    bool comma = replace_comma(copy, number);
    if (!comma)
        memcpy(number, copy, text.len + 1);
    char *end;
    *ret = strtod(number, &end);
    if (*end || end == number)
        return err_set(err, "\"%s\" is not a number (expected a decimal such as 5.38421)", copy);
    if (comma)
        buf_printf(assumed, "\"%s\" read as %s (decimal comma)", copy, number);
    return 0;
}

int cell_yes_no(struct str text, bool *ret, struct buf *assumed, struct err *err)
{
    static const struct {
        const char *word;
        bool yes;
    } words[] = {{"yes", true},  {"no", false},    {"ja", true},   {"nee", false},
                 {"true", true}, {"false", false}, {"waar", true}, {"onwaar", false}};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (strlen(words[i].word) != text.len || strncasecmp(words[i].word, text.p, text.len) != 0)
            continue;
        *ret = words[i].yes;
        if (i > 1)
            buf_printf(assumed, "\"%.*s\" read as %s", (int)text.len, text.p, *ret ? "yes" : "no");
        return 0;
    }
    return err_set(err, "\"%.*s\" is not a valid value (expected yes or no)", (int)text.len, text.p);
}

/* Reads "14:00" or "14:00:30", or nothing (midnight). */
static bool read_time_of_day(const char *text, struct tm *tm)
{
    int end = 0;
    if (*text == '\0')
        return true;
    if ((*text != ' ' && *text != 'T') ||
        (sscanf(text + 1, "%2d:%2d%n:%2d%n", &tm->tm_hour, &tm->tm_min, &end, &tm->tm_sec, &end) < 2))
        return false;
    return text[1 + end] == '\0' && tm->tm_hour >= 0 && tm->tm_hour < 24 && tm->tm_min >= 0 && tm->tm_min < 60 &&
           tm->tm_sec >= 0 && tm->tm_sec < 60;
}

static bool read_local(struct str text, struct tm *ret)
{
    char copy[TIME_MAX + 1] = "";
    struct tm tm = {0};
    int end = 0;
    if (text.len > TIME_MAX || !cell_has_only(text, "0123456789-:T "))
        return false;
    memcpy(copy, text.p, text.len);
    bool iso = sscanf(copy, "%4d-%2d-%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &end) == 3 && tm.tm_year > 99;
    if (!iso && sscanf(copy, "%2d-%2d-%4d%n", &tm.tm_mday, &tm.tm_mon, &tm.tm_year, &end) != 3)
        return false;
    if (tm.tm_year < 1970 || tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > 31 ||
        !read_time_of_day(copy + end, &tm))
        return false;
    tm.tm_year -= 1900;
    tm.tm_mon--;
    *ret = tm;
    return true;
}

/* The times at which local clocks show `wanted`: 0, 1 or 2. */
static int find_times(const struct tm *wanted, time_t ret[2])
{
    int n = 0;
    for (int dst = 0; dst < 2; dst++) {
        struct tm tm = *wanted, back;
        tm.tm_isdst = dst;
        time_t at = mktime(&tm);
        if (!localtime_r(&at, &back) || back.tm_hour != wanted->tm_hour || back.tm_min != wanted->tm_min ||
            back.tm_mday != wanted->tm_mday || back.tm_mon != wanted->tm_mon || (n == 1 && ret[0] == at))
            continue;
        ret[n++] = at;
    }
    return n;
}

/* Whether the month has that day. */
static bool is_date(const struct tm *tm)
{
    struct tm copy = *tm;
    return timegm(&copy) != (time_t)-1 && copy.tm_mday == tm->tm_mday && copy.tm_mon == tm->tm_mon;
}

/* "28/11/2026 14.30": 28-11-2026 14:30, if that is a date; else "". */
static void near_time(struct str text, char ret[TIME_MAX + 1])
{
    struct tm tm;
    bool time = false;
    size_t n = 0;
    for (; n < text.len && n < TIME_MAX; n++) {
        time |= text.p[n] == ' ' || text.p[n] == 'T';
        ret[n] = text.p[n];
        if (text.p[n] == '/' || text.p[n] == '.')
            ret[n] = time ? ':' : '-';
    }
    ret[n] = '\0';
    if (n < text.len || !read_local((struct str){ret, n}, &tm) || !is_date(&tm))
        *ret = '\0';
}

int cell_time(struct str text, int64_t *ret_us, struct buf *assumed, struct err *err)
{
    struct tm tm;
    time_t times[2];
    char formatted[64], near[TIME_MAX + 1];
    if (clock_parse_rfc3339(text, ret_us))
        return 0;
    if (!read_local(text, &tm)) {
        near_time(text, near);
        return err_set(err,
                       "\"%.*s\" is not a time%s%s%s (expected RFC 3339, such as 2026-11-23T21:00:00+01:00, or local "
                       "time, such as 23-11-2026 21:00)",
                       (int)text.len, text.p, *near ? ", did you mean " : "", near, *near ? "?" : "");
    }
    if (!is_date(&tm))
        return err_set(err, "\"%.*s\" is not a date (expected a day that the month has)", (int)text.len, text.p);
    const char *zone = getenv("TZ");
    int n = find_times(&tm, times);
    if (n != 1)
        return err_set(err, "\"%.*s\" %s in %s (the clock changes; add the offset, such as +01:00)", (int)text.len,
                       text.p, n == 0 ? "does not exist" : "exists twice", zone ? zone : "local time");
    *ret_us = (int64_t)times[0] * CLOCK_SECOND;
    strftime(formatted, sizeof(formatted), "%Y-%m-%dT%H:%M:%S%z", localtime_r(&times[0], &tm));
    buf_printf(assumed, "\"%.*s\" read as %s (%s)", (int)text.len, text.p, formatted, zone ? zone : "local time");
    return 0;
}

static int position_error(struct str text, struct err *err)
{
    return err_set(err,
                   "\"%.*s\" is not a place (expected LON,LAT in degrees, such as 5.38421,52.19634, or X Y in RD New, "
                   "such as 155990.61 464256.19)",
                   (int)text.len, text.p);
}

int cell_position(struct str text, double *ret_x, double *ret_y, bool *ret_rd, struct err *err)
{
    struct buf unused = {0};
    size_t at = 0;
    while (at < text.len && !strchr(", ", text.p[at]))
        at++;
    size_t next = at;
    while (next < text.len && strchr(", ", text.p[next]))
        next++;
    struct str x = {text.p, at}, y = {text.p + next, text.len - next};
    bool numbers =
        at > 0 && y.len > 0 && cell_number(x, ret_x, &unused, err) == 0 && cell_number(y, ret_y, &unused, err) == 0;
    bool commas = unused.len > 0;
    buf_free(&unused);
    if (!numbers || commas)
        return position_error(text, err);
    *ret_rd = *ret_x >= -10000 && *ret_x <= 310000 && *ret_y >= 280000 && *ret_y <= 640000;
    if (*ret_rd || (*ret_x >= -180 && *ret_x <= 180 && *ret_y >= -90 && *ret_y <= 90))
        return 0;
    return err_set(err, "\"%.*s\" is out of range (expected longitude -180 to 180, then latitude -90 to 90)",
                   (int)text.len, text.p);
}
