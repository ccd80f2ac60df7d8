#include "ingest/dc09_frame.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/hex.h"
#include "model/alert.h"

enum {
    LENGTH_SIZE = 4, /* 0LLL */
    HEAD_BINARY = 2 + LENGTH_SIZE,
    HEAD_TEXT = 4 + LENGTH_SIZE,
    LINE_MAX_BYTES = HEAD_TEXT + DC09_BODY_MAX /* CRC to before CR */
};

static const struct {
    const char *word;
    enum dc09_id id;
} ids[] = {
    {"SIA-DCS", DC09_ID_SIA_DCS}, {"ADM-CID", DC09_ID_ADM_CID}, {"NULL", DC09_ID_NULL},
    {"ACK", DC09_ID_ACK},         {"NAK", DC09_ID_NAK},         {"DUH", DC09_ID_DUH},
};

const char *dc09_result_text(enum dc09_result result)
{
    switch (result) {
    case DC09_INCOMPLETE:
        return "the frame is incomplete";
    case DC09_GARBLED:
        return "not a DC-09 frame (expected LF CRC 0LLL \"ID\"... CR)";
    case DC09_TOO_LONG:
        return "the frame is too long (expected a CR within 4095 bytes of the first quote)";
    case DC09_BAD_LENGTH:
        return "the length does not match the frame";
    case DC09_BAD_CRC:
        return "the CRC does not match the frame";
    case DC09_NOT_UNDERSTOOD:
        return "unknown ID or unreadable header (expected SIA-DCS, ADM-CID or NULL)";
    case DC09_COMPLETE:
        return "complete";
    }
    return "";
}

