#include "conf/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

__attribute__((format(printf, 5, 0))) static void add(struct report *report, struct mark mark, bool warning,
                                                      const char *subject, const char *fmt, va_list args)
{
    if (!warning)
        report->bad = true;
    if (report->n == REPORT_MAX) {
        report->more = true;
        return;
    }
    char what[1024], text[1280];
    vsnprintf(what, sizeof(what), fmt, args);
    snprintf(text, sizeof(text), "%s: %s", subject, what);
    report->complaints = mem_realloc(report->complaints, report->n + 1, sizeof(*report->complaints));
    report->complaints[report->n] =
        (struct complaint_at){.mark = mark, .warning = warning, .order = report->n, .text = mem_strdup(text)};
    report->n++;
}

void report_error(struct report *report, struct mark mark, const char *subject, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    add(report, mark, false, subject, fmt, args);
    va_end(args);
}

void report_warning(struct report *report, struct mark mark, const char *subject, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    add(report, mark, true, subject, fmt, args);
    va_end(args);
}

static int compare(size_t a, size_t b)
{
    return (a > b) - (a < b);
}

static int by_place(const void *left, const void *right)
{
    const struct complaint_at *a = left, *b = right;
    int order = compare(a->mark.line, b->mark.line);
    if (order == 0)
        order = compare(a->mark.col, b->mark.col);
    return order ? order : compare(a->order, b->order);
}

void report_write(struct report *report, const char *file, struct buf *out)
{
    if (report->n > 0)
        qsort(report->complaints, report->n, sizeof(*report->complaints), by_place);
    struct mark last = {1, 1};
    for (size_t i = 0; i < report->n; i++) {
        const struct complaint_at *c = &report->complaints[i];
        buf_printf(out, "%s:%zu:%zu: %s%s\n", file, c->mark.line, c->mark.col, c->warning ? "warning: " : "", c->text);
        last = c->mark;
    }
    if (report->more)
        buf_printf(out, "%s:%zu:%zu: file: there is more wrong than these %d complaints\n", file, last.line, last.col,
                   REPORT_MAX);
}

void report_free(struct report *report)
{
    for (size_t i = 0; i < report->n; i++)
        free(report->complaints[i].text);
    free(report->complaints);
    *report = (struct report){0};
}

size_t control_len(const char *text)
{
    unsigned char c = (unsigned char)text[0], next = c ? (unsigned char)text[1] : 0;
    if (c == 0xc2 && next >= 0x80 && next <= 0x9f)
        return 2;
    return (c > 0 && c < 0x20) || c == 0x7f;
}

struct quoted quoted(const char *text)
{
    struct quoted q = {{0}};
    size_t max = sizeof(q.text) - sizeof("\"...\""), len = 0;
    q.text[len++] = '"';
    while (*text && len <= max) {
        size_t control = control_len(text);
        q.text[len++] = control ? '?' : *text;
        text += control ? control : 1;
    }
    if (*text) {
        /* Not in the middle of a UTF-8 sequence. */
        while (len > 1 && ((unsigned char)*text & 0xc0) == 0x80) {
            len--;
            text--;
        }
        memcpy(q.text + len, "...", 3);
        len += 3;
    }
    q.text[len] = '"';
    return q;
}
