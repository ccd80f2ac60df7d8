/*
 * Reads back from the journal, at the start, which undated DC-09 frames were accepted lately: a panel that repeats one
 * must get the identity of the first.
 */
#ifndef MOBEYE_FLOW_DC09_RESTORE_H
#define MOBEYE_FLOW_DC09_RESTORE_H

#include "ingest/dc09_session.h"
#include "journal/journal.h"

/* Fills the session from the records of the last DC09_UNDATED_WINDOW_US. What cannot be read is skipped, with a line in
 * the log. */
void dc09_restore(struct dc09_session *session, struct journal *journal, int64_t wall_us);

#endif
