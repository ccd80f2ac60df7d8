#include "flow/applier.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event_struct.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "enrich/correlate.h"
#include "enrich/enrich.h"
#include "flow/oldest_waiting.h"
#include "flow/preparation.h"
#include "flow/reference_data.h"
#include "store/writer.h"

#define BATCH_BYTES (5 * 1024 * 1024) /* more costs memory and gains little: tests/bench/README.md */
/* This many alerts are worth a separate batch while the writer is busy with another one: they are prepared meanwhile.
 */
#define WORTH_OVERLAPPING 5000
#define BATCHES           3 /* one in its transaction, one encoded, one being prepared */
/* After a failed read of the journal: the delay before the next attempt, which doubles, and the time until the segment
 * is given up, which is longer than a disk takes to fail over to another path; the other alerts wait meanwhile. */
#define READ_PAUSE_LEAST_US (100 * CLOCK_MS)
#define READ_PAUSE_MOST_US  (5 * CLOCK_SECOND)
#define SALVAGE_AFTER_US    (20 * CLOCK_SECOND)

struct applier {
    struct loop *loop;
    struct metrics *metrics;
    struct journal *journal;
    const struct conf *conf;
    struct applier_calls calls;
    void *ctx;
    struct writer *writer;
    struct reference_data *reference;
    struct preparation *preparation; /* of the next batch for the writer */
    struct event feed_due;           /* the end of database.batch_wait, or of read_pause_us */
    int64_t feed_since_us;           /* monotonic: when records began to wait for a batch; 0: none wait */
    uint64_t submitted_seq;          /* the last record passed to the writer, or being prepared for it */
    uint64_t stored_seq;             /* the last record in the database, as far as known */
    /* Records up to stale_seq need reference data of at least these versions. Newer versions do not matter to them:
     * otherwise alerts would wait as long as someone keeps editing. stale_seq 0: nothing is known. */
    uint64_t stale_seq, stale_registry, stale_areas;
    uint64_t empty;   /* numbers of a torn frame before the next record, not yet counted */
    uint64_t gap_seq; /* the first record after a gap that was logged, until something is stored; 0: none */
    bool renewed;     /* the journal has a UUID that the database has never seen */
    struct oldest_waiting oldest;
    struct batch *batches[BATCHES], *spare[BATCHES]; /* all batches; those not in use */
    size_t n_spare;
    bool database_up;
    struct rate_limiter unreadable;
    int64_t unreadable_since_us; /* monotonic: the first of the failed reads; 0: the last read succeeded */
    int64_t read_pause_us;       /* the current delay */
    bool read_pauses;            /* nothing is read until feed_due */
};

/* Whether the next records are covered by stale_seq. */
static bool is_settled(const struct applier *a)
{
    return a->stale_seq > a->submitted_seq;
}

/* Whether devices and areas are as new as the next records need. If that is not known, the transaction finds out. */
static bool has_enrich_context(const struct applier *a)
{
    if (!reference_data_usable(a->reference))
        return false;
    return !is_settled(a) || (reference_data_registry(a->reference)->version >= a->stale_registry &&
                              reference_data_areas_version(a->reference) >= a->stale_areas);
}

/* Gives up the segment that cannot be read. false: the disk is not the cause. */
static bool salvage_segment(struct applier *a)
{
    struct err err;
    struct journal_recovery found;
    if (journal_salvage(a->journal, a->submitted_seq + 1, loop_wall_us(a->loop), &found, &err) != 0) {
        if (journal_failure(a->journal, &err) != 0)
            a->calls.on_failed(a->ctx, &err);
        else
            log_limited(&a->unreadable, loop_mono_us(a->loop), LOG_LEVEL_ERROR, "journal", "%s; trying again",
                        err.text);
        return false;
    }
    a->metrics->journal_damaged_total += found.damaged;
    a->calls.on_salvaged(a->ctx, &found);
    return true;
}

static void on_read_failed(struct applier *a, const struct err *err)
{
    int64_t now_us = loop_mono_us(a->loop), pause_us = 2 * a->read_pause_us;
    if (a->unreadable_since_us == 0) {
        a->unreadable_since_us = now_us;
        pause_us = READ_PAUSE_LEAST_US;
    }
    a->metrics->journal_read_failures_total++;
    log_limited(&a->unreadable, now_us, LOG_LEVEL_ERROR, "journal", "%s; trying again", err->text);
    a->read_pause_us = pause_us < READ_PAUSE_MOST_US ? pause_us : READ_PAUSE_MOST_US;
    bool salvaged = now_us - a->unreadable_since_us >= SALVAGE_AFTER_US && salvage_segment(a);
    a->read_pauses = true;
    loop_arm(&a->feed_due, salvaged ? 0 : a->read_pause_us);
}

