/*
 * Byte strings: a slice owned by someone else (struct str), and a growing buffer (struct buf).
 */
#ifndef MOBEYE_BASE_BUF_H
#define MOBEYE_BASE_BUF_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Bytes with a length, not a C string. p may be NULL only if len is 0. */
struct str {
    const char *p;
    size_t len;
};

#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})

/* The same, as an initializer in a table. */
#define STR_INITIALIZER(literal)                                                                                       \
    {                                                                                                                  \
        (literal), sizeof(literal) - 1                                                                                 \
    }

/* NULL gives an empty slice. */
static inline struct str str_from(const char *c_string)
{
    struct str s = {c_string, c_string ? strlen(c_string) : 0};
    return s;
}

static inline bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

static inline bool str_is(struct str a, const char *c_string)
{
    return str_eq(a, str_from(c_string));
}

bool str_starts(struct str a, const char *c_string);

/* Invariant: len <= cap; data is NULL only while cap is 0. {0} is an empty buffer. */
struct buf {
    char *data;
    size_t len;
    size_t cap;
};

void buf_free(struct buf *buf);              /* the buffer is empty afterwards */
void buf_grow(struct buf *buf, size_t room); /* for buf_reserve() */

/* Space for `room` more bytes; len is unchanged. */
static inline char *buf_reserve(struct buf *buf, size_t room)
{
    if (buf->cap - buf->len < room)
        buf_grow(buf, room);
    return buf->data + buf->len;
}

static inline void buf_append(struct buf *buf, const void *bytes, size_t len)
{
    if (len == 0)
        return;
    memcpy(buf_reserve(buf, len), bytes, len);
    buf->len += len;
}

static inline void buf_append_str(struct buf *buf, struct str str)
{
    buf_append(buf, str.p, str.len);
}

/* A terminator, which len does not count, follows the text, even an empty one: until more is appended by another
 * function, data is a C string. */
void buf_printf(struct buf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static inline struct str buf_str(const struct buf *buf)
{
    struct str s = {buf->data, buf->len};
    return s;
}

/* Big-endian, as in the binary formats of PostgreSQL. */
static inline void buf_be16(struct buf *buf, uint16_t v)
{
    v = htobe16(v);
    buf_append(buf, &v, sizeof(v));
}

static inline void buf_be32(struct buf *buf, uint32_t v)
{
    v = htobe32(v);
    buf_append(buf, &v, sizeof(v));
}

static inline void buf_be64(struct buf *buf, uint64_t v)
{
    v = htobe64(v);
    buf_append(buf, &v, sizeof(v));
}

#endif
