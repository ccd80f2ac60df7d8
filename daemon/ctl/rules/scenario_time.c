/* Times of scenarios. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "ctl/rules/scenario.h"

static bool read_date(struct written_time *time, const char *word)
{
    int end = 0;
    if (sscanf(word, "%4d-%2d-%2d%n", &time->year, &time->month, &time->day, &end) != 3 || word[end] != '\0')
        return false;
    return end == 10 && time->year >= 1970 && time->month >= 1 && time->month <= 12 && time->day >= 1 &&
           time->day <= 31;
}

/* Parses what follows the time of day: nothing, Z, or +HH:MM. */
static bool read_offset(struct written_time *time, const char *text)
{
    if (*text == '\0')
        return true;
    int hours = 0, minutes = 0, end = 0;
    char sign = *text;
    time->has_offset = true;
    if (strcmp(text, "Z") == 0)
        return true;
    if ((sign != '+' && sign != '-') || sscanf(text + 1, "%2d:%2d%n", &hours, &minutes, &end) != 2 || end != 5 ||
        text[1 + end] != '\0' || hours < 0 || hours > 14 || minutes < 0 || minutes > 59)
        return false;
    time->offset_min = (sign == '-' ? -1 : 1) * (hours * 60 + minutes);
    return true;
}

static bool read_clock(struct written_time *time, const char *word)
{
    int end = 0, more = 0;
    if (sscanf(word, "%2d:%2d%n", &time->hour, &time->minute, &end) != 2 || end != 5)
        return false;
    if (word[end] == ':') {
        if (sscanf(word + end, ":%2d%n", &time->second, &more) != 1 || more != 3)
            return false;
        end += more;
    }
    return time->hour >= 0 && time->hour < 24 && time->minute >= 0 && time->minute < 60 && time->second >= 0 &&
           time->second < 60 && read_offset(time, word + end);
}

int written_time_parse(struct written_time *ret, const char *word, const char *next)
{
    struct written_time date = {.given = true};
    if (!word)
        return 0;
    date.has_date = read_date(&date, word);
    *ret = date;
    if (!date.has_date)
        return read_clock(ret, word) ? 1 : 0;
    if (next && read_clock(ret, next))
        return 2;
    *ret = date; /* midnight */
    return 1;
}

static int64_t days_since_1970(int year, int month, int day)
{
    struct tm tm = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day};
    return (int64_t)timegm(&tm) / 86400;
}

/* Returns the first of two possible times when summer time ends. */
static int local_seconds(const struct written_time *time, int64_t *ret)
{
    for (int summer = 1; summer >= 0; summer--) {
        struct tm tm = {.tm_year = time->year - 1900,
                        .tm_mon = time->month - 1,
                        .tm_mday = time->day,
                        .tm_hour = time->hour,
                        .tm_min = time->minute,
                        .tm_sec = time->second,
                        .tm_isdst = summer};
        *ret = (int64_t)mktime(&tm);
        if (tm.tm_isdst == summer && tm.tm_hour == time->hour && tm.tm_min == time->minute && tm.tm_mday == time->day)
            return 0;
    }
    return -1;
}

int written_time_us(const struct written_time *time, struct written_time *before, int64_t *ret_us, struct err *err)
{
    struct written_time whole = *time;
    if (!whole.has_date) {
        if (!before->has_date)
            return err_set(err, "the first time needs a date (2026-11-23 21:04)");
        whole.year = before->year;
        whole.month = before->month;
        whole.day = before->day;
        whole.has_date = true;
    }
    *before = whole;
    int64_t seconds = days_since_1970(whole.year, whole.month, whole.day) * 86400 + whole.hour * 3600 +
                      whole.minute * 60 + whole.second - whole.offset_min * 60;
    if (!whole.has_offset && local_seconds(&whole, &seconds) < 0)
        return err_set(err, "%04d-%02d-%02d %02d:%02d does not exist in this time zone", whole.year, whole.month,
                       whole.day, whole.hour, whole.minute);
    *ret_us = seconds * CLOCK_SECOND;
    return 0;
}
