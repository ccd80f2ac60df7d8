/*
 * Byte strings: a slice owned by someone else (struct str), and a growing buffer (struct buf).
 */
#ifndef MOBEYE_BASE_BUF_H
#define MOBEYE_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes with a length, not a C string. p may be NULL only if len is 0. */
struct str {
    const char *p;
    size_t len;
};

#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})

struct str str_from(const char *c_string); /* NULL gives an empty slice */
bool str_eq(struct str a, struct str b);
bool str_is(struct str a, const char *c_string);
bool str_starts(struct str a, const char *c_string);

/* Invariant: len <= cap; data is NULL only while cap is 0. {0} is an empty buffer. */
struct buf {
    char *data;
    size_t len;
    size_t cap;
};

void buf_free(struct buf *buf);                  /* the buffer is empty afterwards */
char *buf_reserve(struct buf *buf, size_t room); /* space for `room` more bytes; len is unchanged */
void buf_append(struct buf *buf, const void *bytes, size_t len);
void buf_append_str(struct buf *buf, struct str str);
void buf_printf(struct buf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
struct str buf_str(const struct buf *buf);

/* Big-endian, as in the binary formats of PostgreSQL. */
void buf_be16(struct buf *buf, uint16_t v);
void buf_be32(struct buf *buf, uint32_t v);
void buf_be64(struct buf *buf, uint64_t v);

#endif
