#include "conf/diagnostics.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/secret.h"

__attribute__((format(printf, 5, 0))) static void append(struct diagnostics *diagnostics, struct source_pos pos,
                                                         bool warning, const char *subject, const char *fmt,
                                                         va_list args)
{
    if (!warning)
        diagnostics->bad = true;
    if (diagnostics->n == DIAGNOSTICS_MAX) {
        diagnostics->more = true;
        return;
    }
    char what[1024], text[1280];
    vsnprintf(what, sizeof(what), fmt, args);
    snprintf(text, sizeof(text), "%s: %s", subject, what);
    diagnostics->list = mem_realloc(diagnostics->list, diagnostics->n + 1, sizeof(*diagnostics->list));
    diagnostics->list[diagnostics->n] =
        (struct diagnostic){.pos = pos, .warning = warning, .order = diagnostics->n, .text = mem_strdup(text)};
    diagnostics->n++;
}

void diagnostics_error(struct diagnostics *diagnostics, struct source_pos pos, const char *subject, const char *fmt,
                       ...)
{
    va_list args;
    va_start(args, fmt);
    append(diagnostics, pos, false, subject, fmt, args);
    va_end(args);
}

void diagnostics_warning(struct diagnostics *diagnostics, struct source_pos pos, const char *subject, const char *fmt,
                         ...)
{
    va_list args;
    va_start(args, fmt);
    append(diagnostics, pos, true, subject, fmt, args);
    va_end(args);
}

void diagnostics_failure(struct diagnostics *diagnostics, struct source_pos pos, const char *subject,
                         const struct err *err, const char *expected)
{
    if (strstr(err->text, "(expected "))
        diagnostics_error(diagnostics, pos, subject, "%s", err->text);
    else
        diagnostics_error(diagnostics, pos, subject, "%s (expected %s)", err->text, expected);
}

bool diagnostics_out_of_reach(struct diagnostics *diagnostics, struct source_pos pos, const char *subject,
                              const char *source)
{
    bool is = secret_out_of_reach(source);
    if (is)
        diagnostics_warning(diagnostics, pos, subject,
                            "%s is not available here (expected in the service, to which systemd passes it)", source);
    return is;
}

static int compare_sizes(size_t a, size_t b)
{
    return (a > b) - (a < b);
}

static int by_position(const void *left, const void *right)
{
    const struct diagnostic *a = left, *b = right;
    int order = compare_sizes(a->pos.line, b->pos.line);
    if (order == 0)
        order = compare_sizes(a->pos.col, b->pos.col);
    return order ? order : compare_sizes(a->order, b->order);
}

void diagnostics_write(struct diagnostics *diagnostics, const char *file, struct buf *out)
{
    if (diagnostics->n > 0)
        qsort(diagnostics->list, diagnostics->n, sizeof(*diagnostics->list), by_position);
    struct source_pos last = {1, 1};
    for (size_t i = 0; i < diagnostics->n; i++) {
        const struct diagnostic *d = &diagnostics->list[i];
        buf_printf(out, "%s:%zu:%zu: %s%s\n", file, d->pos.line, d->pos.col, d->warning ? "warning: " : "", d->text);
        last = d->pos;
    }
    if (diagnostics->more)
        buf_printf(out, "%s:%zu:%zu: file: more than %d errors and warnings; the rest are not shown\n", file, last.line,
                   last.col, DIAGNOSTICS_MAX);
}

void diagnostics_free(struct diagnostics *diagnostics)
{
    for (size_t i = 0; i < diagnostics->n; i++)
        free(diagnostics->list[i].text);
    free(diagnostics->list);
    *diagnostics = (struct diagnostics){0};
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
        /* Does not cut within a UTF-8 sequence. */
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
