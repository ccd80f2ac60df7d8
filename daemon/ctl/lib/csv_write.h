/*
 * Rows of the database as CSV (RFC 4180), as the imports read them.
 */
#ifndef MOBEYE_CTL_LIB_CSV_WRITE_H
#define MOBEYE_CTL_LIB_CSV_WRITE_H

#include <stdbool.h>

#include <libpq-fe.h>

#include "base/buf.h"

/* Appends a header of the column names and a line for each row, with a comma or another separator between cells; null
 * is an empty cell. excel: an apostrophe precedes each text that a spreadsheet would take for a formula; no import
 * reads that. */
void csv_write(const PGresult *rows, char separator, bool excel, struct buf *out);

#endif
