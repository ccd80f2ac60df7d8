/*
 * CSV with a header, as spreadsheets write it (RFC 4180; a byte order mark and CR LF are taken), in UTF-8. The header
 * names columns of a table, in any order and in either case. Pure: bytes in, rows and complaints out.
 */
#ifndef MOBEYE_CTL_REGISTRY_CSV_READ_H
#define MOBEYE_CTL_REGISTRY_CSV_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "ctl/lib/line_diagnostics.h"

#define CSV_COLUMNS_MAX 32
#define CSV_ROW_MAX     (1 << 20) /* bytes of a row */

struct csv_columns {
    const char *const *names; /* in lower case */
    size_t n;                 /* <= CSV_COLUMNS_MAX */
    uint32_t required;        /* bit i: the header must have column i, and no row may leave it empty */
};

/* A row that has as many cells as the header and is not empty altogether. cells[i] is column i's, valid during the
 * call; empty where the header lacks it. */
typedef void (*csv_row_fn)(void *ctx, uint64_t line, const struct str *cells);

/* `columns` and `findings` outlive the reader, whatever is wrong is added there. */
struct csv_reader *csv_reader_new(const struct csv_columns *columns, csv_row_fn row, void *ctx,
                                  struct line_diagnostics *line_diagnostics);
void csv_reader_free(struct csv_reader **reader);

/* The next bytes, in pieces of any size. false: the rest will not be read (the header is wrong, or a row too long). */
bool csv_reader_feed(struct csv_reader *reader, const char *bytes, size_t len);

/* After the last byte. false: as of feed, or there was no header. */
bool csv_reader_finish(struct csv_reader *reader);

/* Bit i: the header has column i. */
uint32_t csv_reader_header(const struct csv_reader *reader);

#endif
