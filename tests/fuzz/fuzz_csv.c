/* Any bytes as a file of devices, in one piece and in two: rows and complaints, the same of both, never a crash. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/registry/csv_decode.h"
#include "ctl/registry/device_csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct heard {
    struct line_diagnostics line_diagnostics;
    struct buf text, rows;
};

static void on_row(void *ctx, uint64_t line, const struct str *cells)
{
    struct heard *heard = ctx;
    struct str values[DEVICE_COLUMNS];
    buf_be64(&heard->rows, line);
    if (!device_row(line, cells, &heard->line_diagnostics, &heard->text, values))
        return;
    for (int i = 0; i < DEVICE_COLUMNS; i++)
        buf_append_str(&heard->rows, values[i]);
}

static struct heard read_in_two(const char *bytes, size_t size, size_t first, char separator)
{
    struct heard heard = {0};
    struct csv_reader *reader = csv_reader_new(&device_columns, separator, on_row, &heard, &heard.line_diagnostics);
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = size ? (const char *)data : "";
    struct line_diagnostics unread = {0};
    struct buf text = {0};
    char separator = ',';
    if (csv_decode((struct str){bytes, size}, &text, &separator, &unread)) {
        bytes = text.len ? text.data : "";
        size = text.len;
    } else if (unread.errors == 0) {
        abort();
    }
    struct heard whole = read_in_two(bytes, size, size, separator);
    struct heard halves = read_in_two(bytes, size, size > 2 ? size / 2 + 1 : size, separator);
    if (whole.line_diagnostics.n != halves.line_diagnostics.n || !str_eq(buf_str(&whole.rows), buf_str(&halves.rows)))
        abort();
    forget(&whole);
    forget(&halves);
    buf_free(&text);
    line_diagnostics_free(&unread);
    return 0;
}
