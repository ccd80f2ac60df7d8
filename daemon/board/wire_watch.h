/*
 * Checks the bytes of requests before libevent's evhttp parses them, and refuses what it must not see.
 *
 * evhttp (2.1.12) is lenient where a peer tries to deceive: it takes the first of two Content-Length, skips a
 * Transfer-Encoding that it does not know, merges trailers into the headers, joins folded lines, cuts a header at a
 * NUL, and takes "Content-Length " for another header. Each of these lets two servers see different requests in the
 * same bytes, or lets a client name the person. So every byte is checked against the grammar of RFC 9112 first,
 * strictly.
 *
 * A pure state machine, without memory of its own beyond the struct.
 */
#ifndef MOBEYE_BOARD_WIRE_WATCH_H
#define MOBEYE_BOARD_WIRE_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_HEAD_MAX ((size_t)16 * 1024) /* bytes of a request line and its headers */
#define WIRE_BODY_MAX ((size_t)64 * 1024)
#define WIRE_NAME_MAX 64

enum wire_state {
    WIRE_METHOD,      /* the start of a request. A space -> TARGET */
    WIRE_TARGET,      /* a space -> VERSION */
    WIRE_VERSION,     /* CR -> END_OF_LINE */
    WIRE_NAME,        /* the start of a header line. A colon -> VALUE; CR at its start -> the end of the head */
    WIRE_VALUE,       /* CR -> END_OF_LINE */
    WIRE_END_OF_LINE, /* LF -> NAME, or after an empty line BODY or RESPONSE */
    WIRE_BODY,        /* body_left bytes -> RESPONSE */
    WIRE_RESPONSE,    /* the request is complete; wire_watch_next() -> METHOD. Bytes are counted as `early` */
    WIRE_REFUSED,     /* see status and why */
};

struct wire_watch {
    enum wire_state state;
    int status;      /* REFUSED: 400, 405, 413, 417, 431 or 505 */
    const char *why; /* static text */
    size_t head_bytes, body_left;
    size_t early;                 /* bytes after a request without a response yet: the next one, sent ahead */
    size_t len;                   /* of text */
    char text[WIRE_NAME_MAX + 1]; /* of the method, the version, or the name of a header, in lower case */
    uint64_t length;              /* of Content-Length, as far as read so far */
    size_t digits;                /* of that length */
    size_t expected;              /* of 100-continue, as far as read so far */
    bool empty_line, http_1_0, has_length, has_host, digits_over, post, other_method;
};

/* Reads the next bytes from the peer. After a refusal it reads nothing more. */
void wire_watch_feed(struct wire_watch *watch, const char *bytes, size_t len);

/* The response has been sent, and the connection stays open. */
void wire_watch_next(struct wire_watch *watch);

#endif
