#include "ctl/registry/csv_decode.h"

#include <errno.h>
#include <iconv.h>
#include <string.h>
#include <unistr.h>

static bool begins_with(struct str bytes, const char *mark, size_t len)
{
    return bytes.len >= len && memcmp(bytes.p, mark, len) == 0;
}

/* The name of a workbook's format by its first bytes; NULL: it is not a workbook. */
static const char *workbook(struct str bytes)
{
    if (begins_with(bytes, "PK\3\4", 4))
        return "a workbook (.xlsx or .ods)";
    return begins_with(bytes, "\xD0\xCF\x11\xE0", 4) ? "a workbook (.xls)" : NULL;
}

/* at: the position of a byte that does not end a line. */
static uint64_t line_of(struct str bytes, size_t at)
{
    uint64_t line = 1;
    for (size_t i = 0; i < at; i++)
        line += bytes.p[i] == '\n' || (bytes.p[i] == '\r' && bytes.p[i + 1] != '\n');
    return line;
}

/* Converts all of the bytes. false: *ret_at is the first one that is not valid in that encoding, or their number if
 * this machine does not know the encoding: then the error was added. */
static bool convert(struct str bytes, const char *encoding, struct buf *out, size_t *ret_at,
                    struct line_diagnostics *line_diagnostics)
{
    enum { CHUNK = 65536 };
    iconv_t converter = iconv_open("UTF-8", encoding);
    char *in = (char *)bytes.p;
    size_t in_left = bytes.len, bad = 0;
    *ret_at = bytes.len;
    // NOLINTNEXTLINE(performance-no-int-to-ptr): this is what iconv_open() returns on an error
    if (converter == (iconv_t)-1) {
        line_diagnostics_add(line_diagnostics, 0, false, "cannot be read as %s: %s (expected CSV in UTF-8)", encoding,
                             strerror(errno));
        return false;
    }
    while (in_left > 0 && !bad) {
        char *to = buf_reserve(out, CHUNK);
        size_t left = CHUNK;
        bad = iconv(converter, &in, &in_left, &to, &left) == (size_t)-1 && errno != E2BIG;
        out->len += CHUNK - left;
    }
    iconv_close(converter);
    *ret_at = bytes.len - in_left;
    return !bad;
}

static bool decode_utf16(struct str bytes, struct buf *out, struct line_diagnostics *line_diagnostics)
{
    size_t at;
    if (convert(bytes, "UTF-16", out, &at, line_diagnostics))
        return true;
    if (at < bytes.len)
        line_diagnostics_add(line_diagnostics, 0, false, "is not valid UTF-16 at byte %zu (expected CSV in UTF-8)", at);
    return false;
}

static bool decode_windows(struct str bytes, struct buf *out, struct line_diagnostics *line_diagnostics)
{
    size_t at;
    const uint8_t *bad = u8_check((const uint8_t *)bytes.p, bytes.len);
    uint64_t line = line_of(bytes, (size_t)(bad - (const uint8_t *)bytes.p));
    if (!convert(bytes, "WINDOWS-1252", out, &at, line_diagnostics)) {
        if (at < bytes.len)
            line_diagnostics_add(line_diagnostics, line_of(bytes, at), false,
                                 "byte 0x%02x is neither UTF-8 nor Windows-1252 (in a spreadsheet, save as CSV UTF-8)",
                                 (unsigned char)bytes.p[at]);
        return false;
    }
    line_diagnostics_note(line_diagnostics, line, "is not UTF-8, so the file is read as Windows-1252");
    return true;
}

static bool decode_text(struct str bytes, struct buf *out, struct line_diagnostics *line_diagnostics)
{
    if (begins_with(bytes, "\xFF\xFE", 2) || begins_with(bytes, "\xFE\xFF", 2))
        return decode_utf16(bytes, out, line_diagnostics);
    size_t mark = begins_with(bytes, "\xEF\xBB\xBF", 3) ? 3 : 0;
    const uint8_t *bad = bytes.len > 0 ? u8_check((const uint8_t *)bytes.p, bytes.len) : NULL;
    if (bad && mark) {
        line_diagnostics_add(
            line_diagnostics, line_of(bytes, (size_t)(bad - (const uint8_t *)bytes.p)), false,
            "byte 0x%02x is not UTF-8, although the file begins with its mark (in a spreadsheet, save as CSV UTF-8)",
            *bad);
        return false;
    }
    if (bad)
        return decode_windows(bytes, out, line_diagnostics);
    buf_append(out, bytes.p + mark, bytes.len - mark);
    return true;
}

/* The first line that is not blank. */
static struct str header_of(struct str text)
{
    size_t from = 0, end;
    while (from < text.len && strchr(" \t\r\n", text.p[from]) && text.p[from] != '\0')
        from++;
    for (end = from; end < text.len && text.p[end] != '\r' && text.p[end] != '\n';)
        end++;
    return (struct str){text.p + from, end - from};
}

static size_t count_unquoted(struct str line, char c)
{
    size_t n = 0;
    bool quoted = false;
    for (size_t i = 0; i < line.len; i++) {
        quoted ^= line.p[i] == '"';
        n += !quoted && line.p[i] == c;
    }
    return n;
}

static char most_frequent(struct str header)
{
    static const char separators[] = ",;\t";
    char best = ',';
    for (const char *c = separators; *c; c++)
        if (count_unquoted(header, *c) > count_unquoted(header, best))
            best = *c;
    return best;
}

/* The separator of a line "sep=;" as Excel understands it; the line is blanked, so that the others keep their numbers.
 * 0: there is no such line. */
static char declared(struct buf *out, size_t from)
{
    struct str text = {out->data + from, out->len - from};
    bool is_line = text.len > 5 && strchr("\r\n", text.p[5]) && text.p[4] && strchr(",;\t", text.p[4]);
    if (!is_line || memcmp(text.p, "sep=", 4) != 0)
        return '\0';
    char separator = text.p[4];
    memset(out->data + from, ' ', 5);
    return separator;
}

bool csv_decode(struct str bytes, struct buf *out, char *ret_separator, struct line_diagnostics *line_diagnostics)
{
    const char *what = workbook(bytes);
    size_t from = out->len;
    if (what)
        line_diagnostics_add(line_diagnostics, 0, false,
                             "is %s, not CSV (in the spreadsheet, save the sheet as CSV UTF-8)", what);
    if (what || !decode_text(bytes, out, line_diagnostics))
        return false;
    buf_reserve(out, 1); /* an empty file has a place too */
    *ret_separator = declared(out, from);
    if (*ret_separator)
        return true;
    struct str header = header_of((struct str){out->data + from, out->len - from});
    *ret_separator = most_frequent(header);
    if (*ret_separator != ',')
        line_diagnostics_note(line_diagnostics, 0, "columns are separated by %s",
                              *ret_separator == ';' ? "semicolons" : "tabs");
    return true;
}