static void spare_batch(struct applier *a, struct batch *batch)
{
    if (batch)
        a->spare[a->n_spare++] = batch;
}

/* Prepares the next rows of the batch, also while the writer wants none, so that it is ready when the writer does; then
 * submits it. A writer that does not want it yet calls back: on_ready(), on_done(), or after a lost connection
 * on_position(), which drops the batch and reads again. */
static void prepare_step(struct applier *a)
{
    if (!reference_data_usable(a->reference))
        return; /* on_usable() continues */
    bool complete = preparation_step(a->preparation), wanted = writer_wants(a->writer);
    if (!complete || wanted)
        loop_arm(&a->feed_due, 0);
    if (!complete || !wanted)
        return;
    struct batch *batch = preparation_take(a->preparation);
    oldest_waiting_submitted(&a->oldest, batch);
    writer_submit(a->writer, batch);
}

/* Reads the next batch and starts preparing it. false: there is none now. */
static bool read_next_batch(struct applier *a)
{
    struct err err;
    struct batch *batch = a->spare[a->n_spare - 1];
    batch_clear(batch);
    size_t max = a->conf->database.batch_max;
    bool settled = is_settled(a);
    if (settled && a->stale_seq - a->submitted_seq < max)
        max = a->stale_seq - a->submitted_seq;
    if (journal_read(a->journal, a->submitted_seq + 1, max, BATCH_BYTES, batch, &err) != 0) {
        on_read_failed(a, &err);
        return false;
    }
    a->unreadable_since_us = 0;
    log_recover(&a->unreadable, "journal", "is readable again");
    if (batch->n == 0)
        return false;
    a->n_spare--;
    a->submitted_seq = batch->last_seq;
    batch->versions_waived = settled && batch->last_seq <= a->stale_seq;
    preparation_begin(a->preparation, batch);
    prepare_step(a);
    return true;
}

/*
 * Passes batches to the writer: a large one immediately, a smaller one when the writer is idle and its alerts have
 * waited for database.batch_wait. While the writer is busy, records collect. At most one step of one batch per
 * iteration of the loop: senders are waiting for their replies.
 */
static void start_batch_if_due(struct applier *a)
{
    if (preparation_busy(a->preparation)) {
        loop_arm(&a->feed_due, 0);
        return;
    }
    if (a->read_pauses || a->n_spare == 0 || !writer_wants(a->writer) || !has_enrich_context(a))
        return;
    uint64_t waiting = journal_synced_seq(a->journal) - a->submitted_seq;
    if (waiting == 0) {
        a->feed_since_us = 0;
        return;
    }
    if (a->feed_since_us == 0)
        a->feed_since_us = loop_mono_us(a->loop);
    int64_t due_us = a->feed_since_us + a->conf->database.batch_wait_us - loop_mono_us(a->loop);
    bool full = waiting >= a->conf->database.batch_max || waiting >= WORTH_OVERLAPPING;
    if (!full && (!writer_idle(a->writer) || due_us > 0)) {
        if (writer_idle(a->writer))
            loop_arm(&a->feed_due, due_us);
        return;
    }
    if (read_next_batch(a))
        a->feed_since_us = 0;
}

static void on_feed_due(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct applier *a = arg;
    a->read_pauses = false;
    if (preparation_busy(a->preparation))
        prepare_step(a);
    else
        start_batch_if_due(a);
}

static void report_stored(struct applier *a)
{
    struct err err;
    journal_stored(a->journal, a->stored_seq, loop_wall_us(a->loop));
    if (journal_failure(a->journal, &err) != 0)
        a->calls.on_failed(a->ctx, &err);
}

/* Moves the position up to which alerts are stored, in either direction, and adjusts the counters. */
static void set_stored(struct applier *a, uint64_t seq)
{
    if (seq < a->stored_seq)
        a->metrics->recovered_total += a->stored_seq - seq;
    else
        a->metrics->duplicate_total += seq - a->stored_seq;
    a->stored_seq = seq;
    report_stored(a);
}

/* Whether this is the journal whose alerts the database has stored up to that position. */
static bool position_fits(struct applier *a, const struct writer_position *position)
{
    if (position->position > journal_synced_seq(a->journal))
        return false;
    uint64_t checksum = 0;
    return !journal_checksum(a->journal, position->position, &checksum) || checksum == position->checksum;
}

/* If the journal has just taken a new UUID there is no gap: the database has what it no longer keeps under the old one.
 */
