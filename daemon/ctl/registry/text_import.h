/*
 * The import of a CSV file into one table of texts, as those of people and teams.
 */
#ifndef MOBEYE_CTL_REGISTRY_TEXT_IMPORT_H
#define MOBEYE_CTL_REGISTRY_TEXT_IMPORT_H

#include "ctl/lib/options.h"
#include "ctl/registry/import.h"

struct text_import {
    const char *verb;
    struct csv_columns columns;
    const char *stage, *copy, *check, *merge, *first; /* see import.h; all cells are texts, the line comes first */
};

/* Imports the file that is the call's argument; before_check, before_commit: see import.h. Returns an exit status;
 * errors are printed. */
int text_import_run(const struct text_import *text_import, const struct ctl_call *call, bool dry_run,
                    bool (*before_check)(struct import *import), bool (*before_commit)(struct import *import));

#endif
