/*
 * A row of a CSV file: the meaning of its cells, and which of them belong together, from a table for each kind of file.
 * Pure.
 */
#ifndef MOBEYE_CTL_REGISTRY_ROW_READ_H
#define MOBEYE_CTL_REGISTRY_ROW_READ_H

#include "base/err.h"
#include "ctl/registry/csv_read.h"

/* Reads a cell that is not empty and appends it in a form that PostgreSQL accepts. Returns 0, or -1 with err set. What
 * had to be assumed is appended to `assumed`. */
typedef int (*cell_fn)(struct str text, double min, double max, struct buf *out, struct buf *assumed, struct err *err);

int cell_device(struct str text, double min, double max, struct buf *out, struct buf *assumed, struct err *err);
int cell_text(struct str text, double min, double max, struct buf *out, struct buf *assumed, struct err *err);
int cell_account(struct str text, double min, double max, struct buf *out, struct buf *assumed, struct err *err);
int cell_in_range(struct str text, double min, double max, struct buf *out, struct buf *assumed, struct err *err);
int cell_integer(struct str text, double min, double max, struct buf *out, struct buf *assumed, struct err *err);
int cell_duration(struct str text, double min, double max, struct buf *out, struct buf *assumed, struct err *err);
int cell_utc(struct str text, double min, double max, struct buf *out, struct buf *assumed, struct err *err);
int cell_boolean(struct str text, double min, double max, struct buf *out, struct buf *assumed, struct err *err);

/* The range of RD New: the Netherlands, with parts of the sea and the neighbouring countries. */
#define CELL_LON                                                                                                       \
    {                                                                                                                  \
        cell_in_range, -180, 180                                                                                       \
    }
#define CELL_LAT                                                                                                       \
    {                                                                                                                  \
        cell_in_range, -90, 90                                                                                         \
    }
#define CELL_RD_X                                                                                                      \
    {                                                                                                                  \
        cell_in_range, -10000, 310000                                                                                  \
    }
#define CELL_RD_Y                                                                                                      \
    {                                                                                                                  \
        cell_in_range, 280000, 640000                                                                                  \
    }

/* How a place is given: pairs of columns, in degrees or in RD New. */
#define CELL_PARTNERS_OF_PLACE(lon, lat, rd_x, rd_y)                                                                   \
    {lon, lat, true, "a place needs both"}, {lat, lon, true, "a place needs both"},                                    \
        {rd_x, rd_y, true, "a place needs both"}, {rd_y, rd_x, true, "a place needs both"},                            \
    {                                                                                                                  \
        lon, rd_x, false, "a place is either in degrees or in RD New"                                                  \
    }

struct cell_kind {
    cell_fn read;
    double min, max;
};

/* If `cell` is present, `other` must be (wanted) or must not be present. */
struct cell_partner {
    int cell, other;
    bool wanted;
    const char *why;
};

struct row_format {
    struct csv_columns columns;
    const struct cell_kind *kinds; /* one for each column */
    const struct cell_partner *partners;
    size_t n_partners;
    int from, until; /* the columns of a period; equal if there is none */
    bool same_time;  /* the end of the period may equal its start */
};

/* Reads the cells of a row into texts that PostgreSQL accepts, one for each column; they are stored in `text` and empty
 * for null. false: errors were added to line_diagnostics. Local times are in the process's time zone (cell_read.h). */
bool row_read(const struct row_format *format, uint64_t line, const struct str *cells,
              struct line_diagnostics *line_diagnostics, struct buf *text, struct str *ret_values);

#endif
