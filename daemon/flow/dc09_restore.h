/*
 * Restores the DC-09 session from the journal when the first DC-09 endpoint since the start is configured: a repeated
 * undated frame must get the identity of the original.
 */
#ifndef MOBEYE_FLOW_DC09_RESTORE_H
#define MOBEYE_FLOW_DC09_RESTORE_H

#include "ingest/dc09_session.h"
#include "journal/journal.h"

/* Fills the session from the records up to until_seq, of the last DC09_UNDATED_WINDOW_US before wall_us. If the journal
 * cannot be read, logs that and leaves the rest out. until_seq should be the last record that the journal had at the
 * start: without a DC-09 endpoint no later record is a frame, and there may be many of them. */
void dc09_restore(struct dc09_session *session, struct journal *journal, uint64_t until_seq, int64_t wall_us);

#endif
