/*
 * journal -> enrich -> store: applies the journal to the database, in order, exactly once.
 */
#ifndef MOBEYE_FLOW_APPLIER_H
#define MOBEYE_FLOW_APPLIER_H

#include "base/err.h"
#include "base/loop.h"
#include "base/metrics.h"
#include "conf/conf.h"
#include "journal/journal.h"

struct applier;

struct applier_calls {
    void (*on_stored)(void *ctx);                        /* more is stored: the journal may have space again */
    void (*on_failed)(void *ctx, const struct err *err); /* the journal cannot be written */
    /* A segment that could not be read for long was given up. The metrics already include what was found. */
    void (*on_salvaged)(void *ctx, const struct journal_recovery *found);
};

/* Starts connecting to the database. The caller owns the journal. conf must stay valid until the next applier_reload()
 * or applier_free(). NULL with err set. */
struct applier *applier_new(struct loop *loop, struct metrics *metrics, struct journal *journal,
                            const struct conf *conf, const struct applier_calls *calls, void *ctx, struct err *err);
void applier_free(struct applier **applier); /* safe on NULL */

void applier_reload(struct applier *applier, const struct conf *conf);

/* To be called after records were synced. */
void applier_feed(struct applier *applier);

/* Whether everything synced is stored. */
bool applier_done(const struct applier *applier);

bool applier_database_up(const struct applier *applier);

/* A device was found silent: its next alert updates its status in the database immediately. */
void applier_mark_silent(struct applier *applier, struct str device);

/* Nothing more will be accepted: from now on applier_done() also waits until the status of devices is written. */
void applier_stop(struct applier *applier);

/* Wall time before which everything received is stored and counted in the status of its device. */
int64_t applier_applied_until_us(struct applier *applier);

/* As writer_unverified_us(). */
int64_t applier_unverified_us(const struct applier *applier);

/* Removes stored segments older than journal.keep. */
void applier_purge_segments(struct applier *applier);

/* Writes the gauges of journal and database into the metrics. */
void applier_gauges(struct applier *applier);

/* Approximate memory used by devices and areas, in bytes. */
size_t applier_bytes(const struct applier *applier);

/* The state of the database, for people. */
const char *applier_database_state(const struct applier *applier);

#endif
