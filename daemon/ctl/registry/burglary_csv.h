/*
 * A row of a file of burglaries: its columns, the meaning of its cells, and which of them belong together (row_read.h).
 */
#ifndef MOBEYE_CTL_REGISTRY_BURGLARY_CSV_H
#define MOBEYE_CTL_REGISTRY_BURGLARY_CSV_H

#include "ctl/registry/row_read.h"

extern const struct row_format burglary_format;

#endif
