/*
 * The way out: journal -> enrich -> store. The database is what you get by applying the journal, in order, once.
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
    void (*stored)(void *ctx);                        /* more is stored: the journal may have room again */
    void (*failed)(void *ctx, const struct err *err); /* the journal cannot be written */
    /* A segment that could not be read for long was given up; what was found is not counted by the caller. */
    void (*salvaged)(void *ctx, const struct journal_recovery *found);
};

/* Begins to connect to the database. conf must live until the next applier_reload() or applier_free(). */
struct applier *applier_new(struct loop *loop, struct metrics *metrics, struct journal *journal,
                            const struct conf *conf, const struct applier_calls *calls, void *ctx);
void applier_free(struct applier **applier); /* safe on NULL */

void applier_reload(struct applier *applier, const struct conf *conf);

/* There may be new synced records. */
void applier_feed(struct applier *applier);

/* Everything that is synced is stored. */
bool applier_done(const struct applier *applier);

bool applier_database_up(const struct applier *applier);

/* A device was found silent: its next alert is told to the database at once. */
void applier_mark_silent(struct applier *applier, struct str device);

/* Nothing more is accepted: applier_done() is true when what devices said is noted as well. */
void applier_stop(struct applier *applier);

/* What was received before this wall time is stored, and noted as a sign of life. */
int64_t applier_applied_until_us(struct applier *applier);

/* Looks for stored segments that are older than journal.keep. */
void applier_purge_segments(struct applier *applier);

/* Writes the gauges of journal and database into the metrics. */
void applier_gauges(struct applier *applier);

/* About how much memory devices and areas take. */
size_t applier_bytes(const struct applier *applier);

/* For people: how the database is. */
const char *applier_database_state(const struct applier *applier);

#endif