static void check_gap(struct applier *a, uint64_t position, uint64_t first)
{
    bool gap = position + 1 < first && !a->renewed;
    if (!gap || a->gap_seq == first)
        return;
    a->gap_seq = first;
    a->metrics->journal_gaps_total++;
    log_error("journal",
              "gap: the database has alerts up to %" PRIu64 ", the journal from %" PRIu64
              " on; those between are missing from this database",
              position, first);
}

static uint64_t on_position(void *ctx, struct writer_position position)
{
    struct applier *a = ctx;
    uint64_t before_first = journal_first_seq(a->journal) - 1, start = before_first;
    spare_batch(a, preparation_take(a->preparation));
    if (position.known && !position_fits(a, &position)) {
        struct err err;
        log_warning("journal",
                    "the database has another history of this journal (position %" PRIu64
                    "); taking a new UUID and applying every kept alert again",
                    position.position);
        if (journal_new_uuid(a->journal, &err) != 0)
            a->calls.on_failed(a->ctx, &err);
        else
            writer_set_journal(a->writer, journal_uuid(a->journal));
        a->renewed = true;
    } else {
        check_gap(a, position.position, before_first + 1);
        start = position.position > before_first ? position.position : before_first;
    }
    if (start < a->stored_seq)
        log_warning("journal",
                    "applying alerts %" PRIu64 " to %" PRIu64 " again: the position in the database is %" PRIu64,
                    start + 1, a->stored_seq, position.position);
    set_stored(a, start);
    a->submitted_seq = start;
    a->feed_since_us = 0;
    return start;
}

static void on_stored(void *ctx, const struct writer_stored *stored)
{
    struct applier *a = ctx;
    a->metrics->committed_total += stored->committed;
    a->metrics->identity_conflict_total += stored->conflicts;
    a->metrics->duplicate_total += stored->duplicate;
    /* stored->quarantined, and numbers without a record, which recovery has salvaged. */
    uint64_t numbers = stored->last_seq - a->stored_seq;
    a->metrics->quarantined_total += numbers - stored->committed - stored->duplicate;
    a->stored_seq = stored->last_seq;
    a->gap_seq = 0;
    a->renewed = false;
    report_stored(a);
    reference_data_confirmed(a->reference);
    a->calls.on_stored(a->ctx);
}

static void on_correlate(void *ctx, struct incident_set *set, struct batch *batch, const uint8_t *store)
{
    (void)ctx;
    correlate(set, batch, store);
}

/* The batch is read from the journal again, once the newer data is loaded. */
static void on_stale(void *ctx, uint64_t registry_version, uint64_t areas_version)
{
    struct applier *a = ctx;
    log_debug("registry", "the database has devices version %" PRIu64 ", areas version %" PRIu64, registry_version,
              areas_version);
    a->stale_seq = journal_synced_seq(a->journal);
    a->stale_registry = registry_version;
    a->stale_areas = areas_version;
    reference_data_stale(a->reference);
}

static void on_done(void *ctx, struct batch *batch, const uint8_t *store)
{
    struct applier *a = ctx;
    if (store)
        enrich_settle_fixes(reference_data_registry(a->reference), batch, store);
    spare_batch(a, batch);
    start_batch_if_due(a);
}

static void on_ready(void *ctx)
{
    start_batch_if_due(ctx);
}

static void on_usable(void *ctx)
{
    start_batch_if_due(ctx);
}

static void on_up(void *ctx, bool up)
{
    struct applier *a = ctx;
    if (up != a->database_up)
        a->metrics->database_changed_timestamp_seconds = (double)loop_wall_us(a->loop) / 1e6;
    a->database_up = up;
    a->stale_seq = 0; /* the next server may be another, with other versions */
    reference_data_database_up(a->reference, up);
}

static struct writer_options writer_options(const struct conf *conf)
{
    struct writer_options options = {
        .conninfo = conf->database.conninfo,
        .instance = conf->instance,
        .rules = conf->rules_text ? conf->rules_hash : NULL,
        .rules_text = conf->rules_text,
    };
    options.verifies = conf_verifies(conf, &options.verify_radius_m);
    memcpy(options.keep_us, conf->retention.class_us, sizeof(options.keep_us));
    return options;
}

