#include "base/buf.h"

#include <endian.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct str str_from(const char *c_string)
{
    return (struct str){c_string, c_string ? strlen(c_string) : 0};
}

bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

bool str_is(struct str a, const char *c_string)
{
    return str_eq(a, str_from(c_string));
}

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

char *buf_reserve(struct buf *buf, size_t room)
{
    if (buf->cap - buf->len < room) {
        size_t cap = buf->cap ? buf->cap : 256;
        while (cap - buf->len < room)
            cap *= 2;
        buf->data = mem_realloc(buf->data, cap, 1);
        buf->cap = cap;
    }
    return buf->data + buf->len;
}

void buf_append(struct buf *buf, const void *bytes, size_t len)
{
    if (len == 0)
        return;
    memcpy(buf_reserve(buf, len), bytes, len);
    buf->len += len;
}

void buf_append_str(struct buf *buf, struct str str)
{
    buf_append(buf, str.p, str.len);
}

void buf_printf(struct buf *buf, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    va_list args_copy;
    va_copy(args_copy, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (len > 0) {
        vsnprintf(buf_reserve(buf, (size_t)len + 1), (size_t)len + 1, fmt, args_copy);
        buf->len += (size_t)len;
    }
    va_end(args_copy);
}

struct str buf_str(const struct buf *buf)
{
    return (struct str){buf->data, buf->len};
}

void buf_be16(struct buf *buf, uint16_t v)
{
    v = htobe16(v);
    buf_append(buf, &v, sizeof(v));
}

void buf_be32(struct buf *buf, uint32_t v)
{
    v = htobe32(v);
    buf_append(buf, &v, sizeof(v));
}

void buf_be64(struct buf *buf, uint64_t v)
{
    v = htobe64(v);
    buf_append(buf, &v, sizeof(v));
}
