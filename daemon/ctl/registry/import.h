/*
 * What the imports share: a file becomes rows of a temporary table, the database says what is wrong with them, and
 * either all of it is stored or nothing is.
 */
#ifndef MOBEYE_CTL_REGISTRY_IMPORT_H
#define MOBEYE_CTL_REGISTRY_IMPORT_H

#include "ctl/lib/ctl.h"
#include "ctl/lib/line_diagnostics.h"
#include "ctl/lib/options.h"

struct import {
    const char *verb;
    const char *file; /* - is stdin */
    const struct ctl_call *call;
    struct line_diagnostics line_diagnostics; /* what is wrong with the file so far */
    bool whole;                               /* all of it could be read, be it good or bad */
    const char *notes; /* a query for what people are told of what was taken: line, text; NULL: nothing */
    PGconn *conn;
    struct buf rows; /* on their way to the server, as COPY wants them */
};

/* Connects, begins a transaction, runs `stage` (makes the temporary table) and `copy` (a COPY FROM STDIN). An exit
 * status; what went wrong is printed. import_close() it in any case. */
int import_open(struct import *import, const char *stage, const char *copy);

/* Adds a cell to the row; NULL where empty. Then import_end_row(). */
void import_cell(struct import *import, struct str text);
void import_end_row(struct import *import);

/* Reads the file and gives its bytes to `feed` until that says false (the file makes no sense any more). An exit
 * status: CTL_FAILED where the file or the connection gave up, which is printed. */
int import_read(struct import *import, bool (*feed)(void *ctx, const char *bytes, size_t len), void *ctx);

/* Ends the COPY, asks `check` for what is wrong (line, whether it is a warning, text), prints all findings and, where
 * no error is among them, runs `merge`, prints its row and commits. `merge` has the parameters `values`. An exit
 * status. */
int import_finish(struct import *import, const char *check, const char *merge, int n_values, const char *const *values);

void import_close(struct import *import);

#endif
