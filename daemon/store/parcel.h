/*
 * A batch made ready for the database: encoded rows, identities, and what became of each row.
 */
#ifndef MOBEYE_STORE_PARCEL_H
#define MOBEYE_STORE_PARCEL_H

#include "alert/batch.h"
#include "store/identity.h"
#include "store/incident_ask.h"
#include "store/sqlstate.h"

enum fate {
    FATE_STORE,      /* goes into mobeye.alert */
    FATE_DUPLICATE,  /* the same alert of the same device is stored, or came earlier in the batch */
    FATE_REFUSED,    /* the database takes it not: quarantine */
    FATE_UNREADABLE, /* the record could not be unpacked: quarantine */
};

/* An identity, as two numbers that sort as its bytes do, and the first row of a device that has it. */
struct parcel_id {
    uint64_t high, low;
    uint32_t row;
};

/* Why a row goes to quarantine. */
struct parcel_refusal {
    size_t row;
    char sqlstate[6]; /* empty: unreadable */
    char *reason;
};

struct parcel {
    struct batch *batch; /* the owner's; NULL: the parcel is empty */
    char *instance;
    bool has_rules;
    uint8_t rules[16];    /* hash of those that the alerts were judged by, valid where has_rules is set */
    struct buf rows;      /* COPY rows of mobeye.alert but for their last column, one behind the other */
    size_t *start;        /* n + 1 offsets into rows; an unreadable row has no bytes */
    uint8_t *fate;        /* n of enum fate */
    uint8_t *conflict;    /* by row: not 0 where an alert of another device has its identity */
    uint8_t *stored;      /* of parcel_stored() */
    struct parcel_id *id; /* sorted, so that two daemons never wait for each other in a circle */
    size_t ids, cap;
    uint8_t (*own)[IDENTITY_BYTES];  /* by row: identity_own(), of CloudEvents */
    bool shared;                     /* two devices within the batch have one identity */
    struct parcel_refusal *refusals; /* one each for rows that are refused or unreadable */
    size_t refused, refused_cap;
    struct incident_ask ask; /* what its alerts may join */
    size_t next, stop;       /* of the COPY on its way: rows next to stop - 1 are still to be sent */
    const struct book *book; /* where their incidents are; NULL: they have none */
    struct buf chunk;
    bool headed, ended;
};

/* Encodes the batch. The memory of an earlier use is used again. rules: 16 bytes, or NULL. */
void parcel_fill(struct parcel *parcel, struct batch *batch, const char *instance, const uint8_t *rules);

/* Empties it; the memory is kept. */
void parcel_clear(struct parcel *parcel);

void parcel_free(struct parcel *parcel);

/* Back to what parcel_fill() made of it: the transaction begins anew. */
void parcel_reset(struct parcel *parcel);

/* The same, but what was refused stays so. */
void parcel_renew(struct parcel *parcel);

/* By row: not 0 where it is to be stored. Valid until the next call. */
const uint8_t *parcel_stored(struct parcel *parcel);

size_t parcel_count(const struct parcel *parcel, enum fate fate);

/* The identities of rows that are to be stored: data of COPYROW_IDENTITY_SQL (not where they are shared), or the
 * parameters of parcel_claim_sql. */
enum { PARCEL_CLAIM_PARAMS = 2 };
extern const char parcel_claim_sql[];
extern const Oid parcel_claim_types[PARCEL_CLAIM_PARAMS];
void parcel_copy_identities(const struct parcel *parcel, int64_t wall_us, struct buf *out);
void parcel_claim_encode(const struct parcel *parcel, struct buf values[PARCEL_CLAIM_PARAMS]);

/* Of those identities the ones in the result of parcel_claim_sql are new; the rows of the others are duplicates. */
void parcel_settle(struct parcel *parcel, const PGresult *added);

/* Which of the duplicates are another device's than the stored alert: parameters of parcel_conflict_sql, and its
 * result, by which those are to be stored, in conflict. false: there is no duplicate that could be. */
enum { PARCEL_CONFLICT_PARAMS = 3 };
extern const char parcel_conflict_sql[];
extern const Oid parcel_conflict_types[PARCEL_CONFLICT_PARAMS];
bool parcel_conflict_encode(const struct parcel *parcel, struct buf values[PARCEL_CONFLICT_PARAMS]);
void parcel_conflict_settle(struct parcel *parcel, const PGresult *places);

/* The first row from `first` on that is stored though in conflict; the number of rows: there is none. */
size_t parcel_next_conflict(const struct parcel *parcel, size_t first);

/* Data of COPYROW_ALERT_SQL: those rows of first to stop - 1 that are to be stored, with their incidents in the book
 * (NULL: without). parcel_next_chunk() gives the next bytes to send, valid until its next call; false at the end. */
void parcel_copy_begin(struct parcel *parcel, size_t first, size_t stop, const struct book *book);
bool parcel_next_chunk(struct parcel *parcel, struct str *ret);

/* The row that the nth (from 1) of a COPY from `first` on was; the number of rows where there were not as many. */
size_t parcel_nth(const struct parcel *parcel, size_t first, size_t nth);

/* The row goes to quarantine. */
void parcel_refuse(struct parcel *parcel, size_t row, const struct fault *fault);

#endif
