/*
 * Rows of the database, as a table or as JSON, and text for a terminal.
 */
#ifndef MOBEYE_CTL_LIB_TABLE_H
#define MOBEYE_CTL_LIB_TABLE_H

#include <stdbool.h>

#include <libpq-fe.h>

#include "base/buf.h"

/* Prints the rows as a table: header, aligned columns (numbers to the right), control bytes escaped. With json, prints
 * an array of objects; numbers, booleans and nulls keep their type. bytea is printed as the text that it holds,
 * timestamptz in a table by the time zone of the session, in JSON as RFC 3339 in UTC. */
void ctl_print_rows(const PGresult *rows, bool json);

/* Prints only the first columns as such a table; styles: the escape sequence that begins each row (NULL: none), or
 * NULL. */
void ctl_print_columns(const PGresult *rows, int columns, const char *const *styles);

/* Appends text for a terminal: control characters and bytes that are not UTF-8 become \xNN; with `lines`, line feeds
 * and tabs are kept. */
void ctl_escape(struct buf *out, struct str text, bool lines);

/* Appends the bytes of a bytea that the server sent as text. */
void ctl_append_bytea(struct buf *out, const char *text);

#endif
