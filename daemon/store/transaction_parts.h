/*
 * The internals of the transaction, shared by transaction_preparation.c (what must be known beforehand), transaction.c
 * (the way to the commit), transaction_faults.c (why a batch is refused) and transaction_state.c.
 */
#ifndef MOBEYE_STORE_TRANSACTION_PARTS_H
#define MOBEYE_STORE_TRANSACTION_PARTS_H

#include "store/transaction.h"

#define TRANSACTION_SUBJECT "database"

/* The one place where the state changes. The reason goes to the log (debug). */
void transaction_set_state(struct transaction *t, enum transaction_state state, const char *reason);

/* transaction_preparation.c: before the transaction is opened. */
void transaction_prepare(struct transaction *t);
void transaction_read_periods(struct transaction *t, const char *reason);
void transaction_on_periods(struct transaction *t, PGresult *result);
void transaction_on_periods_read(struct transaction *t);
void transaction_on_filter(struct transaction *t, PGresult *result);
void transaction_on_filter_read(struct transaction *t);
void transaction_on_origins_added(struct transaction *t);
void transaction_on_found(struct transaction *t, PGresult *result);
void transaction_on_searched(struct transaction *t);

/* transaction.c */
void transaction_open(struct transaction *t, const char *reason);
void transaction_claim(struct transaction *t);
void transaction_report(struct transaction *t, enum transaction_state outcome);

/* transaction_faults.c */
void transaction_on_fault(struct transaction *t, const struct fault *fault);
void transaction_roll_back(struct transaction *t, enum transaction_state after, const char *reason);
void transaction_on_abandoned(struct transaction *t);
void transaction_on_rolled_back(struct transaction *t);
void transaction_on_piece_stored(struct transaction *t);
void transaction_on_prefix_stored(struct transaction *t);
void transaction_on_partitions_made(struct transaction *t);
void transaction_end_with(struct transaction *t, enum transaction_state outcome);

#endif
