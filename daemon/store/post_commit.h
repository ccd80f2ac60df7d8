/*
 * What follows on commits, on a connection of its own, so that storing does not wait for it: the rules are kept,
 * incidents are verified, people's changes get their numbers, what happened is announced, device status is written.
 * Each is a transaction of its own, which may be lost or done twice without harm.
 *
 * It works while the writer is connected, and pauses while that is not.
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

/* As writer_reconfigure() and writer_set_journal(). */
void post_commit_reconfigure(struct post_commit *post_commit, const struct writer_options *options);
void post_commit_set_journal(struct post_commit *post_commit, const uint8_t *journal_uuid);

/* The writer is connected to a database with our schema, or no longer. */
void post_commit_allow(struct post_commit *post_commit, bool allowed);

/* The encoded's batch is committed with these incidents. busy: the next one is on its way already. */
void post_commit_batch(struct post_commit *post_commit, struct encoded_batch *encoded,
                       const struct incident_rows *incidents, bool busy);

/* As writer_mark_silent(), writer_status_written_until_us() and writer_flush_now(). */
void post_commit_mark_silent(struct post_commit *post_commit, struct str device);
int64_t post_commit_status_written_until_us(const struct post_commit *post_commit);
void post_commit_flush_now(struct post_commit *post_commit);

/* True where nothing waits, or nothing can be done: it has to rest. What devices said may wait, unless in a hurry. */
bool post_commit_drained(const struct post_commit *post_commit);

/* Incidents verified since the start. */
uint64_t post_commit_verified(const struct post_commit *post_commit);

#endif
