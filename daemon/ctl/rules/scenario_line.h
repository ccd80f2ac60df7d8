/*
 * A line of a scenario file: its words, taken one by one and checked. Only the first error of a line is reported;
 * values are meaningless after it.
 */
#ifndef MOBEYE_CTL_RULES_SCENARIO_LINE_H
#define MOBEYE_CTL_RULES_SCENARIO_LINE_H

#include "ctl/rules/scenario.h"

enum { LINE_WORDS_MAX = 256 };

struct scenario_line {
    struct scenario *scenario;
    const char *file;
    unsigned number;
    char *words[LINE_WORDS_MAX + 2]; /* ends with NULL */
    size_t at;                       /* index of the next word */
    struct buf *report;
    bool failed;
};

/* Fills words from the text, which is modified. Words are separated by blanks; a # at the beginning of a word starts a
 * comment. */
void line_split(struct scenario_line *line, char *text);

/* Appends "FILE:LINE: text" to the report. */
void line_error(struct scenario_line *line, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The next word, which is not taken; NULL at the end. */
const char *line_peek(const struct scenario_line *line);

/* Takes the next word; "" with an error that names `what` if there is none. */
const char *line_word(struct scenario_line *line, const char *what);

/* Skips the next word if it is this one, and returns whether it was. */
bool line_skip(struct scenario_line *line, const char *word);

struct written_time line_time(struct scenario_line *line);
struct written_place line_place(struct scenario_line *line);
struct written_place line_fix(struct scenario_line *line); /* may be impossible */
double line_number(struct scenario_line *line);
int64_t line_int(struct scenario_line *line, int64_t min, int64_t max);
int64_t line_duration(struct scenario_line *line); /* microseconds */

#endif
