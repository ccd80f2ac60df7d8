#include "ctl/lib/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistr.h>

#include "base/json_write.h"
#include "base/mem.h"
#include "store/pgtype.h"

/* C0, DEL and C1, which a terminal would interpret. */
static bool is_control(ucs4_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0);
}

void ctl_escape(struct buf *out, struct str text, bool lines)
{
    const uint8_t *p = (const uint8_t *)text.p;
    size_t left = text.len;
    while (left > 0) {
        ucs4_t c;
        int n = u8_mbtoucr(&c, p, left);
        if (n < 0)
            buf_printf(out, "\\x%02x", *p);
        else if (is_control(c) && !(lines && (c == '\n' || c == '\t')))
            buf_printf(out, "\\x%02x", (unsigned)c);
        else
            buf_append(out, p, (size_t)n);
        size_t step = n < 0 ? 1 : (size_t)n;
        p += step;
        left -= step;
    }
}

void ctl_append_bytea(struct buf *out, const char *text)
{
    size_t len;
    unsigned char *bytes = PQunescapeBytea((const unsigned char *)text, &len);
    if (!bytes)
        abort(); /* out of memory, as in base/mem.h */
    buf_append(out, bytes, len);
    PQfreemem(bytes);
}

static bool is_number(Oid type)
{
    return type == TYPE_INT2 || type == TYPE_INT4 || type == TYPE_INT8 || type == TYPE_REAL || type == TYPE_DOUBLE ||
           type == TYPE_NUMERIC;
}

/* A timestamptz as the server writes it, local with an offset: for a table to the second, for programs as RFC 3339 in
 * UTC. What is not such a time (infinity, a year BC) stays as it is. */
static void append_time(struct buf *ret, const char *text, bool utc)
{
    struct tm tm = {0};
    char sign = '+';
    int offset_h = 0, offset_m = 0, offset_s = 0;
    const char *rest = strptime(text, "%Y-%m-%d %H:%M:%S", &tm);
    size_t fraction = rest && *rest == '.' ? 1 + strspn(rest + 1, "0123456789") : 0;
    if (!rest || sscanf(rest + fraction, "%c%2d:%2d:%2d", &sign, &offset_h, &offset_m, &offset_s) < 2 ||
        strchr(rest, ' ')) {
        buf_printf(ret, "%s", text);
        return;
    }
    if (!utc) {
        buf_printf(ret, "%.*s%s", (int)(rest - text), text, rest + fraction);
        return;
    }
    char date[32];
    int offset = (offset_h * 60 + offset_m) * 60 + offset_s;
    time_t at = timegm(&tm) - (sign == '-' ? -offset : offset);
    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", gmtime_r(&at, &tm));
    buf_printf(ret, "%s%.*sZ", date, (int)fraction, rest);
}

/* The bytes to print; bytea without PostgreSQL's escape sequences. */
static void value_of(struct buf *ret, const PGresult *rows, int row, int column, bool json)
{
    const char *text = PQgetvalue(rows, row, column);
    ret->len = 0;
    if (PQftype(rows, column) == TYPE_TIMESTAMPTZ) {
        if (!PQgetisnull(rows, row, column))
            append_time(ret, text, json);
        return;
    }
    if (PQftype(rows, column) != TYPE_BYTEA) {
        buf_append(ret, text, (size_t)PQgetlength(rows, row, column));
        return;
    }
    ctl_append_bytea(ret, text);
}

static void json_value(struct buf *out, const PGresult *rows, int row, int column, struct buf *value)
{
    Oid type = PQftype(rows, column);
    const char *text = PQgetvalue(rows, row, column);
    if (PQgetisnull(rows, row, column))
        buf_append_str(out, STR("null"));
    else if (type == TYPE_BOOL)
        buf_append_str(out, *text == 't' ? STR("true") : STR("false"));
    else if (type == TYPE_JSON || type == TYPE_JSONB || (is_number(type) && !strpbrk(text, "NI")))
        buf_append_str(out, str_from(text)); /* NaN and Infinity are not JSON numbers */
    else {
        value_of(value, rows, row, column, true);
        json_write_string(out, buf_str(value));
    }
}

