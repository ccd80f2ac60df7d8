/* Reads line by line, so that each row has the number of the line it begins on; within a line byte by byte, driven by
 * enum csv_state. */
#include "ctl/registry/csv_read.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistr.h>

#include "base/mem.h"

struct csv_cell {
    size_t at, len; /* in `text` */
};

enum csv_state {
    CSV_BEFORE_CELL, /* only blanks so far; a quote: CSV_IN_QUOTES, other text: CSV_IN_CELL */
    CSV_IN_CELL,     /* text without quotes; a separator or the end of the line: CSV_BEFORE_CELL */
    CSV_IN_QUOTES,   /* a quote: CSV_AFTER_QUOTE; separators and line feeds are text */
    CSV_AFTER_QUOTE, /* a quote: it was doubled, CSV_IN_QUOTES; otherwise like CSV_AFTER_CELL */
    CSV_AFTER_CELL,  /* blanks after the closing quote; a separator or the end of the line: CSV_BEFORE_CELL */
};

struct csv_reader {
    const struct csv_columns *columns;
    csv_row_fn row;
    void *ctx;
    struct line_diagnostics *line_diagnostics;
    char separator;

    enum csv_state state;
    struct buf line_text; /* an incomplete line */
    uint64_t line;        /* number of the next line */
    uint64_t row_line;    /* the line that the row begins on */
    size_t row_bytes;
    bool in_row; /* the row continues after a quoted line feed */

    struct buf text; /* of the cells of the row */
    size_t cell_at;  /* where in `text` the cell begins */
    struct csv_cell cells[CSV_COLUMNS_MAX];
    size_t n_cells;           /* of the row; may be more than fit into `cells` */
    int map[CSV_COLUMNS_MAX]; /* cell of the row -> column; -1: a column without a name */
    size_t n_map;             /* 0: no header yet */
    uint32_t header;
    bool dead;
};

struct csv_reader *csv_reader_new(const struct csv_columns *columns, char separator, csv_row_fn row, void *ctx,
                                  struct line_diagnostics *line_diagnostics)
{
    struct csv_reader *reader = mem_zalloc(sizeof(*reader));
    reader->columns = columns;
    reader->separator = separator;
    reader->row = row;
    reader->ctx = ctx;
    reader->line_diagnostics = line_diagnostics;
    reader->line = 1;
    return reader;
}

void csv_reader_free(struct csv_reader **reader)
{
    if (!*reader)
        return;
    buf_free(&(*reader)->line_text);
    buf_free(&(*reader)->text);
    free(*reader);
    *reader = NULL;
}

uint32_t csv_reader_header(const struct csv_reader *reader)
{
    return reader->header;
}

static struct str cell_text(const struct csv_reader *reader, size_t i)
{
    const struct csv_cell *cell = &reader->cells[i];
    return cell->len ? (struct str){reader->text.data + cell->at, cell->len} : STR("");
}

static void list_columns(const struct csv_columns *columns, struct buf *out)
{
    for (size_t i = 0; i < columns->n; i++)
        buf_printf(out, "%s%s", i ? "," : "", columns->names[i]);
}

/* Always false: nothing more is read. */
static bool stop_reading(struct csv_reader *reader)
{
    reader->dead = true;
    return false;
}

/* Appends the name as the columns are written: in lower case, words joined by underscores. */
static void normalize_name(struct str name, struct buf *out)
{
    for (size_t i = 0; i < name.len; i++) {
        bool no_break = name.p[i] == '\xC2' && i + 1 < name.len && name.p[i + 1] == '\xA0';
        i += no_break;
        char c = no_break || strchr(" -\t", name.p[i]) ? '_' : (char)tolower((unsigned char)name.p[i]);
        buf_append(out, &c, 1);
    }
}

static int find_column(const struct csv_columns *columns, struct str name)
{
    struct buf normal = {0};
    int column = -1;
    normalize_name(name, &normal);
    for (size_t i = 0; i < columns->n; i++)
        if (str_is(buf_str(&normal), columns->names[i]))
            column = (int)i;
    buf_free(&normal);
    return column;
}

static void refuse_column(struct csv_reader *reader, struct str name)
{
    struct buf allowed = {0};
    list_columns(reader->columns, &allowed);
    line_diagnostics_add(reader->line_diagnostics, reader->row_line, false, "unknown column \"%.*s\" (expected %.*s)",
                         (int)name.len, name.p, (int)allowed.len, allowed.data);
    buf_free(&allowed);
}

static bool map_column(struct csv_reader *reader, size_t cell)
{
    struct str name = cell_text(reader, cell);
    int column = name.len ? find_column(reader->columns, name) : -1;
    reader->map[cell] = column;
    if (column < 0 && name.len > 0) {
        refuse_column(reader, name);
        return false;
    }
    if (column >= 0 && reader->header & UINT32_C(1) << column) {
        line_diagnostics_add(reader->line_diagnostics, reader->row_line, false, "%s: duplicate column",
                             reader->columns->names[column]);
        return false;
    }
    if (column >= 0)
        reader->header |= UINT32_C(1) << column;
    return true;
}

