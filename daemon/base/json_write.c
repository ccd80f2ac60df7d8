#include "base/json_write.h"

#include <inttypes.h>
#include <math.h>
#include <unistr.h>

void json_write_string(struct buf *out, struct str text)
{
    const uint8_t *p = (const uint8_t *)text.p;
    size_t left = text.len;
    buf_append_str(out, STR("\""));
    while (left > 0) {
        ucs4_t c;
        int n = u8_mbtouc(&c, p, left);
        if (c == '"' || c == '\\')
            buf_printf(out, "\\%c", (char)c);
        else if (c < 0x20 || (c >= 0x7f && c < 0xa0))
            buf_printf(out, "\\u%04x", (unsigned)c);
        else if (c == 0xfffd)
            buf_append_str(out, STR("\xef\xbf\xbd"));
        else
            buf_append(out, p, (size_t)n);
        p += n;
        left -= (size_t)n;
        /* One U+FFFD per malformed sequence, independent of how many bytes this version of the library skips. */
        for (; c == 0xfffd && left > 0 && (*p & 0xc0) == 0x80; p++)
            left--;
    }
    buf_append_str(out, STR("\""));
}

void json_write_comma(struct buf *out)
{
    char last = out->len > 0 ? out->data[out->len - 1] : '{';
    if (last != '{' && last != '[')
        buf_append_str(out, STR(", "));
}

void json_write_name(struct buf *out, const char *name)
{
    json_write_comma(out);
    buf_printf(out, "\"%s\": ", name);
}

void json_write_text(struct buf *out, const char *name, struct str value)
{
    json_write_name(out, name);
    json_write_string(out, value);
}

void json_write_count(struct buf *out, const char *name, uint64_t value)
{
    json_write_name(out, name);
    buf_printf(out, "%" PRIu64, value);
}

void json_write_number(struct buf *out, const char *name, double value)
{
    json_write_name(out, name);
    buf_printf(out, isnan(value) ? "null" : "%.15g", value);
}

void json_write_bool(struct buf *out, const char *name, bool value)
{
    json_write_name(out, name);
    buf_append_str(out, value ? STR("true") : STR("false"));
}
