/*
 * The writer: batches of alerts into PostgreSQL, each exactly once, by one non-blocking state machine.
 *
 * A batch is one transaction: the journal's position, the identities, the alerts (sql/README.md has the tables). The
 * writer reconnects by itself for ever, with full-jitter backoff. It never gives a batch up: alerts that the database
 * refuses go to mobeye.quarantine one by one, with their bytes.
 */
#ifndef MOBEYE_STORE_WRITER_H
#define MOBEYE_STORE_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "alert/batch.h"
#include "base/loop.h"

/* The schema version that this program writes: the number of the last migration. */
#define WRITER_SCHEMA_VERSION 1

struct writer;

struct writer_options {
    const char *conninfo; /* libpq's; several hosts are tried in turn */
    const char *instance;
    const uint8_t *journal_uuid; /* 16 bytes */
};

/* What the database knows of this journal. */
struct writer_position {
    bool known;        /* false: the database has never seen this journal's UUID */
    uint64_t position; /* the last number that is stored */
    uint64_t checksum; /* of that record */
};

/* How a part of a batch ended, after its COMMIT. committed + duplicate + quarantined rows make the part. */
struct writer_stored {
    uint64_t last_seq;
    uint64_t committed, duplicate, quarantined;
};

/* All are called from the loop. They may call writer_submit(), writer_set_journal() and writer_restart(), not
 * writer_free(). */
struct writer_calls {
    /* After connecting, and whenever the position in the database turned out to be another than expected: which number
     * comes next? The owner compares with its journal, calls writer_set_journal() where the journal took a new UUID
     * (the position is then read again), and otherwise returns the number that the next batch starts after. Whatever
     * was submitted before is forgotten. */
    uint64_t (*position)(void *ctx, struct writer_position position);
    /* A batch may be submitted now. */
    void (*ready)(void *ctx);
    /* A batch or a part of it is committed. */
    void (*stored)(void *ctx, const struct writer_stored *stored);
    /* The writer has no more use for the batch: it is stored, or forgotten (position comes next). */
    void (*done)(void *ctx, struct batch *batch);
    /* The connection came up or went down. */
    void (*up)(void *ctx, bool up);
};

struct writer *writer_new(struct loop *loop, const struct writer_options *options, const struct writer_calls *calls,
                          void *ctx);
void writer_free(struct writer **writer);

/* Begins to connect. */
void writer_start(struct writer *writer);

/* True where writer_submit() would take a batch: connected, checked, and at most one batch on its way (the next one is
 * encoded while PostgreSQL works on that). */
bool writer_wants(const struct writer *writer);

/* Takes the batch until done() is called with it. Its rows follow on what was submitted before. */
void writer_submit(struct writer *writer, struct batch *batch);

/* The journal took a new UUID (16 bytes, copied). */
void writer_set_journal(struct writer *writer, const uint8_t *journal_uuid);

/* New conninfo or instance (copied): reconnects where they differ, after the transaction that is on its way. */
void writer_reconfigure(struct writer *writer, const char *conninfo, const char *instance);

/* True where nothing is on its way: for an orderly stop. */
bool writer_idle(const struct writer *writer);

/* Up to when alerts of every class can be stored: how far partitions are premade. Wall time; 0: not known yet. */
int64_t writer_partitions_until_us(const struct writer *writer);

/* One word and a sentence for people: "connected", "waiting: connection refused, next try in 3 s". */
const char *writer_state(const struct writer *writer);

#endif
