/*
 * The common part of the imports: a file becomes rows of a temporary table, the database checks them, and either all of
 * them are stored or none.
 */
#ifndef MOBEYE_CTL_REGISTRY_IMPORT_H
#define MOBEYE_CTL_REGISTRY_IMPORT_H

#include "ctl/lib/ctl.h"
#include "ctl/lib/line_diagnostics.h"
#include "ctl/lib/options.h"
#include "ctl/registry/csv_read.h"

#define CSV_HELP                                                                                                       \
    "\nThe file may be as a spreadsheet saves it: separated by commas, semicolons or tabs; in UTF-8, UTF-16 or\n"      \
    "Windows-1252; with decimal commas; column names in any case, with spaces for underscores. Everything that was\n"  \
    "assumed is printed.\n"
#define CSV_DRY_RUN_HELP                                                                                               \
    "      --dry-run          import: check everything, print the first rows as interpreted, and store nothing\n"

struct import {
    const char *verb;
    const char *file; /* - is stdin */
    const struct ctl_call *call;
    struct line_diagnostics line_diagnostics; /* errors and warnings so far */
    bool whole;                               /* the whole file could be read, with or without errors */
    const char *notes; /* a query for information about the imported rows: line, text; NULL: none */
    const char *first; /* a query for the first rows as they were interpreted, for --dry-run */
    bool dry_run;      /* check and count, print the first rows, store nothing */
    bool (*before_check)(struct import *import);  /* all rows are there; false: the error is printed. NULL: none */
    bool (*before_commit)(struct import *import); /* the same, once everything is stored; not with dry_run */
    /* Whether what `merge` did needs a confirmation; then everything is undone, confirm() asks (false: the answer was
     * no, which it has reported), and `merge` runs again. NULL: never. Not with dry_run. */
    bool (*unconfirmed)(struct import *import);
    bool (*confirm)(struct import *import);
    bool check_values; /* the query `check` has the parameters of `merge` too */
    bool local_times;  /* the file may have times without an offset: see local_zone.h */
    PGconn *conn;
    struct buf rows; /* rows to be sent, in COPY format */
};

/* Connects, begins a transaction, runs `stage` (creates the temporary table) and `copy` (a COPY FROM STDIN). Returns an
 * exit status; errors are printed. import_close() it in any case. */
int import_open(struct import *import, const char *stage, const char *copy);

/* Adds a cell to the row, NULL if empty. End the row with import_end_row(). */
void import_cell(struct import *import, struct str text);
void import_end_row(struct import *import);

/* Reads the file and passes its bytes to `feed` until that returns false (the rest cannot be parsed). Returns an exit
 * status: CTL_FAILED if reading or sending failed; the error is printed. */
int import_read(struct import *import, bool (*feed)(void *ctx, const char *bytes, size_t len), void *ctx);

/* Reads the whole file as CSV and passes its rows to on_row. Sets `whole`, and *ret_header as csv_reader_header().
 * Returns an exit status: CTL_FAILED if reading or sending failed; the error is printed. */
int import_csv(struct import *import, const struct csv_columns *columns, csv_row_fn on_row, void *ctx,
               uint32_t *ret_header);

/* Appends the columns of a header as a PostgreSQL array literal, with a NUL. */
void import_header(const struct csv_columns *columns, uint32_t header, struct buf *out);

/* Ends the COPY and runs the query `check` for diagnostics (line, whether it is a warning, text). Without errors runs
 * `merge` with the parameters `values` and commits (unless it is a dry run). Prints all diagnostics and the row of
 * `merge` once nothing is locked. Returns an exit status. */
int import_finish(struct import *import, const char *check, const char *merge, int n_values, const char *const *values);

void import_close(struct import *import);

#endif
