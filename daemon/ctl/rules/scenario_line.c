#include "ctl/rules/scenario_line.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/near_value.h"
#include "conf/value.h"

void line_error(struct scenario_line *line, const char *fmt, ...)
{
    struct err err;
    va_list args;
    va_start(args, fmt);
    vsnprintf(err.text, sizeof(err.text), fmt, args);
    va_end(args);
    if (!line->failed)
        buf_printf(line->report, "%s:%u: %s\n", line->file, line->number, err.text);
    line->failed = true;
}

const char *line_peek(const struct scenario_line *line)
{
    return line->words[line->at];
}

const char *line_word(struct scenario_line *line, const char *what)
{
    if (line_peek(line))
        return line->words[line->at++];
    line_error(line, "%s is missing", what);
    return "";
}

bool line_skip(struct scenario_line *line, const char *word)
{
    bool is = line_peek(line) && strcmp(line_peek(line), word) == 0;
    line->at += is;
    return is;
}

struct written_time line_time(struct scenario_line *line)
{
    struct written_time time = {0};
    int words = written_time_parse(&time, line_peek(line), line_peek(line) ? line->words[line->at + 1] : NULL);
    if (words == 0)
        line_error(line, "\"%s\" is not a time (expected 2026-11-23 21:04, 21:04:11, 02:30+02:00)",
                   line_peek(line) ? line_peek(line) : "");
    line->at += (size_t)words;
    return time;
}

struct written_place line_fix(struct scenario_line *line)
{
    const char *word = line_word(line, "a place (5.38421,52.19634)");
    struct written_place place = {.given = true};
    char *comma = NULL, *end = NULL;
    place.lon = strtod(word, &comma);
    bool good = comma != word && *comma == ',';
    if (good)
        place.lat = strtod(comma + 1, &end);
    good = good && end != comma + 1 && *end == '\0' && isfinite(place.lon) && isfinite(place.lat);
    if (!good)
        line_error(line, "\"%s\" is not a place (expected longitude,latitude in degrees, such as 5.38421,52.19634)",
                   word);
    place.impossible = fabs(place.lon) > 180 || fabs(place.lat) > 90;
    return place;
}

struct written_place line_place(struct scenario_line *line)
{
    struct written_place place = line_fix(line);
    if (place.impossible && !line->failed)
        line_error(line, "%g,%g is not on Earth (expected longitude,latitude in degrees, such as 5.38421,52.19634)",
                   place.lon, place.lat);
    return place;
}

double line_number(struct scenario_line *line)
{
    struct err err;
    double number = 0;
    const char *word = line_word(line, "a number");
    if (!line->failed && value_number(word, &number, &err) < 0)
        line_error(line, "\"%s\" %s", word, err.text);
    return number;
}

int64_t line_int(struct scenario_line *line, int64_t min, int64_t max)
{
    struct err err;
    int64_t number = min;
    const char *word = line_word(line, "a number");
    if (line->failed)
        return min;
    if (value_int(word, &number, &err) < 0)
        line_error(line, "\"%s\" %s", word, err.text);
    else if (number < min || number > max)
        line_error(line, "%s is out of range (expected %lld to %lld)", word, (long long)min, (long long)max);
    return number;
}

int64_t line_duration(struct scenario_line *line)
{
    struct err err;
    int64_t us = 0;
    const char *word = line_word(line, "a duration (24h)");
    if (!line->failed && value_duration(word, &us, &err) < 0)
        line_error(line, "\"%s\" %s%s (expected 500ms, 20s, 5m, 4h30m, 7d)", word, err.text, near_duration(word).text);
    return us;
}

void line_split(struct scenario_line *line, char *text)
{
    size_t n = 0;
    char *rest = NULL;
    for (char *word = strtok_r(text, " \t\r", &rest); word && *word != '#'; word = strtok_r(NULL, " \t\r", &rest)) {
        if (n == LINE_WORDS_MAX) {
            line_error(line, "too many words (expected at most %d)", LINE_WORDS_MAX);
            break;
        }
        line->words[n++] = word;
    }
    line->words[n] = line->words[n + 1] = NULL;
}
