/*
 * The import of a CSV file into one temporary table: of plain texts, as for people and teams, or of cells with a
 * format.
 */
#ifndef MOBEYE_CTL_REGISTRY_TEXT_IMPORT_H
#define MOBEYE_CTL_REGISTRY_TEXT_IMPORT_H

#include "ctl/lib/options.h"
#include "ctl/registry/import.h"
#include "ctl/registry/row_read.h"

struct text_import {
    const char *verb;
    struct csv_columns columns;
    const struct row_format *format; /* NULL: all cells are texts, unless read_row; else columns are those of the
                                      * format, and times without an offset are local */
    const char *stage, *copy, *check, *merge, *first; /* see import.h; the line is the first column */
    bool check_columns;                               /* `check` has the parameter of `merge` too */
    const char *notes;                                /* see import.h */
    /* Reads a row in place of a format, as row_read() does. NULL: none. */
    bool (*read_row)(uint64_t line, const struct str *cells, struct line_diagnostics *line_diagnostics,
                     struct buf *text, struct str *ret_values);
};

/* Imports the file that is the call's argument. With a format or read_row, the parameter of `merge` is the array of the
 * columns that the file has. before_check, before_commit: see import.h. Returns an exit status; errors are printed. */
int text_import_run(const struct text_import *text_import, const struct ctl_call *call, bool dry_run,
                    bool (*before_check)(struct import *import), bool (*before_commit)(struct import *import));

#endif
