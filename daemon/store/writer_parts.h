/*
 * The writer's inside, shared by the files writer*.c: writer.c (owner's side, what comes next), writer_setup.c (from
 * the connection to the position), writer_batch.c (the transaction), writer_incidents.c (its incidents),
 * writer_faults.c (what refuses it).
 */
#ifndef MOBEYE_STORE_WRITER_PARTS_H
#define MOBEYE_STORE_WRITER_PARTS_H

#include <event2/event_struct.h>

#include "base/log.h"
#include "store/encoded_batch.h"
#include "store/pgconn.h"
#include "store/post_commit.h"
#include "store/writer.h"

#define WRITER_SUBJECT "database"

/* What follows on a rollback. */
enum writer_after { AFTER_ROLLBACK_AGAIN, AFTER_ROLLBACK_PAUSE, AFTER_ROLLBACK_PARTITIONS, AFTER_ROLLBACK_POSITION };

struct writer {
    struct loop *loop;
    struct writer_calls calls;
    void *ctx;
    struct pgconn *conn;
    char *conninfo, *instance;
    int64_t keep_us[CLASS_COUNT]; /* as in writer_options */
    uint8_t journal[IDENTITY_BYTES];
    bool has_rules;
    uint8_t rules[16];

    enum writer_state state;
    char text[640];      /* writer_state() */
    bool up;             /* as calls.up() was told */
    bool asked_position; /* to be read again as soon as IDLE */
    bool asked_connect;  /* to connect anew as soon as no transaction is on its way */
    bool upkeep_due;
    int64_t partitions_until_us;
    int schema;                  /* version found; -1: none */
    bool known;                  /* the position is: the database has a row for this journal */
    uint64_t position, checksum; /* in the database, as last read or committed */

    struct encoded_batch batches[2]; /* the batch in its transaction, and the next */
    size_t first, n;                 /* index of the first, how many */
    uint64_t submitted_seq;          /* the next batch follows on it */

    /* Of the first encoded's transaction. */
    bool faulty; /* a statement failed; fault has the first failure */
    struct fault fault;
    bool moved;           /* the position was not where we thought, or the registry or the areas moved on */
    bool claimed;         /* CLAIMING: the insert is sent, and no longer the rollback before it */
    bool isolated;        /* all refused rows are known; stays when the transaction begins anew without them */
    bool torn;            /* READING: another daemon made an incident at this moment */
    bool server_busy;     /* with what it was sent whole: there is time to encode the next batch */
    bool commit_sent;     /* with the statements that are on their way */
    bool committed;       /* so says the server */
    bool bare;            /* quarantine refuses the description too */
    bool partitions_made; /* for this batch, once */
    bool expect_duplicates;
    unsigned agains; /* how often in a row it began anew because of another daemon */
    struct incident_rows incidents;
    enum writer_after after;

    /* A COMMIT whose answer was lost with the connection: the position that is read next says whether it happened. */
    struct writer_stored unsure; /* last_seq 0: none */
    uint64_t unsure_checksum;

    unsigned retries;     /* pauses in a row */
    int64_t pause_us;     /* the next one */
    size_t salvaged;      /* refusals that were sent to quarantine */
    uint64_t quarantined; /* those that quarantine did not have yet */

    /* What COPY IN sends while IDENTITIES; while ALERTS and ISOLATING the encoded gives it. */
    struct buf copy;
    size_t copied;

    struct post_commit *post_commit; /* what follows on commits */
    struct writer_counts counts;
    uint64_t registry_version, areas_version; /* in the database, as last read with the position */

    /* ISOLATING: rows before base are stored in this transaction, those from base to good would be, those from good to
     * stop are tried. base <= good <= stop; step is the size of the next try. */
    struct {
        size_t base, good, stop, step;
    } piece;

    /* Incidents are refused: those of the rows before good are stored, those before bad are not, for this fault; those
     * before tried are tried now, in a transaction that goes no further. tried 0: all, as ever. */
    struct {
        size_t good, tried, bad;
        struct fault fault;
    } sift;

    struct event timer; /* ends WAITING or PAUSED */
    struct event kick;  /* something was asked for */
    struct event minute;
    struct event watch;       /* tells of a server that does not answer */
    int64_t last_received_us; /* when it did last */
    struct rate_limiter schema_complaint, batch_complaint, refused_complaint, conflict_complaint, upkeep_complaint,
        hung_complaint;
};

/* The one place where the state changes. The reason goes to the log (debug) and to writer_state(). */
void writer_set_state(struct writer *w, enum writer_state state, const char *reason);

/* pgconn_query() and the like, under the eye of the watch. */
void writer_query(struct writer *w, const char *sql);
void writer_query_params(struct writer *w, const char *sql, size_t n, const Oid *types, const struct buf *values);

/* IDLE: begins whatever is due. */
void writer_next(struct writer *w);

/* Gives all batches back. */
void writer_forget(struct writer *w);

/* Says up or down to the owner, where it is news. */
void writer_tell_up(struct writer *w, bool up);

static inline struct encoded_batch *writer_batch(struct writer *w)
{
    return &w->batches[w->first];
}

/* writer_setup.c */
void writer_prepare(struct writer *w);
void writer_check(struct writer *w);
void writer_wait(struct writer *w, const char *reason);
void writer_read_position(struct writer *w);
void writer_prepared(struct writer *w);
void writer_check_result(struct writer *w, PGresult *result);
void writer_checked(struct writer *w);
void writer_upkeep_result(struct writer *w, PGresult *result);
void writer_upkeep_over(struct writer *w);
void writer_prepare_result(struct writer *w, PGresult *result);
void writer_position_result(struct writer *w, PGresult *result);
void writer_position_over(struct writer *w);

/* writer_batch.c */
void writer_begin(struct writer *w);
void writer_end(struct writer *w);
void writer_claim(struct writer *w);
bool writer_chunk(struct writer *w, struct str *ret);
void writer_batch_result(struct writer *w, PGresult *result);
void writer_opened(struct writer *w);
void writer_claimed(struct writer *w);
void writer_compared(struct writer *w);
void writer_copy_alerts(struct writer *w);
void writer_ended(struct writer *w);

void writer_lost(struct writer *w);

/* writer_incidents.c */
void writer_read_incidents(struct writer *w);
void writer_read_result(struct writer *w, PGresult *result);
void writer_read_over(struct writer *w);
void writer_store_result(struct writer *w, PGresult *result);
void writer_again(struct writer *w, const char *reason);
void writer_store_over(struct writer *w);

/* writer_faults.c */
void writer_fault(struct writer *w);
void writer_rollback(struct writer *w, enum writer_after after, const char *reason);
void writer_rolled_back(struct writer *w);
void writer_piece_stored(struct writer *w);
void writer_sift_stored(struct writer *w);
void writer_torn(struct writer *w);           /* a condition leads to an incident that is not there, or was not yet */
void writer_forget_refused(struct writer *w); /* which rows are */
void writer_partitions_over(struct writer *w);

#endif
