/*
 * A CSV file as a spreadsheet saved it, turned into UTF-8 text and its separator. Pure.
 *
 * Separator: that of a first line "sep=;", else the most frequent of ; , and tab in the header (none: comma).
 * Encoding: UTF-8 or UTF-16 by the byte order mark; without one UTF-8, or else Windows-1252. What had to be assumed
 * becomes a note.
 */
#ifndef MOBEYE_CTL_REGISTRY_CSV_DECODE_H
#define MOBEYE_CTL_REGISTRY_CSV_DECODE_H

#include <stdbool.h>

#include "base/buf.h"
#include "ctl/lib/line_diagnostics.h"

#define CSV_FILE_MAX (64 << 20) /* the largest file in bytes */

/* Appends the text to `out`, as UTF-8 with the lines of the file. false: not a CSV file (a workbook, or bytes of no
 * known encoding); an error was added. */
bool csv_decode(struct str bytes, struct buf *out, char *ret_separator, struct line_diagnostics *line_diagnostics);

#endif