static bool read_header(struct csv_reader *reader)
{
    if (reader->n_cells > CSV_COLUMNS_MAX) {
        line_diagnostics_add(reader->line_diagnostics, reader->row_line, false,
                             "the header has %zu columns (expected at most %zu)", reader->n_cells, reader->columns->n);
        return false;
    }
    bool good = true;
    for (size_t i = 0; i < reader->n_cells; i++)
        good &= map_column(reader, i);
    for (size_t i = 0; i < reader->columns->n; i++) {
        if (!(reader->columns->required & ~reader->header & UINT32_C(1) << i))
            continue;
        line_diagnostics_add(reader->line_diagnostics, reader->row_line, false, "%s: required column is missing",
                             reader->columns->names[i]);
        good = false;
    }
    reader->n_map = reader->n_cells;
    return good;
}

static const char *bad_text(struct str text)
{
    if (text.len > 0 && memchr(text.p, '\0', text.len))
        return "contains a zero byte";
    if (u8_check((const uint8_t *)text.p, text.len))
        return "is not UTF-8";
    return NULL;
}

static bool take_cell(struct csv_reader *reader, size_t i, struct str *ret)
{
    const char *name = reader->columns->names[reader->map[i]];
    *ret = cell_text(reader, i);
    const char *bad = bad_text(*ret);
    if (!bad && ret->len == 0 && reader->columns->required & UINT32_C(1) << reader->map[i])
        bad = "is empty";
    if (bad)
        line_diagnostics_add(reader->line_diagnostics, reader->row_line, false, "%s: %s", name, bad);
    return !bad;
}

/* The row has text in a cell without a column. */
static bool has_stray_text(struct csv_reader *reader, size_t *ret_cell)
{
    for (size_t i = 0; i < reader->n_cells && i < CSV_COLUMNS_MAX; i++)
        if ((i >= reader->n_map || reader->map[i] < 0) && reader->cells[i].len > 0) {
            *ret_cell = i + 1;
            return true;
        }
    return false;
}

/* Extra cells are allowed if they are empty. */
static bool check_length(struct csv_reader *reader)
{
    size_t stray;
    bool longer = reader->n_cells > reader->n_map, strays = has_stray_text(reader, &stray);
    if (reader->n_cells < reader->n_map || (longer && strays) || reader->n_cells > CSV_COLUMNS_MAX)
        line_diagnostics_add(
            reader->line_diagnostics, reader->row_line, false,
            "the row has %zu cell%s (expected %zu, as in the header%s)", reader->n_cells,
            reader->n_cells == 1 ? "" : "s", reader->n_map,
            longer && reader->separator == ',' ? "; a cell with a comma, such as a decimal comma, must be quoted" : "");
    else if (strays)
        line_diagnostics_add(reader->line_diagnostics, reader->row_line, false,
                             "cell %zu has text, but its column has no name", stray);
    else
        return true;
    return false;
}

static void read_row(struct csv_reader *reader)
{
    struct str cells[CSV_COLUMNS_MAX] = {0};
    bool good = true;
    if (reader->text.len == 0)
        return; /* rows of separators at the end of a sheet */
    if (!check_length(reader))
        return;
    for (size_t i = 0; i < reader->n_map; i++)
        if (reader->map[i] >= 0)
            good &= take_cell(reader, i, &cells[reader->map[i]]);
    if (good)
        reader->row(reader->ctx, reader->row_line, cells);
}

