/*
 * Work after commits, on a separate connection, so that storing does not wait for it: stores the text of the rules,
 * verifies incidents, ends people's sessions that hold up the writer, numbers people's changes, announces what
 * happened, writes device status. Each is a separate transaction, which may be lost or repeated without harm.
 *
 * It works while the writer is connected, and pauses while it is not.
 */
#ifndef MOBEYE_STORE_POST_COMMIT_H
#define MOBEYE_STORE_POST_COMMIT_H

#include "base/loop.h"
#include "store/encoded_batch.h"
#include "store/incident_rows.h"
#include "store/writer.h"

struct post_commit;

/* The options are the writer's, copied. */
struct post_commit *post_commit_new(struct loop *loop, const struct writer_options *options);

/* Closes the connection at once. Safe on NULL. */
void post_commit_free(struct post_commit **post_commit);

/* Begins to connect. */
void post_commit_start(struct post_commit *post_commit);

/* As writer_reconfigure(). */
void post_commit_reconfigure(struct post_commit *post_commit, const struct writer_options *options);

/* The writer has connected again and stores more from now on. What it stored after this wall time may not be verified
 * yet, because of a crash or an outage. */
void post_commit_verified_until(struct post_commit *post_commit, int64_t until_us);

/* Whether the writer is connected to a database with this program's schema. */
void post_commit_allow(struct post_commit *post_commit, bool allowed);

/* The encoded batch is committed with these incidents. busy: the next one is already in progress. */
void post_commit_batch(struct post_commit *post_commit, struct encoded_batch *encoded,
                       const struct incident_rows *incidents, bool busy);

/* As writer_mark_silent(), writer_status_written_until_us(), writer_unverified_us() and writer_flush_now(). */
void post_commit_mark_silent(struct post_commit *post_commit, struct str device);
int64_t post_commit_status_written_until_us(const struct post_commit *post_commit);
int64_t post_commit_unverified_us(const struct post_commit *post_commit);
void post_commit_flush_now(struct post_commit *post_commit);

/* True if nothing waits, or nothing can be done now. Device status may wait, unless flushed now. */
bool post_commit_drained(const struct post_commit *post_commit);

/* Incidents verified since the start. */
uint64_t post_commit_verified(const struct post_commit *post_commit);

#endif
