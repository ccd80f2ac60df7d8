/*
 * The transaction that stores one batch, each alert exactly once: as often as it takes, until it is committed or its
 * owner has to act. A state machine that sends statements and is handed their results; it does not know the connection,
 * so that the daemon's loop (store/writer.h) and a blocking program (store/quarantine_retry.h) can drive the same one.
 *
 * If the period of identities has been closed meanwhile, the database refuses them, and the transaction begins again.
 *
 * The transaction moves the journal's position, claims the identities, reads, correlates and stores the incidents,
 * copies the alerts and their images, puts what the database refuses into quarantine, and numbers the changes
 * (sql/README.md has the tables).
 */
#ifndef MOBEYE_STORE_TRANSACTION_H
#define MOBEYE_STORE_TRANSACTION_H

#include "store/bisect.h"
#include "store/encoded_batch.h"
#include "store/identity_periods.h"
#include "store/image_rows.h"
#include "store/incident_rows.h"

/*
 * The states, and -> their exits. Errors that are not named lead to ROLLING_BACK; a lost connection leads from each
 * state but NONE to LOST.
 */
enum transaction_state {
    TRANSACTION_NONE, /* no batch. The first that applies: the periods of identities are not known, or a closed one had
                         no filter -> READING_PERIODS; an origin of its alerts may be new -> ADDING_ORIGINS; identities
                         may be stored in earlier periods -> SEARCHING; -> OPENING */

    /* Each in a transaction of its own: doing it twice, or for nothing, does no harm. Any failure -> RETRY_LATER. */
    TRANSACTION_READING_PERIODS, /* those of identities. -> READING_FILTER; else as NONE */
    TRANSACTION_READING_FILTER,  /* a slice of one that is made. -> READING_FILTER, the next; else as NONE */
    TRANSACTION_ADDING_ORIGINS,  /* -> SEARCHING, OPENING */
    TRANSACTION_SEARCHING,       /* for identities that filters of earlier periods may contain. -> OPENING */

    TRANSACTION_OPENING, /* begin, and the guard: the one statement that must affect one row, such as the journal's
                            position. -> COPYING_IDENTITIES; duplicates are expected or found in an earlier period, or
                            two devices in the batch share an identity -> CLAIMING; nothing to store -> QUARANTINING,
                            COMMITTING; the guard affected no row -> ABANDONING */
    TRANSACTION_COPYING_IDENTITIES, /* COPY of the identities, as if all were new. -> READING; one exists -> UNDOING */
    TRANSACTION_UNDOING,            /* back to before that COPY. -> CLAIMING */
    TRANSACTION_CLAIMING,  /* insert ... on conflict do nothing: the rest are duplicates. -> COMPARING; no duplicate can
                              be of another device -> READING; all are duplicates -> QUARANTINING, COMMITTING */
    TRANSACTION_COMPARING, /* duplicates from another device than the stored alert's get an identity of their own.
                              -> READING; none is to be stored -> QUARANTINING, COMMITTING */
    TRANSACTION_READING,   /* incidents that the alerts may join are locked and read. -> STORING, PROBING; correlating
                              changed none -> SENDING; another daemon created one at this moment -> ABANDONING */
    TRANSACTION_STORING,   /* changed and new incidents are stored. -> SENDING; another daemon created one of the same
                              key or condition -> ROLLING_BACK; refused -> BISECTING */
    TRANSACTION_PROBING,   /* the same for the first rows only, to find the row whose incident is refused.
                              -> ROLLING_BACK */
    TRANSACTION_SENDING,   /* the rows of the COPY of alerts are being sent. -> AWAITING; no partition -> ROLLING_BACK;
                              a row is refused -> BISECTING */
    TRANSACTION_AWAITING,  /* all rows are sent, and the commit with them where there is no image and nothing goes to
                              quarantine. -> SENDING_IMAGES, COMMITTING, QUARANTINING; otherwise as SENDING */
    TRANSACTION_SENDING_IMAGES, /* COPY of the images. -> COMMITTING, QUARANTINING; no partition, or one is refused (its
                                   alert goes to quarantine with it) -> ROLLING_BACK */
    TRANSACTION_BISECTING,    /* COPY piece by piece, until all refused rows are known. -> ROLLING_BACK, to begin again
                                 without them */
    TRANSACTION_QUARANTINING, /* refused and unreadable rows go to quarantine. -> COMMITTING */
    TRANSACTION_COMMITTING,   /* changes of incidents get their numbers; commit, never cancelled. -> COMMITTED */

