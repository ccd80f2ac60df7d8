/*
 * A row of a device file: the meaning of its cells, and which of them belong together. Pure.
 */
#ifndef MOBEYE_CTL_REGISTRY_DEVICE_CSV_H
#define MOBEYE_CTL_REGISTRY_DEVICE_CSV_H

#include "ctl/registry/csv_read.h"

enum device_column {
    DEVICE_ID,
    DEVICE_MODEL,
    DEVICE_GROUP,
    DEVICE_ACCOUNT,
    DEVICE_INPUT,
    DEVICE_HEARTBEAT,
    DEVICE_GRACE,
    DEVICE_PLACED_FROM,
    DEVICE_PLACED_UNTIL,
    DEVICE_ADDRESS,
    DEVICE_LON,
    DEVICE_LAT,
    DEVICE_RD_X,
    DEVICE_RD_Y,
    DEVICE_TEAM,
    DEVICE_SECRET,
    DEVICE_INSTRUCTIONS,
    DEVICE_COLUMNS
};

extern const struct csv_columns device_columns;

/* Reads the cells of a row into texts that PostgreSQL accepts for the columns of device_import; they are stored in
 * `text` and empty for null. false: errors were added to line_diagnostics. Local times are in the process's time zone
 * (cell_read.h). */
bool device_row(uint64_t line, const struct str *cells, struct line_diagnostics *line_diagnostics, struct buf *text,
                struct str ret_values[DEVICE_COLUMNS]);

#endif
