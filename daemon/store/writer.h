/*
 * The writer: stores batches of alerts in PostgreSQL, each alert exactly once, without blocking.
 *
 * It schedules: a session ready for storing (store/journal_session.h), one transaction per batch
 * (store/transaction.h), and after each commit the work that need not delay a batch (store/post_commit.h, on a separate
 * connection). It reconnects by itself indefinitely, with full-jitter backoff, and never gives up a batch: alerts that
 * the database refuses go to mobeye.quarantine one by one, with their bytes.
 */
#ifndef MOBEYE_STORE_WRITER_H
#define MOBEYE_STORE_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"
#include "model/batch.h"
#include "model/incident.h"

/* The schema version that this program writes: the number of the last migration. */
#define WRITER_SCHEMA_VERSION 3

struct writer;

struct writer_options {
    const char *conninfo; /* libpq's; several hosts are tried in turn */
    const char *instance;
    const uint8_t *journal_uuid; /* 16 bytes */
    const uint8_t *rules;        /* 16 bytes: hash of the rules; NULL: unknown */
    const char *rules_text;
    bool verifies;                /* a rule has verify_by */
    double verify_radius_m;       /* the largest radius of those rules */
    int64_t keep_us[CLASS_COUNT]; /* how long alerts are kept: partitions are premade as far back; 0: 31 days */
};

/* Since the start, of this daemon. */
struct writer_counts {
    uint64_t incidents; /* created */
    uint64_t verified;  /* by a second input or device */
    uint64_t restarts;  /* transactions restarted because another daemon created the same incident */
    uint64_t stale;     /* batches read again because the registry or the areas had changed */
};

/* What the database knows of this journal. */
struct writer_position {
    bool known;        /* false: the database has never seen this journal's UUID */
    uint64_t position; /* sequence number of the last stored record */
    uint64_t checksum; /* of that record */
};

/* The outcome of a batch, after its COMMIT. committed, duplicate and quarantined rows add up to the batch; conflicts
 * are among the committed ones. */
struct writer_stored {
    uint64_t last_seq;
    uint64_t committed, duplicate, quarantined;
    uint64_t conflicts; /* stored with their own identity, since another device's alert has theirs */
};

/* All are called from the loop. They may call writer_submit(), writer_set_journal() and writer_reconfigure(), not
 * writer_free(). */
struct writer_calls {
    /* After connecting, and whenever the position in the database differs from the expected one. The owner compares it
     * with its journal, calls writer_set_journal() if the journal took a new UUID (the position is then read again),
     * and otherwise returns the number after which the next batch starts. Batches submitted earlier are forgotten. */
    uint64_t (*on_position)(void *ctx, struct writer_position position);
    /* A batch may be submitted now. */
    void (*on_ready)(void *ctx);
    /* Within the transaction: decides which incidents the rows join or create (enrich/correlate.h). Called again for a
     * batch whose transaction is restarted. */
    void (*correlate)(void *ctx, struct incident_set *set, struct batch *batch, const uint8_t *store);
    /* The registry or the areas are newer than those that the batch was enriched with. Submitted batches are forgotten;
     * on_position() comes next. */
    void (*on_stale)(void *ctx, uint64_t registry_version, uint64_t areas_version);
    /* A batch is committed. */
    void (*on_stored)(void *ctx, const struct writer_stored *stored);
    /* The writer is done with the batch: it is stored, or forgotten (on_position() comes next). store, by row: whether
     * it was new, not a duplicate; NULL: the batch is certainly not stored. */
    void (*on_done)(void *ctx, struct batch *batch, const uint8_t *store);
    /* The connection came up or went down. */
    void (*on_up)(void *ctx, bool up);
};

struct writer *writer_new(struct loop *loop, const struct writer_options *options, const struct writer_calls *calls,
                          void *ctx);

/* Closes the connection at once, even within a transaction: it does not wait for a server that hangs. Batches that it
 * still holds are returned by on_done(). Safe on NULL. */
void writer_free(struct writer **writer);

/* Begins to connect. */
void writer_start(struct writer *writer);

/* Whether writer_submit() accepts a batch: connected, checked, and at most one batch in progress, which is encoded (the
 * next is encoded while PostgreSQL works on that one). */
bool writer_wants(const struct writer *writer);

/* Holds the batch until on_done() is called with it, and encodes it step by step.
 * first_seq must be one more than the last_seq submitted before, or than what on_position() returned; else it aborts:
 * the position would pass over accepted alerts. */
void writer_submit(struct writer *writer, struct batch *batch);

/* The journal took a new UUID (16 bytes, copied). */
void writer_set_journal(struct writer *writer, const uint8_t *journal_uuid);

/* New options, copied, except for journal_uuid, which stays: reconnects if conninfo or instance differ, after the
 * transaction in progress. Batches already submitted keep the rules that were applied to them. */
void writer_reconfigure(struct writer *writer, const struct writer_options *options);

/* Whether no batch is in progress. */
bool writer_idle(const struct writer *writer);

/* The device was found silent: the status from its next alert is written at once. */
void writer_mark_silent(struct writer *writer, struct str device);

/* Wall time of the first stored receipt that is not yet part of a device's status in the database; INT64_MAX: none. */
int64_t writer_status_written_until_us(const struct writer *writer);

/* How long a raise has been waiting for its verification; 0: none is waiting; INT64_MAX: what was stored before a crash
 * or an outage is waiting too. */
int64_t writer_unverified_us(const struct writer *writer);

/* For an orderly stop: device status is written now, not within a minute. */
void writer_flush_now(struct writer *writer);

/* True if no batch is in progress and no post-commit work waits. Device status may wait, unless flushed now. */
bool writer_drained(const struct writer *writer);

struct writer_counts writer_counts(const struct writer *writer);

/* One word and a sentence for people: "connected", "waiting: connection refused, next try in 3 s". */
const char *writer_state(const struct writer *writer);

/* Wall time up to which partitions are premade for alerts of every class; 0: not known yet. */
int64_t writer_partitions_until_us(const struct writer *writer);

#endif
