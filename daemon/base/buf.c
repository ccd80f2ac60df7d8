#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

bool str_starts(struct str a, const char *c_string)
{
    size_t len = strlen(c_string);
    return a.len >= len && memcmp(a.p, c_string, len) == 0;
}

void buf_free(struct buf *buf)
{
    free(buf->data);
    *buf = (struct buf){0};
}

void buf_grow(struct buf *buf, size_t room)
{
    size_t cap = buf->cap ? buf->cap : 256;
    while (cap - buf->len < room)
        cap *= 2;
    buf->data = mem_realloc(buf->data, cap, 1);
    buf->cap = cap;
}

void buf_printf(struct buf *buf, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    va_list args_copy;
    va_copy(args_copy, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (len >= 0) {
        vsnprintf(buf_reserve(buf, (size_t)len + 1), (size_t)len + 1, fmt, args_copy);
        buf->len += (size_t)len;
    }
    va_end(args_copy);
}
