#include "ctl/lib/line_diagnostics.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "ctl/lib/ctl.h"
#include "ctl/lib/table.h"

static struct line_diagnostic *append(struct line_diagnostics *line_diagnostics, uint64_t line,
                                      enum line_severity severity, const char *fmt, va_list args)
{
    if (line_diagnostics->n == line_diagnostics->cap) {
        line_diagnostics->cap = line_diagnostics->cap ? 2 * line_diagnostics->cap : 16;
        line_diagnostics->list =
            mem_realloc(line_diagnostics->list, line_diagnostics->cap, sizeof(*line_diagnostics->list));
    }
    struct line_diagnostic *added = &line_diagnostics->list[line_diagnostics->n];
    *added = (struct line_diagnostic){line, .order = line_diagnostics->n++, .severity = severity,
                                      .text = mem_vprintf(fmt, args)};
    line_diagnostics->errors += severity == LINE_ERROR;
    return added;
}

void line_diagnostics_add(struct line_diagnostics *line_diagnostics, uint64_t line, bool warning, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    append(line_diagnostics, line, warning ? LINE_WARNING : LINE_ERROR, fmt, args);
    va_end(args);
}

void line_diagnostics_note(struct line_diagnostics *line_diagnostics, uint64_t line, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    append(line_diagnostics, line, LINE_NOTE, fmt, args);
    va_end(args);
}

void line_diagnostics_assume(struct line_diagnostics *line_diagnostics, uint64_t line, const char *topic,
                             const char *fmt, ...)
{
    for (size_t i = 0; i < line_diagnostics->n; i++)
        if (line_diagnostics->list[i].topic == topic) {
            line_diagnostics->list[i].more++;
            return;
        }
    va_list args;
    va_start(args, fmt);
    append(line_diagnostics, line, LINE_NOTE, fmt, args)->topic = topic;
    va_end(args);
}

static int by_line(const void *a, const void *b)
{
    const struct line_diagnostic *x = a, *y = b;
    if (x->line != y->line)
        return x->line < y->line ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

void line_diagnostics_print(struct line_diagnostics *line_diagnostics, const char *file)
{
    static const struct str words[] = {
        [LINE_ERROR] = {" ", 1}, [LINE_WARNING] = {" warning: ", 10}, [LINE_NOTE] = {" note: ", 7}};
    struct buf out = {0};
    if (line_diagnostics->n > 1)
        qsort(line_diagnostics->list, line_diagnostics->n, sizeof(*line_diagnostics->list), by_line);
    for (size_t i = 0; i < line_diagnostics->n; i++) {
        const struct line_diagnostic *line_diagnostic = &line_diagnostics->list[i];
        buf_printf(&out, "%s:", file);
        if (line_diagnostic->line)
            buf_printf(&out, "%llu:", (unsigned long long)line_diagnostic->line);
        buf_append_str(&out, words[line_diagnostic->severity]);
        ctl_escape(&out, str_from(line_diagnostic->text), false);
        if (line_diagnostic->more)
            buf_printf(&out, " (and %zu more)", line_diagnostic->more);
        buf_append(&out, "\n", 1);
    }
    if (out.len > 0)
        fwrite(out.data, 1, out.len, stderr);
    buf_free(&out);
}

void line_diagnostics_free(struct line_diagnostics *line_diagnostics)
{
    for (size_t i = 0; i < line_diagnostics->n; i++)
        free(line_diagnostics->list[i].text);
    free(line_diagnostics->list);
    *line_diagnostics = (struct line_diagnostics){0};
}