uint16_t dc09_crc(struct str bytes)
{
    /* The CRC of each 4-bit value. */
    static const uint16_t table[16] = {
        0x0000, 0xCC01, 0xD801, 0x1400, 0xF001, 0x3C00, 0x2800, 0xE401,
        0xA001, 0x6C00, 0x7800, 0xB401, 0x5000, 0x9C01, 0x8801, 0x4400,
    };
    unsigned crc = 0;
    for (size_t i = 0; i < bytes.len; i++) {
        crc ^= (unsigned char)bytes.p[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return (uint16_t)crc;
}

bool dc09_is_hex(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (hex_digit(text.p[i]) < 0)
            return false;
    return text.len > 0;
}

/* The value of 4 hexadecimal characters; -1: they are not. */
static int hex4(const char *p)
{
    uint8_t bytes[2];
    return hex_read(bytes, sizeof(bytes), p) ? bytes[0] << 8 | bytes[1] : -1;
}

/* The length of CRC and 0LLL before the first quote; 0: the line does not begin with them. A text CRC has a hexadecimal
 * digit where a binary one has the quote, so a line cannot be both. */
static size_t head_size(struct str line)
{
    if (line.len > HEAD_BINARY && line.p[HEAD_BINARY] == '"' && line.p[2] == '0' && hex4(line.p + 2) >= 0)
        return HEAD_BINARY;
    if (line.len > HEAD_TEXT && line.p[HEAD_TEXT] == '"' && hex4(line.p) >= 0 && line.p[4] == '0' &&
        hex4(line.p + 4) >= 0)
        return HEAD_TEXT;
    return 0;
}

/* Removes `mark` and the hexadecimal characters after it from rest. true: there was no mark, or min to max characters.
 */
static bool parse_hex_field(struct str *rest, char mark, size_t min, size_t max, struct str *ret)
{
    if (rest->len == 0 || rest->p[0] != mark)
        return true;
    size_t len = 0;
    while (len + 1 < rest->len && hex_digit(rest->p[len + 1]) >= 0)
        len++;
    if (len < min || len > max)
        return false;
    *ret = (struct str){rest->p + 1, len};
    rest->p += len + 1;
    rest->len -= len + 1;
    return true;
}

/* "ID" or "*ID". false: no closing quote. */
static bool parse_id(struct str *rest, struct dc09_frame *ret)
{
    const char *end = memchr(rest->p + 1, '"', rest->len - 1);
    if (!end)
        return false;
    struct str word = {rest->p + 1, (size_t)(end - rest->p) - 1};
    rest->len -= word.len + 2;
    rest->p = end + 1;
    ret->encrypted = word.len > 0 && word.p[0] == '*';
    if (ret->encrypted)
        word = (struct str){word.p + 1, word.len - 1};
    ret->id_word = word;
    for (size_t i = 0; i < ARRAY_LEN(ids); i++)
        if (str_is(word, ids[i].word))
            ret->id = ids[i].id;
    return true;
}

static bool parse_seq(struct str *rest, struct str *ret)
{
    if (rest->len < 4)
        return false;
    for (int i = 0; i < 4; i++)
        if (rest->p[i] < '0' || rest->p[i] > '9')
            return false;
    *ret = (struct str){rest->p, 4};
    rest->p += 4;
    rest->len -= 4;
    return true;
}

/* The account of a NAK is A0, which is parsed as part of its line number: L0A0. */
static bool parse_addresses(struct str *rest, struct dc09_frame *ret)
{
    if (!parse_hex_field(rest, 'R', 1, 6, &ret->receiver) || rest->len == 0 || rest->p[0] != 'L' ||
        !parse_hex_field(rest, 'L', 1, 6, &ret->line) || !parse_hex_field(rest, '#', 3, 16, &ret->account) ||
        rest->len == 0 || rest->p[0] != '[')
        return false;
    ret->content = (struct str){rest->p + 1, rest->len - 1};
    return true;
}

static enum dc09_result parse_body(struct dc09_frame *ret)
{
    struct str rest = ret->body;
    if (!parse_id(&rest, ret))
        return DC09_NOT_UNDERSTOOD;
    struct dc09_frame addressed = *ret;
    if (!parse_seq(&rest, &addressed.seq) || !parse_addresses(&rest, &addressed))
        return DC09_NOT_UNDERSTOOD;
    *ret = addressed;
    return ret->id == DC09_ID_OTHER ? DC09_NOT_UNDERSTOOD : DC09_COMPLETE;
}

/* line: CRC to before CR. */
static enum dc09_result parse_line(struct str line, struct dc09_frame *ret)
{
    *ret = (struct dc09_frame){.raw = line};
    size_t head = head_size(line);
    if (head == 0)
        return DC09_GARBLED;
    struct str body = {line.p + head, line.len - head};
    if ((size_t)hex4(line.p + head - LENGTH_SIZE) != body.len)
        return DC09_BAD_LENGTH;
    bool binary = head == HEAD_BINARY;
    const unsigned char *raw = (const unsigned char *)line.p;
    uint16_t crc = (uint16_t)(binary ? raw[0] << 8 | raw[1] : hex4(line.p));
    if (crc != dc09_crc(body))
        return DC09_BAD_CRC;
    ret->body = body;
    ret->crc = crc;
    ret->crc_binary = binary;
    return parse_body(ret);
}

/* The first CR or LF at or after `from`; text.len: there is none. */
static size_t find_end(struct str text, size_t from)
{
    while (from < text.len && text.p[from] != '\r' && text.p[from] != '\n')
        from++;
    return from;
}

enum dc09_result dc09_scan(struct str bytes, struct dc09_frame *ret, size_t *ret_used)
{
    *ret = (struct dc09_frame){0};
    size_t at = 0;
    for (;;) {
        const char *lf = at < bytes.len ? memchr(bytes.p + at, '\n', bytes.len - at) : NULL;
        at = lf ? (size_t)(lf - bytes.p) : bytes.len;
        *ret_used = at;
        if (!lf)
            return DC09_INCOMPLETE;
        struct str line = {lf + 1, bytes.len - at - 1};
        /* A binary CRC may itself contain LF or CR: the quote after the length tells the two forms apart. */
        if (line.len <= HEAD_BINARY)
            return DC09_INCOMPLETE;
        size_t end = find_end(line, head_size(line) == HEAD_BINARY ? 2 : 0);
        if (end > LINE_MAX_BYTES) {
            ret->raw = line;
            *ret_used = end == line.len ? bytes.len : at + 1 + end;
            return DC09_TOO_LONG;
        }
        if (end == line.len)
            return DC09_INCOMPLETE;
        bool by_cr = line.p[end] == '\r';
        line.len = end;
        at += 1 + end + by_cr;
        *ret_used = at;
        if (line.len == 0)
            continue;
        if (by_cr)
            return parse_line(line, ret);
        ret->raw = line;
        return DC09_GARBLED;
    }
}

enum dc09_result dc09_whole(struct str message, struct dc09_frame *ret)
{
    struct str line = message;
    /* An LF before the frame; as the first byte of a binary CRC it stays. */
    if (line.len > 0 && line.p[0] == '\n' && head_size(line) == 0)
        line = (struct str){line.p + 1, line.len - 1};
    if (line.len > 0 && line.p[line.len - 1] == '\r')
        line.len--;
    *ret = (struct dc09_frame){.raw = line};
    if (line.len > LINE_MAX_BYTES)
        return DC09_TOO_LONG;
    if (find_end(line, head_size(line) == HEAD_BINARY ? 2 : 0) != line.len)
        return DC09_GARBLED;
    return parse_line(line, ret);
}

/* Removes [Iv...] from the front of rest. false: it does not begin with a complete field. */
static bool parse_field(struct str *rest, struct dc09_content *ret)
{
    const char *end = rest->len > 0 && rest->p[0] == '[' ? memchr(rest->p, ']', rest->len) : NULL;
    if (!end)
        return false;
    struct str inner = {rest->p + 1, (size_t)(end - rest->p) - 1};
    rest->len -= inner.len + 2;
    rest->p = end + 1;
    if (inner.len > 0 && ret->n_fields < DC09_FIELDS_MAX)
        ret->fields[ret->n_fields++] = (struct dc09_field){.id = inner.p[0], .value = {inner.p + 1, inner.len - 1}};
    return true;
}

bool dc09_content_parse(struct str text, struct dc09_content *ret)
{
    *ret = (struct dc09_content){.whole = text, .time_us = ALERT_NO_TIME};
    const char *end = text.len > 0 ? memchr(text.p, ']', text.len) : NULL;
    if (!end)
        return false;
    ret->data = (struct str){text.p, (size_t)(end - text.p)};
    struct str rest = {end + 1, text.len - ret->data.len - 1};
    while (parse_field(&rest, ret))
        ;
    ret->has_time = rest.len > 0 && rest.p[0] == '_';
    if (ret->has_time && !dc09_time_parse((struct str){rest.p + 1, rest.len - 1}, &ret->time_us))
        ret->time_us = ALERT_NO_TIME;
    return true;
}

bool dc09_time_parse(struct str text, int64_t *ret_wall_us)
{
    static const char form[] = "dd:dd:dd,dd-dd-dddd";
    if (text.len != sizeof(form) - 1)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (form[i] == 'd' ? text.p[i] < '0' || text.p[i] > '9' : text.p[i] != form[i])
            return false;
    char iso[32];
    int len = snprintf(iso, sizeof(iso), "%.4s-%.5sT%.8sZ", text.p + 15, text.p + 9, text.p);
    return clock_parse_rfc3339((struct str){iso, (size_t)len}, ret_wall_us);
}

char *dc09_time_format(int64_t wall_us, char out[DC09_TIME_SIZE])
{
    time_t seconds = (time_t)(wall_us / CLOCK_SECOND);
    struct tm tm;
    if (!gmtime_r(&seconds, &tm) || strftime(out, DC09_TIME_SIZE, "%H:%M:%S,%m-%d-%Y", &tm) == 0)
        out[0] = '\0';
    return out;
}

void dc09_build(struct buf *out, struct str body, bool crc_binary)
{
    assert(body.len <= DC09_BODY_MAX);
    uint16_t crc = dc09_crc(body);
    if (crc_binary) {
        buf_append(out, "\n", 1);
        buf_be16(out, crc);
    } else {
        buf_printf(out, "\n%04X", (unsigned)crc);
    }
    buf_printf(out, "%04X", (unsigned)body.len);
    buf_append_str(out, body);
    buf_append(out, "\r", 1);
}
