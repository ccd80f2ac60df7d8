#include "ctl/registry/text_import.h"

#include <stdio.h>

struct text_rows {
    struct import import;
    size_t n_columns;
};

static void on_row(void *ctx, uint64_t line, const struct str *cells)
{
    struct text_rows *rows = ctx;
    char number[24];
    snprintf(number, sizeof(number), "%llu", (unsigned long long)line);
    import_cell(&rows->import, str_from(number));
    for (size_t i = 0; i < rows->n_columns; i++)
        import_cell(&rows->import, cells[i]);
    import_end_row(&rows->import);
}

int text_import_run(const struct text_import *text_import, const struct ctl_call *call, bool dry_run,
                    bool (*before_check)(struct import *import), bool (*before_commit)(struct import *import))
{
    uint32_t header = 0;
    struct text_rows rows = {.import = {.verb = text_import->verb,
                                        .file = call->arguments[0],
                                        .call = call,
                                        .first = text_import->first,
                                        .dry_run = dry_run,
                                        .before_check = before_check,
                                        .before_commit = before_commit},
                             .n_columns = text_import->columns.n};
    int status = import_open(&rows.import, text_import->stage, text_import->copy);
    if (status == CTL_OK)
        status = import_csv(&rows.import, &text_import->columns, on_row, &rows, &header);
    if (status == CTL_OK)
        status = import_finish(&rows.import, text_import->check, text_import->merge, 0, NULL);
    import_close(&rows.import);
    return status;
}
