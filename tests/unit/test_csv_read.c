/* CSV as spreadsheets write it: rows and diagnostics, each with its line. */
#include <criterion/criterion.h>
#include <string.h>

#include "ctl/registry/csv_read.h"

static const char *const names[] = {"id", "text", "more"};
static const struct csv_columns columns = {names, 3, 1};

struct seen {
    struct buf rows; /* "LINE:ID|TEXT|MORE;" each */
    struct line_diagnostics line_diagnostics;
    uint32_t header;
    bool whole;
};

static void on_row(void *ctx, uint64_t line, const struct str *cells)
{
    struct seen *seen = ctx;
    buf_printf(&seen->rows, "%u:", (unsigned)line);
    for (size_t i = 0; i < columns.n; i++)
        buf_printf(&seen->rows, "%.*s%s", (int)cells[i].len, cells[i].len ? cells[i].p : "", i < 2 ? "|" : ";");
}

static struct seen read_text(const char *text, size_t len, size_t piece)
{
    struct seen seen = {0};
    struct csv_reader *reader = csv_reader_new(&columns, ',', on_row, &seen, &seen.line_diagnostics);
    bool more = true;
    for (size_t at = 0; at < len && more; at += piece)
        more = csv_reader_feed(reader, text + at, len - at < piece ? len - at : piece);
    seen.whole = csv_reader_finish(reader);
    seen.header = csv_reader_header(reader);
    csv_reader_free(&reader);
    cr_assert_null(reader);
    return seen;
}

static void forget(struct seen *seen)
{
    buf_free(&seen->rows);
    line_diagnostics_free(&seen->line_diagnostics);
}

static void assert_rows(const char *text, const char *rows)
{
    size_t len = strlen(text);
    for (size_t piece = 1; piece <= len; piece++) {
        struct seen seen = read_text(text, len, piece);
        cr_assert(seen.whole);
        cr_assert_eq(seen.line_diagnostics.n, 0, "%s",
                     seen.line_diagnostics.n ? seen.line_diagnostics.list[0].text : "");
        cr_assert(str_is(buf_str(&seen.rows), rows), "%.*s, in pieces of %zu", (int)seen.rows.len, seen.rows.data,
                  piece);
        forget(&seen);
    }
}

/* The first diagnostic. */
static void assert_refused(const char *text, size_t len, uint64_t line, const char *words, bool whole)
{
    struct seen seen = read_text(text, len, 7);
    cr_assert_gt(seen.line_diagnostics.n, 0, "%s", text);
    cr_assert_eq(seen.line_diagnostics.errors, seen.line_diagnostics.n);
    cr_assert_eq(seen.line_diagnostics.list[0].line, line, "%s: line %u", text,
                 (unsigned)seen.line_diagnostics.list[0].line);
    cr_assert(strstr(seen.line_diagnostics.list[0].text, words), "%s", seen.line_diagnostics.list[0].text);
    cr_assert_eq(seen.whole, whole, "%s", text);
    forget(&seen);
}

#define REFUSED(text, line, words, whole) assert_refused(text, sizeof(text) - 1, line, words, whole)

Test(csv_read, rows_have_the_line_that_they_begin_on)
{
    assert_rows("id,text\na,b\n\n  \nc,d", "2:a|b|;5:c|d|;");
    assert_rows("id,text\na,\"b\nb\"\nc,d\n", "2:a|b\nb|;4:c|d|;");
}

Test(csv_read, columns_come_in_any_order_and_case)
{
    assert_rows("More, ID\n1,2\n", "2:2||1;");
    struct seen seen = read_text("more,id\n", 8, 8);
    cr_assert_eq(seen.header, 5);
    forget(&seen);
}

Test(csv_read, quotes_marks_and_line_ends_of_spreadsheets)
{
    assert_rows("id,text\r\na,\"b \"\"c\"\", d\"\r\n", "2:a|b \"c\", d|;");
    assert_rows("id,text,more\r\n\r\na,b,\r\n,,\r\n", "3:a|b|;");
    assert_rows("id,text\ra,b\r\rc,d", "2:a|b|;4:c|d|;");
    assert_rows("id,text\ra,\"b\rb\"\rc,d\r", "2:a|b\rb|;4:c|d|;");
    assert_rows("id\n\"x\"", "2:x||;");
}

Test(csv_read, columns_without_a_name_are_empty)
{
    assert_rows("id,text,,\na,b,,\nc,d,,,,\n", "2:a|b|;3:c|d|;");
    assert_rows("id,,text\na,,b\n", "2:a|b|;");
    REFUSED("id,text,\na,b,c\n", 2, "cell 3 has text, but its column has no name", true);
    REFUSED("id,,text\na,c,b\n", 2, "cell 2 has text, but its column has no name", true);
}

Test(csv_read, a_wrong_header_ends_it)
{
    REFUSED("", 0, "the file has no header (expected id,text,more)", false);
    REFUSED("id,what\na,b\n", 1, "unknown column \"what\" (expected id,text,more)", false);
    REFUSED("id,id\n", 1, "id: duplicate column", false);
    REFUSED("text\nx\n", 1, "id: required column is missing", false);
    REFUSED("id,\"te", 1, "a quote is not closed", false);
}

Test(csv_read, a_bad_row_is_named_and_the_next_is_read)
{
    REFUSED("id,text\na\n", 2, "the row has 1 cell (expected 2, as in the header)", true);
    REFUSED("id,text\na,b,c\n", 2,
            "has 3 cells (expected 2, as in the header; a cell with a comma, such as a decimal comma, must be quoted)",
            true);
    REFUSED("id,text\n,b\n", 2, "id: is empty", true);
    REFUSED("id,text\na,\xE9\n", 2, "text: is not UTF-8", true);
    REFUSED("id,text\na,b\0c\n", 2, "text: contains a zero byte", true);
    REFUSED("id,text\na,b\"c\n", 2, "misplaced quote", true);
    REFUSED("id,text\na,b\nc,\"d\n", 3, "a quote is not closed", true);
    const char text[] = "id,text\na,b\"c\nd,e\nf\ng,h\n";
    struct seen seen = read_text(text, sizeof(text) - 1, 3);
    cr_assert_eq(seen.line_diagnostics.n, 2);
    cr_assert_eq(seen.line_diagnostics.list[1].line, 4);
    cr_assert(str_is(buf_str(&seen.rows), "3:d|e|;5:g|h|;"), "%.*s", (int)seen.rows.len, seen.rows.data);
    forget(&seen);
}

Test(csv_read, a_row_without_end_is_cut_off)
{
    struct buf text = {0};
    buf_printf(&text, "id\n\"");
    memset(buf_reserve(&text, CSV_ROW_MAX), 'x', CSV_ROW_MAX);
    text.len += CSV_ROW_MAX;
    struct seen seen = read_text(text.data, text.len, 65536);
    cr_assert_not(seen.whole);
    cr_assert_eq(seen.line_diagnostics.n, 1);
    cr_assert_eq(seen.line_diagnostics.list[0].line, 2);
    forget(&seen);
    buf_free(&text);
}