static void forget_row(struct csv_reader *reader)
{
    reader->state = CSV_BEFORE_CELL;
    reader->in_row = false;
    reader->row_bytes = 0;
    reader->n_cells = 0;
    reader->cell_at = reader->text.len = 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_line_end(char c)
{
    return c == '\r' || c == '\n';
}

static void end_cell(struct csv_reader *reader)
{
    while (reader->state == CSV_IN_CELL && is_blank(reader->text.data[reader->text.len - 1]))
        reader->text.len--;
    if (reader->n_cells < CSV_COLUMNS_MAX)
        reader->cells[reader->n_cells] = (struct csv_cell){reader->cell_at, reader->text.len - reader->cell_at};
    reader->n_cells++;
    reader->cell_at = reader->text.len;
    reader->state = CSV_BEFORE_CELL;
}

static void end_row(struct csv_reader *reader)
{
    end_cell(reader);
    if (!reader->dead && reader->n_map > 0)
        read_row(reader);
    else if (!reader->dead && !read_header(reader))
        stop_reading(reader);
    forget_row(reader);
}

/* A row has no cells yet, and none begins here. */
static bool before_row(const struct csv_reader *reader)
{
    return reader->state == CSV_BEFORE_CELL && reader->n_cells == 0;
}

/* Consumes text of a cell. false: a misplaced quote, or text after the closing quote. */
static bool take_text(struct csv_reader *reader, char c)
{
    switch (reader->state) {
    case CSV_BEFORE_CELL:
        if (is_blank(c))
            return true;
        reader->state = c == '"' ? CSV_IN_QUOTES : CSV_IN_CELL;
        if (c != '"')
            buf_append(&reader->text, &c, 1);
        return true;
    case CSV_IN_CELL:
        buf_append(&reader->text, &c, 1);
        return c != '"';
    case CSV_IN_QUOTES:
        if (c == '"')
            reader->state = CSV_AFTER_QUOTE;
        else
            buf_append(&reader->text, &c, 1);
        return true;
    case CSV_AFTER_QUOTE:
        reader->state = c == '"' ? CSV_IN_QUOTES : CSV_AFTER_CELL;
        if (c == '"')
            buf_append(&reader->text, &c, 1);
        return c == '"' || is_blank(c);
    case CSV_AFTER_CELL:
        return is_blank(c);
    }
    return false;
}

static bool take_byte(struct csv_reader *reader, char c)
{
    if (reader->state == CSV_IN_QUOTES || !(c == reader->separator || is_line_end(c)))
        return take_text(reader, c);
    if (c == reader->separator)
        end_cell(reader);
    else if (!before_row(reader))
        end_row(reader);
    return true;
}

static bool is_blank_line(const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!is_blank(bytes[i]) && !is_line_end(bytes[i]))
            return false;
    return true;
}

/* The row cannot be read; the next line begins another one. */
static void quotes_are_wrong(struct csv_reader *reader, const char *what)
{
    line_diagnostics_add(reader->line_diagnostics, reader->row_line, false,
                         "%s (a cell with a separator, quote or line feed must be quoted, and quotes in it doubled)",
                         what);
    forget_row(reader);
    reader->dead = reader->n_map == 0; /* without a header no row can be read */
}

static void feed_line(struct csv_reader *reader, const char *bytes, size_t len)
{
    uint64_t line = reader->line++;
    if (!reader->in_row && is_blank_line(bytes, len))
        return;
    if (!reader->in_row)
        reader->row_line = line;
    reader->row_bytes += len;
    reader->in_row = true;
    for (size_t i = 0; i < len; i++)
        if (!take_byte(reader, bytes[i])) {
            quotes_are_wrong(reader, "misplaced quote");
            return;
        }
}

static bool too_long(struct csv_reader *reader)
{
    if (reader->row_bytes + reader->line_text.len <= CSV_ROW_MAX)
        return false;
    line_diagnostics_add(reader->line_diagnostics, reader->in_row ? reader->row_line : reader->line, false,
                         "the row is longer than %d bytes (is a quote not closed?)", CSV_ROW_MAX);
    return true;
}

/* How many of the bytes belong to the line that has begun. A carriage return without a line feed ends a line too. */
static size_t line_part(const struct csv_reader *reader, const char *bytes, size_t len, bool *ret_ends)
{
    const struct buf *text = &reader->line_text;
    char before = text->len > 0 ? text->data[text->len - 1] : '\0';
    *ret_ends = true;
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] == '\n')
            return i + 1;
        if (before == '\r')
            return i;
        before = bytes[i];
    }
    *ret_ends = false;
    return len;
}

bool csv_reader_feed(struct csv_reader *reader, const char *bytes, size_t len)
{
    while (len > 0 && !reader->dead) {
        bool ends;
        size_t part = line_part(reader, bytes, len, &ends);
        buf_append(&reader->line_text, bytes, part);
        bytes += part;
        len -= part;
        if (too_long(reader))
            return stop_reading(reader);
        if (ends) {
            feed_line(reader, reader->line_text.data, reader->line_text.len);
            reader->line_text.len = 0;
        }
    }
    return !reader->dead;
}

bool csv_reader_finish(struct csv_reader *reader)
{
    if (!reader->dead && reader->line_text.len > 0)
        feed_line(reader, reader->line_text.data, reader->line_text.len);
    reader->line_text.len = 0;
    if (!reader->dead && reader->state == CSV_IN_QUOTES)
        quotes_are_wrong(reader, "a quote is not closed");
    else if (!reader->dead && !before_row(reader))
        end_row(reader);
    if (!reader->dead && reader->n_map == 0) {
        struct buf names = {0};
        list_columns(reader->columns, &names);
        line_diagnostics_add(reader->line_diagnostics, 0, false, "the file has no header (expected %.*s)",
                             (int)names.len, names.data);
        buf_free(&names);
        stop_reading(reader);
    }
    return !reader->dead;
}
