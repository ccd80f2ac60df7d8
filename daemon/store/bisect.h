/*
 * Finds the rows of a batch that the database refuses, by trying parts of it. Pure: it decides what to try next, from
 * the results so far; store/transaction.h does the trying.
 *
 * First the alerts: pieces of the batch are stored one after the other until every refused row is known. If the batch
 * is still refused without them, an incident is the cause: then prefixes of the batch are tried, each in a transaction
 * of its own, until the one row is found whose incident is refused.
 */
#ifndef MOBEYE_STORE_BISECT_H
#define MOBEYE_STORE_BISECT_H

#include <stdbool.h>
#include <stddef.h>

enum bisect_phase {
    BISECT_OFF,       /* no row is known to be refused. -> ROWS, KNOWN */
    BISECT_ROWS,      /* pieces are stored until all refused rows are known. -> KNOWN */
    BISECT_KNOWN,     /* refused rows are known, the rest is stored as usual. -> INCIDENTS */
    BISECT_INCIDENTS, /* the incidents of a prefix are tried. -> KNOWN with one more refused row */
};

/* Invariants: base <= good <= stop <= n; good_prefix <= bad_prefix <= n. */
struct bisect {
    enum bisect_phase phase;
    size_t n; /* rows of the batch */
    size_t base, good,
        stop;           /* ROWS: rows before base are stored, those before good would be, those before stop are tried */
    size_t step;        /* how many rows beyond good the next piece takes */
    size_t good_prefix; /* the incidents of this many rows can be stored */
    size_t bad_prefix;  /* and those of this many are refused */
    size_t prefix;      /* INCIDENTS: this many are tried; otherwise n: all are */
};

/* A new batch of n rows: OFF. */
void bisect_reset(struct bisect *bisect, size_t n);

/* The batch was refused: its rows are to be tried in pieces. */
void bisect_begin_rows(struct bisect *bisect);

/* ROWS: sets stop; rows base to stop - 1 are tried next. false: all refused rows are known, and the phase is KNOWN. */
bool bisect_next_piece(struct bisect *bisect);

void bisect_piece_stored(struct bisect *bisect);

/* One row of the piece is to blame, and is left out from now on. */
void bisect_piece_refused(struct bisect *bisect, size_t row);

/* The piece, of at least two rows, was refused, and the row to blame is unknown. */
void bisect_halve_piece(struct bisect *bisect);

/* A row is refused, as the owner found out without a search; it is left out from now on: KNOWN. */
void bisect_row_known(struct bisect *bisect);

enum bisect_verdict {
    BISECT_TRY_PREFIX, /* try the incidents of the first `prefix` rows */
    BISECT_ROW_FOUND,  /* the incident of row good_prefix is refused */
    BISECT_NO_ROW,     /* no row is to blame */
};

/* KNOWN, INCIDENTS: the incidents of the first `prefix` rows are stored, or refused. */
enum bisect_verdict bisect_prefix_stored(struct bisect *bisect);
enum bisect_verdict bisect_prefix_refused(struct bisect *bisect);

/* After BISECT_ROW_FOUND: row good_prefix is left out from now on. Back to KNOWN. */
void bisect_leave_out_row(struct bisect *bisect);

#endif
