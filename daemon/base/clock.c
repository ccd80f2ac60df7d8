#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t read_clock(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return ts.tv_sec * CLOCK_SECOND + ts.tv_nsec / 1000;
}

int64_t clock_mono_us(void)
{
    return read_clock(CLOCK_BOOTTIME);
}

int64_t clock_wall_us(void)
{
    return read_clock(CLOCK_REALTIME);
}

/* Days from 1970-01-01 in the proleptic Gregorian calendar, by counting years from 1 March. */
static int64_t days_from_civil(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

/* Reads n digits at *p and moves past them; -1 if they are not digits. */
static int read_digits(const char **p, const char *end, int n)
{
    if (end - *p < n)
        return -1;
    int value = 0;
    for (int i = 0; i < n; i++) {
        unsigned digit = (unsigned char)(*p)[i] - (unsigned)'0';
        if (digit > 9)
            return -1;
        value = value * 10 + (int)digit;
    }
    *p += n;
    return value;
}

static inline bool skip_char(const char **p, const char *end, const char *one_of)
{
    if (*p == end || **p == '\0')
        return false;
    while (*one_of != '\0' && *one_of != **p)
        one_of++;
    if (*one_of == '\0')
        return false;
    (*p)++;
    return true;
}

/* Reads ".25" as microseconds, truncating further decimals. -1: a point without digits. */
static int read_fraction_us(const char **p, const char *end)
{
    if (!skip_char(p, end, "."))
        return 0;
    const char *first = *p;
    int us = 0;
    for (int weight = 100000; *p < end && **p >= '0' && **p <= '9'; (*p)++, weight /= 10)
        us += (**p - '0') * weight;
    return *p == first ? -1 : us;
}

static bool read_offset(const char **p, const char *end, int *ret)
{
    *ret = 0;
    if (skip_char(p, end, "Zz"))
        return true;
    bool west = *p < end && **p == '-';
    if (!skip_char(p, end, "+-"))
        return false;
    int hours = read_digits(p, end, 2);
    if (hours < 0 || hours > 23 || !skip_char(p, end, ":"))
        return false;
    int minutes = read_digits(p, end, 2);
    if (minutes < 0 || minutes > 59)
        return false;
    *ret = (west ? -1 : 1) * (hours * 60 + minutes);
    return true;
}

bool clock_parse_rfc3339(struct str text, int64_t *ret_wall_us)
{
    if (text.len == 0)
        return false;
    const char *p = text.p, *end = text.p + text.len;
    int year = read_digits(&p, end, 4);
    if (year < 1 || !skip_char(&p, end, "-"))
        return false;
    int month = read_digits(&p, end, 2);
    if (month < 1 || month > 12 || !skip_char(&p, end, "-"))
        return false;
    int day = read_digits(&p, end, 2);
    if (day < 1 || day > days_in_month(year, month) || !skip_char(&p, end, "Tt "))
        return false;
    int hour = read_digits(&p, end, 2);
    if (hour < 0 || hour > 23 || !skip_char(&p, end, ":"))
        return false;
    int minute = read_digits(&p, end, 2);
    if (minute < 0 || minute > 59 || !skip_char(&p, end, ":"))
        return false;
    int second = read_digits(&p, end, 2);
    if (second < 0 || second > 60)
        return false;
    int us = read_fraction_us(&p, end);
    int offset = 0;
    if (us < 0 || !read_offset(&p, end, &offset) || p != end)
        return false;
    int64_t seconds = days_from_civil(year, month, day) * 86400 + hour * 3600 + (minute - offset) * 60 + second;
    *ret_wall_us = seconds * CLOCK_SECOND + us;
    return true;
}

char *clock_format_rfc3339(int64_t wall_us, int decimals, char out[CLOCK_RFC3339_SIZE])
{
    time_t seconds = (time_t)(wall_us / CLOCK_SECOND);
    int us = (int)(wall_us % CLOCK_SECOND);
    if (us < 0) {
        us += (int)CLOCK_SECOND;
        seconds--;
    }
    struct tm tm;
    gmtime_r(&seconds, &tm);
    /* %Y would not have four digits before the year 1000. */
    size_t len = (size_t)snprintf(out, CLOCK_RFC3339_SIZE, "%04d", tm.tm_year + 1900);
    len += strftime(out + len, CLOCK_RFC3339_SIZE - len, "-%m-%dT%H:%M:%S", &tm);
    if (decimals == 3)
        snprintf(out + len, CLOCK_RFC3339_SIZE - len, ".%03dZ", us / 1000);
    else if (decimals == 6)
        snprintf(out + len, CLOCK_RFC3339_SIZE - len, ".%06dZ", us);
    else
        snprintf(out + len, CLOCK_RFC3339_SIZE - len, "Z");
    return out;
}
