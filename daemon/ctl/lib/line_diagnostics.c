#include "ctl/lib/line_diagnostics.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "ctl/lib/ctl.h"

void line_diagnostics_add(struct line_diagnostics *line_diagnostics, uint64_t line, bool warning, const char *fmt, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, fmt);
    if (vasprintf(&text, fmt, args) < 0)
        text = NULL;
    va_end(args);
    if (line_diagnostics->n == line_diagnostics->cap) {
        line_diagnostics->cap = line_diagnostics->cap ? 2 * line_diagnostics->cap : 16;
        line_diagnostics->list =
            mem_realloc(line_diagnostics->list, line_diagnostics->cap, sizeof(*line_diagnostics->list));
    }
    line_diagnostics->list[line_diagnostics->n] =
        (struct line_diagnostic){line, line_diagnostics->n, warning, text ? text : mem_strdup("out of memory")};
    line_diagnostics->n++;
    line_diagnostics->errors += !warning;
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
    struct buf out = {0};
    if (line_diagnostics->n > 1)
        qsort(line_diagnostics->list, line_diagnostics->n, sizeof(*line_diagnostics->list), by_line);
    for (size_t i = 0; i < line_diagnostics->n; i++) {
        const struct line_diagnostic *line_diagnostic = &line_diagnostics->list[i];
        buf_printf(&out, "%s:", file);
        if (line_diagnostic->line)
            buf_printf(&out, "%llu:", (unsigned long long)line_diagnostic->line);
        buf_append_str(&out, line_diagnostic->warning ? STR(" warning: ") : STR(" "));
        ctl_escape(&out, str_from(line_diagnostic->text), false);
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
