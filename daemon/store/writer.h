/*
 * The writer: batches of alerts into PostgreSQL, each exactly once, by one non-blocking state machine.
 *
 * A batch is one transaction: the journal's position, the identities, the incidents, the alerts (sql/README.md has the
 * tables). What follows on its commit (verification, hints, what devices were last heard to say) is post_commit's
 * (store/post_commit.h), on a connection of its own, and holds up no batch. The writer reconnects by itself for ever,
 * with full-jitter backoff. It never gives a batch up: alerts that the database refuses go to mobeye.quarantine one by
 * one, with their bytes.
 */
#ifndef MOBEYE_STORE_WRITER_H
#define MOBEYE_STORE_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"
#include "model/batch.h"
#include "model/incident.h"

/* The schema version that this program writes: the number of the last migration. */
#define WRITER_SCHEMA_VERSION 2

struct writer;

struct writer_options {
    const char *conninfo; /* libpq's; several hosts are tried in turn */
    const char *instance;
    const uint8_t *journal_uuid; /* 16 bytes */
    const uint8_t *rules;        /* 16 bytes: hash of the rules; NULL: not known */
    const char *rules_text;
    int64_t keep_us[CLASS_COUNT]; /* how long alerts are kept: partitions are premade as far back; 0: 31 days */
};

/* Since the start, of this daemon. */
struct writer_counts {
    uint64_t incidents; /* created */
    uint64_t verified;  /* by a second input or device */
    uint64_t restarts;  /* transactions begun again since another daemon created the same incident */
    uint64_t stale;     /* batches read again since the registry or the areas had changed */
};

/* What the database knows of this journal. */
struct writer_position {
    bool known;        /* false: the database has never seen this journal's UUID */
    uint64_t position; /* the last number that is stored */
    uint64_t checksum; /* of that record */
};

/* How a part of a batch ended, after its COMMIT. committed + duplicate + quarantined rows make the part; conflicts are
 * among those that are committed. */
struct writer_stored {
    uint64_t last_seq;
    uint64_t committed, duplicate, quarantined;
    uint64_t conflicts; /* stored as their own, since another device's alert has their identity */
};

/* All are called from the loop. They may call writer_submit(), writer_set_journal() and writer_reconfigure(), not
 * writer_free(). */
struct writer_calls {
    /* After connecting, and whenever the position in the database turned out to be another than expected: which number
     * comes next? The owner compares with its journal, calls writer_set_journal() where the journal took a new UUID
     * (the position is then read again), and otherwise returns the number that the next batch starts after. Whatever
     * was submitted before is forgotten. */
    uint64_t (*on_position)(void *ctx, struct writer_position position);
    /* A batch may be submitted now. */
    void (*on_ready)(void *ctx);
    /* Within the transaction: decides which incidents the rows join or make (enrich/correlate.h). More than once for a batch
     * whose transaction has to begin anew. */
    void (*correlate)(void *ctx, struct incident_set *set, struct batch *batch, const uint8_t *store);
    /* The registry or the areas have moved on from what the batch was enriched with. Whatever was submitted is
     * forgotten; on_position() comes next. */
    void (*on_stale)(void *ctx, uint64_t registry_version, uint64_t areas_version);
    /* A batch or a part of it is committed. */
    void (*on_stored)(void *ctx, const struct writer_stored *stored);
    /* The writer has no more use for the batch: it is stored, or forgotten (position comes next). */
    void (*on_done)(void *ctx, struct batch *batch);
    /* The connection came up or went down. */
    void (*on_up)(void *ctx, bool up);
};

struct writer *writer_new(struct loop *loop, const struct writer_options *options, const struct writer_calls *calls,
                          void *ctx);

/* Closes the connection at once, whatever is on its way: a server that hangs is not waited for. Batches that it still
 * has are given back by on_done(). Safe on NULL. */
void writer_free(struct writer **writer);

/* Begins to connect. */
void writer_start(struct writer *writer);

/* True where writer_submit() would take a batch: connected, checked, and at most one batch on its way (the next one is
 * encoded while PostgreSQL works on that). */
bool writer_wants(const struct writer *writer);

/* Takes the batch until on_done() is called with it. What the alerts got from enrich is encoded before it returns.
 * first_seq must be one more than the last_seq submitted before, or than what on_position() returned; else it aborts:
 * the position would pass over accepted alerts. */
void writer_submit(struct writer *writer, struct batch *batch);

/* The journal took a new UUID (16 bytes, copied). */
void writer_set_journal(struct writer *writer, const uint8_t *journal_uuid);

/* New options, copied, but for journal_uuid, which stays: reconnects where conninfo or instance differ, after the
 * transaction that is on its way. Batches that it has keep the rules that they were judged by. */
void writer_reconfigure(struct writer *writer, const struct writer_options *options);

/* True where no batch is on its way. */
bool writer_idle(const struct writer *writer);

/* The device was found silent: what is next heard of it is told to the database at once. */
void writer_mark_silent(struct writer *writer, struct str device);

/* Wall time of the first receipt that is stored but not yet noted as a device's sign of life; INT64_MAX: none. */
int64_t writer_status_written_until_us(const struct writer *writer);

/* For an orderly stop: what devices said is noted now, not within a minute. */
void writer_flush_now(struct writer *writer);

/* True where nothing waits to follow on commits either. What devices said may wait, unless in a hurry. */
bool writer_drained(const struct writer *writer);

struct writer_counts writer_counts(const struct writer *writer);

/* One word and a sentence for people: "connected", "waiting: connection refused, next try in 3 s". */
const char *writer_state(const struct writer *writer);

/* Wall time until when partitions are premade for alerts of every class; 0: not known yet. */
int64_t writer_partitions_until_us(const struct writer *writer);

#endif
