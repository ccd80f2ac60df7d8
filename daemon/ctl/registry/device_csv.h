/*
 * A row of a device file: the meaning of its cells, and which belong together. Pure.
 */
#ifndef MOBEYE_CTL_REGISTRY_DEVICE_CSV_H
#define MOBEYE_CTL_REGISTRY_DEVICE_CSV_H

#include "base/err.h"
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
 * `text` and empty for null. false: errors were added to line_diagnostics. */
bool device_row(uint64_t line, const struct str *cells, struct line_diagnostics *line_diagnostics, struct buf *text,
                struct str ret_values[DEVICE_COLUMNS]);

/* Parses an RFC 3339 time. 0, or -1 with err set. */
int device_time(struct str text, int64_t *ret_us, struct err *err);

/* Parses "5.38,52.15", longitude and latitude in degrees. 0, or -1 with err set. */
int device_lon_lat(struct str text, double *ret_lon, double *ret_lat, struct err *err);

#endif
