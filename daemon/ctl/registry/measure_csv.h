/*
 * A row of a file of measures against burglary: its columns and the meaning of its cells (row_read.h).
 */
#ifndef MOBEYE_CTL_REGISTRY_MEASURE_CSV_H
#define MOBEYE_CTL_REGISTRY_MEASURE_CSV_H

#include "ctl/registry/row_read.h"

extern const struct row_format measure_format;

#endif
