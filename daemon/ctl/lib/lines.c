#include "ctl/lib/lines.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define READ_BYTES 65536

/* Consumes len bytes and, with `feed`, the line feed after them. */
static void take_line(struct lines *lines, size_t len, bool feed, struct line_text *ret)
{
    struct str text = {lines->in.data + lines->at, len};
    lines->at += len + feed;
    if (text.len > 0 && text.p[text.len - 1] == '\r')
        text.len--;
    ret->number = ++lines->number;
    ret->len = lines->passed + text.len;
    ret->text = ret->len <= lines->max ? text : (struct str){0};
    lines->passed = 0;
}

bool lines_next(struct lines *lines, struct line_text *ret)
{
    size_t left = lines->in.len - lines->at;
    const char *feed = left > 0 ? memchr(lines->in.data + lines->at, '\n', left) : NULL;
    if (feed) {
        take_line(lines, (size_t)(feed - lines->in.data) - lines->at, true, ret);
        return true;
    }
    if (lines->end && (left > 0 || lines->passed > 0)) {
        take_line(lines, left, false, ret);
        return true;
    }
    if (left > lines->max + 1) { /* the last byte may be the carriage return of a CR LF */
        lines->passed += left - 1;
        lines->at += left - 1;
    }
    return false;
}

int lines_read(struct lines *lines)
{
    if (lines->at > 0) {
        lines->in.len -= lines->at;
        memmove(lines->in.data, lines->in.data + lines->at, lines->in.len);
        lines->at = 0;
    }
    ssize_t len;
    do
        len = read(lines->fd, buf_reserve(&lines->in, READ_BYTES), READ_BYTES);
    while (len < 0 && errno == EINTR);
    if (len < 0)
        return -1;
    lines->in.len += (size_t)len;
    lines->end = len == 0;
    return 0;
}
