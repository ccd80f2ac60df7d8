#include "ctl/findings.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "ctl/ctl.h"

void findings_add(struct findings *findings, uint64_t line, bool warning, const char *fmt, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, fmt);
    if (vasprintf(&text, fmt, args) < 0)
        text = NULL;
    va_end(args);
    if (findings->n == findings->cap) {
        findings->cap = findings->cap ? 2 * findings->cap : 16;
        findings->list = mem_realloc(findings->list, findings->cap, sizeof(*findings->list));
    }
    findings->list[findings->n] =
        (struct finding){line, findings->n, warning, text ? text : mem_strdup("out of memory")};
    findings->n++;
    findings->errors += !warning;
}

static int by_line(const void *a, const void *b)
{
    const struct finding *x = a, *y = b;
    if (x->line != y->line)
        return x->line < y->line ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

void findings_print(struct findings *findings, const char *file)
{
    struct buf out = {0};
    if (findings->n > 1)
        qsort(findings->list, findings->n, sizeof(*findings->list), by_line);
    for (size_t i = 0; i < findings->n; i++) {
        const struct finding *finding = &findings->list[i];
        buf_printf(&out, "%s:", file);
        if (finding->line)
            buf_printf(&out, "%llu:", (unsigned long long)finding->line);
        buf_append_str(&out, finding->warning ? STR(" warning: ") : STR(" "));
        ctl_escape(&out, str_from(finding->text), false);
        buf_append(&out, "\n", 1);
    }
    if (out.len > 0)
        fwrite(out.data, 1, out.len, stderr);
    buf_free(&out);
}

void findings_free(struct findings *findings)
{
    for (size_t i = 0; i < findings->n; i++)
        free(findings->list[i].text);
    free(findings->list);
    *findings = (struct findings){0};
}
