/*
 * Restores the DC-09 session from the journal at the start: a repeated undated frame must get the identity of the first
 * one.
 */
#ifndef MOBEYE_FLOW_DC09_RESTORE_H
#define MOBEYE_FLOW_DC09_RESTORE_H

#include "ingest/dc09_session.h"
#include "journal/journal.h"

/* Fills the session from the records of the last DC09_UNDATED_WINDOW_US before wall_us. If the journal cannot be read,
 * logs that and leaves the rest out. */
void dc09_restore(struct dc09_session *session, struct journal *journal, int64_t wall_us);

#endif