    TRANSACTION_ABANDONING,        /* the results of the other statements sent are useless. -> ROLLING_BACK */
    TRANSACTION_ROLLING_BACK,      /* -> OPENING again, READING_PERIODS, MAKING_PARTITIONS, RETRY_LATER, POSITION_MOVED,
                                      REFUSED */
    TRANSACTION_MAKING_PARTITIONS, /* those that the batch needs. -> OPENING, RETRY_LATER */

    /* Outcomes, each reported once. -> NONE */
    TRANSACTION_COMMITTED,
    TRANSACTION_RETRY_LATER,    /* nothing is stored: the cause may pass, or a person must repair it */
    TRANSACTION_POSITION_MOVED, /* nothing is stored: the guard affected no row */
    TRANSACTION_REFUSED,        /* nothing is stored: a row is refused, and quarantine is not wanted */
    TRANSACTION_LOST,           /* with the connection: the batch may or may not be stored */
};

struct transaction_calls {
    /* Sends statements without parameters, or one with binary parameters and a binary result. What comes is handed to
     * transaction_on_result(), its end to transaction_on_end(). */
    void (*send)(void *ctx, const char *sql);
    void (*send_params)(void *ctx, const char *sql, size_t n, const Oid *types, const struct buf *values);
    /* The server sent a reply that is not possible, or another server is needed: the connection is to be closed, which
     * must lead to transaction_on_lost(). */
    void (*drop)(void *ctx, const char *reason);
    /* Decides which incidents the rows join or create. More than once for a batch that has to begin again. */
    void (*correlate)(void *ctx, struct incident_set *set, struct batch *batch, const uint8_t *store);
    /* The transaction is over; may begin the next one. */
    void (*on_over)(void *ctx, enum transaction_state outcome);
};

struct transaction {
    struct transaction_calls calls;
    void *ctx;
    enum transaction_state state;
    bool expect_duplicates; /* the last batch had some: claiming at once costs less than a COPY that fails and is undone
                             */
    const char *before_commit;       /* the owner's: SQL that runs once all rows have their status; NULL: none */
    struct origin_cache origins;     /* of this connection */
    struct identity_periods periods; /* likewise */
    bool without_filters; /* the owner's: searching all periods for one alert is faster than reading their filters */
    uint64_t restarts_total;

    /* For the batch, in all its attempts. */
    struct encoded_batch *encoded;
    char *guard;
    const uint8_t *journal;       /* 16 bytes, for quarantine; NULL: a refused row ends it as REFUSED */
    struct bisect bisect;         /* refused rows */
    unsigned restarts;            /* in a row, because of other daemons */
    bool partitions_made;         /* once a batch: a row that still has none is refused */
    bool record_only;             /* quarantine refuses the description too: it gets the record without it */
    enum transaction_state after; /* ABANDONING, ROLLING_BACK: where that leads */
    struct fault fault;           /* the last one */
    struct fault incident_fault;  /* why an incident is refused */

    /* The current attempt. */
    struct incident_rows incidents;
    struct image_rows images;
    struct buf identities;  /* what the COPY of identities sends */
    size_t identities_sent; /* bytes of them */
    size_t quarantine_sent; /* refusals */
    uint64_t quarantined;   /* those of them that were not there before */
};

/* The transaction is zeroed memory at first. */
void transaction_init(struct transaction *transaction, const struct transaction_calls *calls, void *ctx);
void transaction_free(struct transaction *transaction);

/* Begins to store the batch, which must live until the transaction is over. guard: SQL, copied. journal: as in the
 * struct, not copied. */
void transaction_begin(struct transaction *transaction, struct encoded_batch *encoded, const char *guard,
                       const uint8_t *journal);

/* For the driver: a result, the next bytes of COPY after PGRES_COPY_IN (false: that was all), the end of what was sent
 * (fault: its first failure, or NULL), the loss of the connection. */
void transaction_on_result(struct transaction *transaction, PGresult *result);
bool transaction_on_chunk(struct transaction *transaction, struct str *ret);
void transaction_on_end(struct transaction *transaction, const struct fault *fault);
void transaction_on_lost(struct transaction *transaction);

/* True while a COMMIT is in progress: if the connection is lost now, only the position in the database shows whether it
 * happened. */
bool transaction_may_be_committed(const struct transaction *transaction);

/* One word, for the log. */
const char *transaction_state_name(const struct transaction *transaction);

#endif
