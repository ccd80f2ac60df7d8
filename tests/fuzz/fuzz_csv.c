/* Any bytes as each kind of file that mobeyectl imports, in one piece and in two: the same rows and diagnostics for
 * both, never a crash. What is read becomes text that PostgreSQL accepts: without a NUL. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctl/registry/burglary_csv.h"
#include "ctl/registry/csv_decode.h"
#include "ctl/registry/device_csv.h"
#include "ctl/registry/measure_csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef bool (*row_fn)(uint64_t line, const struct str *cells, struct line_diagnostics *line_diagnostics,
                       struct buf *text, struct str *ret_values);

static bool burglary_row(uint64_t line, const struct str *cells, struct line_diagnostics *line_diagnostics,
                         struct buf *text, struct str *ret_values)
{
    return row_read(&burglary_format, line, cells, line_diagnostics, text, ret_values);
}

static bool measure_row(uint64_t line, const struct str *cells, struct line_diagnostics *line_diagnostics,
                        struct buf *text, struct str *ret_values)
{
    return row_read(&measure_format, line, cells, line_diagnostics, text, ret_values);
}

/* A column of texts, as in the files of people and teams. */
static bool text_row(uint64_t line, const struct str *cells, struct line_diagnostics *line_diagnostics,
                     struct buf *text, struct str *ret_values)
{
    (void)line, (void)line_diagnostics, (void)text;
    memcpy(ret_values, cells, 3 * sizeof(*cells));
    return true;
}

static const char *const people[] = {"login", "name", "team"};
static const struct csv_columns people_columns = {people, 3, 3};

static const struct file_kind {
    const struct csv_columns *columns;
    row_fn read;
} kinds[] = {{&device_columns, device_row},
             {&burglary_format.columns, burglary_row},
             {&measure_format.columns, measure_row},
             {&people_columns, text_row}};

struct heard {
    const struct file_kind *kind;
    struct line_diagnostics line_diagnostics;
    struct buf text, rows;
};

static void on_row(void *ctx, uint64_t line, const struct str *cells)
{
    struct heard *heard = ctx;
    struct str values[CSV_COLUMNS_MAX];
    buf_be64(&heard->rows, line);
    if (!heard->kind->read(line, cells, &heard->line_diagnostics, &heard->text, values))
        return;
    for (size_t i = 0; i < heard->kind->columns->n; i++) {
        if (values[i].len && memchr(values[i].p, '\0', values[i].len))
            abort();
        buf_append_str(&heard->rows, values[i]);
    }
}

static struct heard read_in_two(const struct file_kind *kind, struct str text, size_t first, char separator)
{
    struct heard heard = {.kind = kind};
    const char *bytes = text.len ? text.p : "";
    size_t size = text.len;
    struct csv_reader *reader = csv_reader_new(kind->columns, separator, on_row, &heard, &heard.line_diagnostics);
    if (csv_reader_feed(reader, bytes, first))
        csv_reader_feed(reader, bytes + first, size - first);
    if (!csv_reader_finish(reader) && heard.line_diagnostics.errors == 0)
        abort();
    csv_reader_free(&reader);
    return heard;
}

static void forget(struct heard *heard)
{
    line_diagnostics_free(&heard->line_diagnostics);
    buf_free(&heard->text);
    buf_free(&heard->rows);
}

static void read_as(const struct file_kind *kind, struct str text, char separator)
{
    struct heard whole = read_in_two(kind, text, text.len, separator);
    struct heard halves = read_in_two(kind, text, text.len > 2 ? text.len / 2 + 1 : text.len, separator);
    if (whole.line_diagnostics.n != halves.line_diagnostics.n || !str_eq(buf_str(&whole.rows), buf_str(&halves.rows)))
        abort();
    forget(&whole);
    forget(&halves);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct line_diagnostics unread = {0};
    struct buf text = {0};
    char separator = ',';
    setenv("TZ", "Europe/Amsterdam", 1);
    tzset();
    struct str file = {size ? (const char *)data : "", size};
    if (csv_decode(file, &text, &separator, &unread))
        file = buf_str(&text);
    else if (unread.errors == 0)
        abort();
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        read_as(&kinds[i], file, separator);
    buf_free(&text);
    line_diagnostics_free(&unread);
    return 0;
}
