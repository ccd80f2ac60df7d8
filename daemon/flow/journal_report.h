/*
 * Log lines about the journal: what its recovery found, and a segment that was given up.
 */
#ifndef MOBEYE_FLOW_JOURNAL_REPORT_H
#define MOBEYE_FLOW_JOURNAL_REPORT_H

#include "journal/journal.h"

/* After journal_open() with this directory. */
void journal_report_recovery(const struct journal *journal, const char *directory,
                             const struct journal_recovery *found);

/* After journal_salvage(). */
void journal_report_salvage(const char *directory, const struct journal_recovery *found);

#endif
