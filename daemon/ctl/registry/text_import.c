#include "ctl/registry/text_import.h"

#include <stdio.h>
#include <string.h>

struct text_rows {
    struct import import;
    const struct text_import *text_import;
    struct csv_columns columns;
    struct buf text;
};

/* false: errors were added to the diagnostics. */
static bool read_cells(struct text_rows *rows, uint64_t line, const struct str *cells, struct str *ret_values)
{
    const struct text_import *text_import = rows->text_import;
    struct line_diagnostics *line_diagnostics = &rows->import.line_diagnostics;
    if (text_import->format)
        return row_read(text_import->format, line, cells, line_diagnostics, &rows->text, ret_values);
    if (text_import->read_row)
        return text_import->read_row(line, cells, line_diagnostics, &rows->text, ret_values);
    memcpy(ret_values, cells, rows->columns.n * sizeof(*cells));
    return true;
}

static void on_row(void *ctx, uint64_t line, const struct str *cells)
{
    struct text_rows *rows = ctx;
    struct str values[CSV_COLUMNS_MAX] = {0};
    char number[24];
    if (!read_cells(rows, line, cells, values))
        return;
    snprintf(number, sizeof(number), "%llu", (unsigned long long)line);
    import_cell(&rows->import, str_from(number));
    for (size_t i = 0; i < rows->columns.n; i++)
        import_cell(&rows->import, values[i]);
    import_end_row(&rows->import);
}

int text_import_run(const struct text_import *text_import, const struct ctl_call *call, bool dry_run,
                    bool (*before_check)(struct import *import), bool (*before_commit)(struct import *import))
{
    uint32_t header = 0;
    struct buf list = {0};
    bool are_read = text_import->format || text_import->read_row;
    struct text_rows rows = {.import = {.verb = text_import->verb,
                                        .file = call->arguments[0],
                                        .call = call,
                                        .notes = text_import->notes,
                                        .first = text_import->first,
                                        .dry_run = dry_run,
                                        .before_check = before_check,
                                        .before_commit = before_commit,
                                        .check_values = text_import->check_columns,
                                        .local_times = are_read},
                             .text_import = text_import,
                             .columns = text_import->format ? text_import->format->columns : text_import->columns};
    int status = import_open(&rows.import, text_import->stage, text_import->copy);
    if (status == CTL_OK)
        status = import_csv(&rows.import, &rows.columns, on_row, &rows, &header);
    if (status == CTL_OK)
        import_header(&rows.columns, header, &list);
    const char *values[] = {list.data};
    if (status == CTL_OK)
        status = import_finish(&rows.import, text_import->check, text_import->merge, are_read ? 1 : 0, values);
    buf_free(&list);
    buf_free(&rows.text);
    import_close(&rows.import);
    return status;
}
