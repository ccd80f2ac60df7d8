#include "board/wire_watch.h"

#include <ctype.h>
#include <string.h>

#define EXPECTED "100-continue"

/* Characters of a token (RFC 9110, 5.6.2). */
static bool is_token(unsigned char c)
{
    return isalnum(c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static void refuse(struct wire_watch *watch, int status, const char *why)
{
    watch->state = WIRE_REFUSED;
    watch->status = status;
    watch->why = why;
}

/* Keeps a character of a text that is compared as a whole; one that is too long equals nothing. */
static void keep_char(struct wire_watch *watch, char c)
{
    if (watch->len < WIRE_NAME_MAX)
        watch->text[watch->len] = c;
    watch->len += watch->len < WIRE_NAME_MAX + 1;
}

static bool kept_is(const struct wire_watch *watch, const char *text)
{
    return watch->len == strlen(text) && memcmp(watch->text, text, watch->len) == 0;
}

/* ---- the request line ---- */

static void read_method(struct wire_watch *watch, unsigned char c)
{
    if (c != ' ') {
        if (!isupper(c) || watch->len > WIRE_NAME_MAX)
            refuse(watch, 400, "invalid request line (expected METHOD PATH HTTP/1.1)");
        keep_char(watch, (char)c);
        return;
    }
    watch->post = kept_is(watch, "POST");
    watch->other_method = !watch->post && !kept_is(watch, "GET") && !kept_is(watch, "HEAD");
    if (watch->len == 0)
        refuse(watch, 400, "invalid request line (expected METHOD PATH HTTP/1.1)");
    else
        watch->state = WIRE_TARGET;
    watch->len = 0;
}

static void read_target(struct wire_watch *watch, unsigned char c)
{
    if (c == ' ' && watch->len > 0) {
        watch->state = WIRE_VERSION;
        watch->len = 0;
    } else if (c <= ' ' || c >= 0x7f || (watch->len == 0 && c != '/' && !watch->other_method) ||
               (watch->len == 1 && c == '/' && watch->text[0] == '/')) { /* //host/path, to evhttp */
        refuse(watch, 400, "the target is not a path");
    } else {
        keep_char(watch, (char)c);
    }
}

static void read_version(struct wire_watch *watch, unsigned char c)
{
    if (c != '\r') {
        keep_char(watch, (char)c);
        if (watch->len > strlen("HTTP/1.1"))
            refuse(watch, 400, "invalid request line (expected METHOD PATH HTTP/1.1)");
        return;
    }
    watch->http_1_0 = kept_is(watch, "HTTP/1.0");
    if (!watch->http_1_0 && !kept_is(watch, "HTTP/1.1"))
        refuse(watch, 505, "the version is not HTTP/1.1 or HTTP/1.0");
    else
        watch->state = WIRE_END_OF_LINE;
    watch->len = 0;
}

/* ---- the headers ---- */

static void begin_value(struct wire_watch *watch)
{
    watch->state = WIRE_VALUE;
    if (watch->len == 0) {
        refuse(watch, 400, "a header has no name");
    } else if (kept_is(watch, "transfer-encoding")) {
        refuse(watch, 400, "Transfer-Encoding is not accepted (expected Content-Length)");
    } else if (kept_is(watch, "content-length")) {
        if (watch->has_length)
            refuse(watch, 400, "duplicate Content-Length header");
        watch->has_length = true;
        watch->length = 0;
    } else if (kept_is(watch, "host")) {
        if (watch->has_host)
            refuse(watch, 400, "duplicate Host header");
        watch->has_host = true;
    }
    watch->expected = 0;
}

static void read_name(struct wire_watch *watch, unsigned char c)
{
    if (c == ':')
        begin_value(watch);
    else if (c == '\r' && watch->len == 0) {
        watch->empty_line = true;
        watch->state = WIRE_END_OF_LINE;
    } else if (c == '_')
        refuse(watch, 400, "header names must not contain _");
    else if (!is_token(c))
        refuse(watch, 400,
               watch->len == 0 && (c == ' ' || c == '\t') ? "folded header lines are not allowed"
                                                          : "invalid header name");
    else
        keep_char(watch, (char)tolower(c));
}

/* Content-Length: white space, digits, white space. */
static void read_length(struct wire_watch *watch, unsigned char c)
{
    bool space = c == ' ' || c == '\t';
    if (isdigit(c) && !watch->digits_over) {
        watch->length = watch->length * 10 + (c - '0');
        watch->digits++;
        if (watch->length > WIRE_BODY_MAX)
            refuse(watch, 413, "the body is too long (expected at most 65536 bytes)");
    } else if (space) {
        watch->digits_over = watch->digits > 0;
    } else {
        refuse(watch, 400, "Content-Length is not a number");
    }
}

/* evhttp responds itself to what it does not know, without the headers of every other response. A tab before the value
 * is part of it there. */
static void read_expect(struct wire_watch *watch, unsigned char c)
{
    if ((c == ' ' && watch->expected == 0) || ((c == ' ' || c == '\t') && watch->expected == strlen(EXPECTED)))
        return;
    if (tolower(c) != EXPECTED[watch->expected])
        refuse(watch, 417, "the expectation is not 100-continue");
    watch->expected++;
}

static void read_value(struct wire_watch *watch, unsigned char c)
{
    bool length = kept_is(watch, "content-length"), expect = kept_is(watch, "expect");
    if (c == '\r') {
        if (length && watch->digits == 0)
            refuse(watch, 400, "Content-Length is not a number");
        else if (expect && watch->expected != strlen(EXPECTED))
            refuse(watch, 417, "the expectation is not 100-continue");
        else
            watch->state = WIRE_END_OF_LINE;
        watch->len = 0;
    } else if ((c < ' ' && c != '\t') || c == 0x7f) {
        refuse(watch, 400, "a header contains a control character");
    } else if (length) {
        read_length(watch, c);
    } else if (expect) {
        read_expect(watch, c);
    }
}

static void end_head(struct wire_watch *watch)
{
    if (!watch->has_host && !watch->http_1_0)
        refuse(watch, 400, "the Host header is missing");
    else if (watch->other_method) /* not earlier: forbidden headers are reported first */
        refuse(watch, 405, "the method is not GET, HEAD or POST");
    else if (watch->length > 0 &&
             !watch->post) /* evhttp does not read the body of a HEAD: it would take it for the next request */
        refuse(watch, 400, "a body is allowed only with POST");
    else
        watch->state = watch->length > 0 ? WIRE_BODY : WIRE_RESPONSE;
    watch->body_left = watch->length;
}

static void read_end_of_line(struct wire_watch *watch, unsigned char c)
{
    if (c != '\n')
        refuse(watch, 400, "a line does not end in CR LF");
    else if (watch->empty_line)
        end_head(watch);
    else
        watch->state = WIRE_NAME;
}

static void read_head(struct wire_watch *watch, unsigned char c)
{
    static void (*const readers[])(struct wire_watch *, unsigned char) = {
        [WIRE_METHOD] = read_method, [WIRE_TARGET] = read_target, [WIRE_VERSION] = read_version,
        [WIRE_NAME] = read_name,     [WIRE_VALUE] = read_value,   [WIRE_END_OF_LINE] = read_end_of_line,
    };
    if (++watch->head_bytes > WIRE_HEAD_MAX)
        refuse(watch, 431, "the head is too long (expected at most 16384 bytes)");
    else
        readers[watch->state](watch, c);
}

void wire_watch_feed(struct wire_watch *watch, const char *bytes, size_t len)
{
    while (len > 0 && watch->state != WIRE_REFUSED) {
        size_t n = 1;
        if (watch->state == WIRE_RESPONSE) {
            n = len;
            watch->early += n;
        } else if (watch->state == WIRE_BODY) {
            n = len < watch->body_left ? len : watch->body_left;
            watch->body_left -= n;
            watch->state = watch->body_left > 0 ? WIRE_BODY : WIRE_RESPONSE;
        } else {
            read_head(watch, (unsigned char)*bytes);
        }
        bytes += n;
        len -= n;
    }
}

void wire_watch_next(struct wire_watch *watch)
{
    if (watch->state != WIRE_REFUSED)
        *watch = (struct wire_watch){.state = WIRE_METHOD};
}
