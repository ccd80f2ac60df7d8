/*
 * CSV with a header, as spreadsheets write it (RFC 4180, with any separator), in UTF-8; csv_decode.h converts a file to
 * that. The header names columns of a table, in any order and case, with spaces or hyphens instead of underscores.
 * Columns without a name must be empty. Pure: bytes in, rows and diagnostics out.
 */
#ifndef MOBEYE_CTL_REGISTRY_CSV_READ_H
#define MOBEYE_CTL_REGISTRY_CSV_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "ctl/lib/line_diagnostics.h"

#define CSV_COLUMNS_MAX 32
#define CSV_ROW_MAX     (1 << 20) /* the longest row in bytes */

struct csv_columns {
    const char *const *names; /* in lower case */
    size_t n;                 /* <= CSV_COLUMNS_MAX */
    uint32_t required;        /* bit i: the header must have column i, and its cells must not be empty */
};

/* Called for each row that has as many cells as the header, or further empty ones, and is not empty. cells[i] is the
 * cell of column i, empty if the header lacks that column; valid during the call. */
typedef void (*csv_row_fn)(void *ctx, uint64_t line, const struct str *cells);

/* Errors are added to line_diagnostics; it and `columns` must outlive the reader. */
struct csv_reader *csv_reader_new(const struct csv_columns *columns, char separator, csv_row_fn row, void *ctx,
                                  struct line_diagnostics *line_diagnostics);
void csv_reader_free(struct csv_reader **reader);

/* Reads the next bytes, in chunks of any size. false: the rest is ignored (the header is wrong, or a row too long). */
bool csv_reader_feed(struct csv_reader *reader, const char *bytes, size_t len);

/* Call after the last byte. false: as for csv_reader_feed(), or there was no header. */
bool csv_reader_finish(struct csv_reader *reader);

/* Bit i: the header has column i. */
uint32_t csv_reader_header(const struct csv_reader *reader);

#endif