struct applier *applier_new(struct loop *loop, struct metrics *metrics, struct journal *journal,
                            const struct conf *conf, const struct applier_calls *calls, void *ctx, struct err *err)
{
    static const struct writer_calls writer_calls = {
        .on_position = on_position,
        .on_ready = on_ready,
        .correlate = on_correlate,
        .on_stale = on_stale,
        .on_stored = on_stored,
        .on_done = on_done,
        .on_up = on_up,
    };
    struct applier *a = mem_zalloc(sizeof(*a));
    a->loop = loop;
    a->metrics = metrics;
    a->journal = journal;
    a->conf = conf;
    a->calls = *calls;
    a->ctx = ctx;
    a->stored_seq = a->submitted_seq = journal_stored_seq(journal);
    metrics->recovered_total = journal_synced_seq(journal) - a->stored_seq;
    a->empty = journal_next_seq(journal) - 1 - journal_synced_seq(journal);
    evtimer_assign(&a->feed_due, loop_base(loop), on_feed_due, a);
    for (a->n_spare = 0; a->n_spare < BATCHES; a->n_spare++)
        a->batches[a->n_spare] = a->spare[a->n_spare] = batch_new(CONF_BATCH_MAX); /* unused pages are never touched */
    a->reference = reference_data_new(loop, conf, on_usable, a, err);
    if (!a->reference) {
        applier_free(&a);
        return NULL;
    }
    struct writer_options options = writer_options(conf);
    options.journal_uuid = journal_uuid(journal);
    a->preparation = preparation_new(a->reference, conf);
    a->writer = writer_new(loop, &options, &writer_calls, a);
    writer_start(a->writer);
    return a;
}

void applier_free(struct applier **applier)
{
    struct applier *a = *applier;
    if (!a)
        return;
    writer_free(&a->writer); /* gives batches back, which arms the timer */
    event_del(&a->feed_due);
    preparation_free(&a->preparation);
    reference_data_free(&a->reference);
    for (size_t i = 0; i < a->n_spare; i++)
        batch_free(&a->spare[i]);
    free(a);
    *applier = NULL;
}

void applier_reload(struct applier *a, const struct conf *conf)
{
    struct writer_options options = writer_options(conf);
    a->conf = conf;
    preparation_reload(a->preparation, conf);
    reference_data_reload(a->reference, conf);
    writer_reconfigure(a->writer, &options);
}

void applier_feed(struct applier *a)
{
    /* The empty numbers before the first record are counted when it is synced. */
    a->metrics->recovered_total += a->empty;
    a->empty = 0;
    start_batch_if_due(a);
}

bool applier_done(const struct applier *a)
{
    return a->stored_seq == journal_synced_seq(a->journal) && writer_drained(a->writer);
}

bool applier_database_up(const struct applier *a)
{
    return a->database_up;
}

void applier_purge_segments(struct applier *a)
{
    report_stored(a);
}

static int64_t oldest_us(struct applier *a)
{
    return oldest_waiting_us(&a->oldest, a->journal, a->stored_seq, a->batches, BATCHES);
}

int64_t applier_applied_until_us(struct applier *a)
{
    int64_t waiting_us = oldest_us(a), noted_us = writer_status_written_until_us(a->writer);
    int64_t until_us = loop_wall_us(a->loop);
    until_us = waiting_us > 0 && waiting_us < until_us ? waiting_us : until_us;
    return noted_us < until_us ? noted_us : until_us;
}

int64_t applier_unverified_us(const struct applier *a)
{
    return writer_unverified_us(a->writer);
}

void applier_mark_silent(struct applier *a, struct str device)
{
    writer_mark_silent(a->writer, device);
}

void applier_stop(struct applier *a)
{
    writer_flush_now(a->writer);
}

void applier_gauges(struct applier *a)
{
    struct metrics *m = a->metrics;
    int64_t waiting_us = oldest_us(a), lag_us = loop_wall_us(a->loop) - waiting_us;
    m->journal_pending = (double)(journal_synced_seq(a->journal) - a->stored_seq);
    m->journal_bytes = (double)journal_bytes(a->journal);
    m->journal_max_bytes = (double)a->conf->journal.max_size_bytes;
    m->journal_fill_ratio = journal_fill(a->journal);
    m->journal_reach_timestamp_seconds = (double)journal_reach_us(a->journal) / 1e6;
    m->database_up = a->database_up;
    struct writer_counts counts = writer_counts(a->writer);
    m->incidents_total = counts.incidents;
    m->verified_total = counts.verified;
    m->incident_conflicts_total = counts.restarts;
    m->stale_batches_total = counts.stale;
    m->partitions_until_timestamp_seconds = (double)writer_partitions_until_us(a->writer) / 1e6;
    reference_data_gauges(a->reference, m);
    m->commit_lag_seconds = waiting_us > 0 && lag_us > 0 ? (double)lag_us / 1e6 : 0;
}

size_t applier_bytes(const struct applier *a)
{
    return reference_data_bytes(a->reference);
}

const char *applier_database_state(const struct applier *a)
{
    return writer_state(a->writer);
}