static void print_json(const PGresult *rows)
{
    struct buf out = {0}, value = {0};
    for (int row = 0; row < PQntuples(rows); row++) {
        buf_append_str(&out, row ? STR(",\n {") : STR("\n {"));
        for (int column = 0; column < PQnfields(rows); column++) {
            if (column)
                buf_append_str(&out, STR(", "));
            json_write_string(&out, str_from(PQfname(rows, column)));
            buf_append_str(&out, STR(": "));
            json_value(&out, rows, row, column, &value);
        }
        buf_append_str(&out, STR("}"));
    }
    printf("[%.*s%s]\n", (int)out.len, out.data ? out.data : "", out.len ? "\n" : "");
    buf_free(&out);
    buf_free(&value);
}

/* Display width of the text, which has been through ctl_escape(). */
static int width_of(struct str text)
{
    int utf8 = pg_char_to_encoding("UTF8"), width = 0;
    for (size_t i = 0; i < text.len;) {
        int cells = PQdsplen(text.p + i, utf8);
        width += cells > 0 ? cells : 0;
        i += (size_t)PQmblen(text.p + i, utf8);
    }
    return width;
}

static void print_cell(struct str text, int width, bool right, bool last)
{
    int pad = width - width_of(text);
    printf("%*s%.*s%*s", right ? pad : 0, "", (int)text.len, text.p, right || last ? 0 : pad, "");
    fputs(last ? "" : "  ", stdout);
}

/* The text of a cell; row -1 is the header. Valid until the next call. */
static struct str cell(const PGresult *rows, int row, int column, struct buf *value, struct buf *ret)
{
    ret->len = 0;
    if (row < 0)
        ctl_escape(ret, str_from(PQfname(rows, column)), false);
    else {
        value_of(value, rows, row, column, false);
        ctl_escape(ret, buf_str(value), false);
    }
    return buf_str(ret);
}

static void print_row(const PGresult *rows, int row, int columns, const int *widths, const char *style)
{
    struct buf value = {0}, text = {0};
    fputs(style ? style : "", stdout);
    for (int column = 0; column < columns; column++)
        print_cell(cell(rows, row, column, &value, &text), widths[column], is_number(PQftype(rows, column)),
                   column == columns - 1);
    fputs(style ? "\033[0m\n" : "\n", stdout);
    buf_free(&value);
    buf_free(&text);
}

static int *measure_columns(const PGresult *rows, int columns)
{
    struct buf value = {0}, text = {0};
    int *widths = mem_zalloc((size_t)columns * sizeof(*widths));
    for (int column = 0; column < columns; column++)
        for (int row = -1; row < PQntuples(rows); row++) {
            int width = width_of(cell(rows, row, column, &value, &text));
            widths[column] = width > widths[column] ? width : widths[column];
        }
    buf_free(&value);
    buf_free(&text);
    return widths;
}

void ctl_print_columns(const PGresult *rows, int columns, const char *const *styles)
{
    int *widths = measure_columns(rows, columns);
    print_row(rows, -1, columns, widths, NULL);
    for (int column = 0; column < columns; column++)
        for (int i = 0; i < widths[column] + (column < columns - 1 ? 2 : 1); i++)
            putchar(i < widths[column] ? '-' : column < columns - 1 ? ' ' : '\n');
    for (int row = 0; row < PQntuples(rows); row++)
        print_row(rows, row, columns, widths, styles ? styles[row] : NULL);
    free(widths);
}

void ctl_print_rows(const PGresult *rows, bool json)
{
    if (json)
        print_json(rows);
    else
        ctl_print_columns(rows, PQnfields(rows), NULL);
}
