/*
 * A batch encoded for the database: rows, identities, and the status of each row.
 */
#ifndef MOBEYE_STORE_ENCODED_BATCH_H
#define MOBEYE_STORE_ENCODED_BATCH_H

#include "model/batch.h"
#include "store/identity.h"
#include "store/incident_lookup.h"
#include "store/origin.h"
#include "store/sqlstate.h"

enum row_status {
    ROW_STORE,      /* goes into mobeye.alert */
    ROW_DUPLICATE,  /* the same alert of the same device is stored, or came earlier in the batch */
    ROW_REFUSED,    /* the database refuses it: quarantine */
    ROW_UNREADABLE, /* the record could not be unpacked: quarantine */
};

/* An identity, as two numbers that sort as its bytes do, and the first row of a device that has it. */
struct row_identity {
    uint64_t high, low;
    uint32_t row;
};

/* An identity that may be stored in an earlier period: an index into `id`. */
struct searched_identity {
    uint32_t i, period;
};

/* Why a row goes to quarantine. */
struct row_refusal {
    size_t row;
    char sqlstate[6]; /* empty: unreadable */
    char *reason;
};

struct encoded_batch {
    struct batch *batch; /* the owner's; NULL: none */
    size_t done;         /* rows that are encoded */
    bool complete;       /* all are encoded, and sorted: nothing below is valid before that */
    char *instance;
    bool has_rules;
    uint8_t rules[ORIGIN_RULES_BYTES]; /* hash of the rules that were applied; valid if has_rules */
    struct buf rows;                   /* of copyrow_alert(), one after the other */
    size_t *start;                     /* n + 1 offsets into rows; an unreadable row has no bytes */
    uint8_t *status;                   /* n of enum row_status */
    uint8_t *conflict;                 /* by row: not 0 where an alert of another device has its identity */
    uint8_t *stored;                   /* of encoded_batch_rows_to_store() */
    uint32_t *found_in;                /* by row: the earlier period in which its identity is stored; 0: in none */
    struct row_identity *id;           /* sorted: with a consistent lock order, concurrent daemons cannot deadlock */
    size_t ids, cap;
    uint8_t (*own)[IDENTITY_BYTES];     /* by row: identity_own(), of CloudEvents */
    uint64_t *origin;                   /* by row: origin_of() */
    bool shared;                        /* two devices in the batch share an identity */
    struct searched_identity *searched; /* where some may be stored, found by batch_identities_search() */
    size_t n_searched, searched_cap;
    struct row_refusal *refusals; /* one for each row that is refused or unreadable */
    size_t refused, refused_cap;
    struct incident_lookup lookup;  /* what its alerts may join */
    size_t next, stop;              /* of the COPY in progress: rows next to stop - 1 are still to be sent */
    const struct incident_set *set; /* where their incidents are; NULL: they have none */
    struct buf chunk;
    bool headed, ended;
};

/* Begins to encode the batch, and reuses the memory of an earlier one. rules: 16 bytes, or NULL. */
void encoded_batch_begin(struct encoded_batch *encoded, struct batch *batch, const char *instance,
                         const uint8_t *rules);

/* Encodes at most this many more rows. Returns whether the batch is complete. */
bool encoded_batch_step(struct encoded_batch *encoded, size_t rows);

/* Empties it; the memory is kept. */
void encoded_batch_clear(struct encoded_batch *encoded);

void encoded_batch_free(struct encoded_batch *encoded);

/* Back to the state when it became complete, except for what was found in earlier periods: the transaction is
 * restarted. */
void encoded_batch_reset(struct encoded_batch *encoded);

/* The same, but refused rows stay refused. */
void encoded_batch_reset_keeping_refused(struct encoded_batch *encoded);

/* By row: not 0 if it is to be stored. Valid until the next call. */
uint8_t *encoded_batch_rows_to_store(struct encoded_batch *encoded);

size_t encoded_batch_count(const struct encoded_batch *encoded, enum row_status status);

/* The origins that the database does not have, as far as known: the parameters of origin_add_sql. false: it has all. */
bool encoded_batch_encode_origins(struct encoded_batch *encoded, const struct origin_cache *known,
                                  struct buf values[ORIGIN_ADD_PARAMS]);

/* The database has them now. */
void encoded_batch_note_origins(const struct encoded_batch *encoded, struct origin_cache *known);

/* The first row from `first` on that is stored although in conflict; the number of rows: there is none. */
size_t encoded_batch_next_conflict(const struct encoded_batch *encoded, size_t first);

/* Data of COPYROW_ALERT_SQL: those rows of first to stop - 1 that are to be stored, with their incidents in the
 * incident set (NULL: without). encoded_batch_next_chunk() gives the next bytes to send, valid until its next call;
 * false at the end. */
void encoded_batch_copy_begin(struct encoded_batch *encoded, size_t first, size_t stop, const struct incident_set *set);
bool encoded_batch_next_chunk(struct encoded_batch *encoded, struct str *ret);

/* The row of the batch that was the nth row (from 1) of a COPY from `first` on; the number of rows: the COPY had
 * fewer. */
size_t encoded_batch_nth_row(const struct encoded_batch *encoded, size_t first, size_t nth);

/* The row goes to quarantine. */
void encoded_batch_refuse(struct encoded_batch *encoded, size_t row, const struct fault *fault);

#endif
