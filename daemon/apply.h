/*
 * The way out: journal -> enrich -> store. The database is what you get by applying the journal, in order, once.
 */
#ifndef MOBEYE_APPLY_H
#define MOBEYE_APPLY_H

#include "base/err.h"
#include "base/loop.h"
#include "base/metrics.h"
#include "conf/conf.h"
#include "journal/journal.h"

struct apply;

struct apply_calls {
    void (*stored)(void *ctx);                        /* more is stored: the journal may have room again */
    void (*failed)(void *ctx, const struct err *err); /* the journal cannot be written */
    /* A segment that could not be read for long was given up; what was found is not counted by the caller. */
    void (*salvaged)(void *ctx, const struct journal_recovery *found);
};

/* Begins to connect to the database. conf must live until the next apply_reload() or apply_free(). */
struct apply *apply_new(struct loop *loop, struct metrics *metrics, struct journal *journal, const struct conf *conf,
                        const struct apply_calls *calls, void *ctx);
void apply_free(struct apply **apply); /* safe on NULL */

void apply_reload(struct apply *apply, const struct conf *conf);

/* There may be new synced records. */
void apply_feed(struct apply *apply);

/* Everything that is synced is stored. */
bool apply_done(const struct apply *apply);

bool apply_database_up(const struct apply *apply);

/* A device was found silent: its next alert is told to the database at once. */
void apply_missed(struct apply *apply, struct str device);

/* Nothing more is accepted: apply_done() is true when what devices said is noted as well. */
void apply_stop(struct apply *apply);

/* What was received before this wall time is stored, and noted as a sign of life. */
int64_t apply_until_us(struct apply *apply);

/* Looks for stored segments that are older than journal.keep. */
void apply_keep(struct apply *apply);

/* Writes the gauges of journal and database into the metrics. */
void apply_gauges(struct apply *apply);

/* About how much memory devices and areas take. */
size_t apply_bytes(const struct apply *apply);

/* For people: how the database is. */
const char *apply_database_state(const struct apply *apply);

#endif
