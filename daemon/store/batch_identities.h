/*
 * The identities of an encoded batch: their order, and which of them the database already has.
 *
 * First, those that the filters of earlier periods may contain are looked up there: a row whose identity is found is a
 * duplicate. The others are stored in the current period, either by a COPY, as if all were new, or by a statement that
 * claims those that are. A duplicate may be of another device than the stored alert; then its own identity decides.
 */
#ifndef MOBEYE_STORE_BATCH_IDENTITIES_H
#define MOBEYE_STORE_BATCH_IDENTITIES_H

#include "store/encoded_batch.h"
#include "store/identity_periods.h"

void batch_identities_add(struct encoded_batch *encoded, const uint8_t id[IDENTITY_BYTES], size_t row);

/* Sorts, and keeps one entry per identity and device: that of the earliest row. */
void batch_identities_sort(struct encoded_batch *encoded);

/* Forgets what was found in earlier periods, and consults their filters. false: nothing can be there; otherwise search,
 * with the parameters and the result of batch_search_sql. What is found takes effect at the next
 * encoded_batch_reset(). */
enum { BATCH_SEARCH_PARAMS = 2 };
extern const char batch_search_sql[];
extern const Oid batch_search_types[BATCH_SEARCH_PARAMS];
bool batch_identities_search(struct encoded_batch *encoded, const struct identity_periods *periods);
void batch_identities_search_encode(const struct encoded_batch *encoded, struct buf values[BATCH_SEARCH_PARAMS]);
void batch_identities_found(struct encoded_batch *encoded, const PGresult *places);
bool batch_identities_any_found(const struct encoded_batch *encoded);

/* The identities of rows to be stored: data of COPYROW_IDENTITY_SQL (not if two devices share one), or the parameters
 * of batch_claim_sql. */
enum { BATCH_CLAIM_PARAMS = 3 };
extern const char batch_claim_sql[];
extern const Oid batch_claim_types[BATCH_CLAIM_PARAMS];
void batch_identities_copy(const struct encoded_batch *encoded, uint32_t period, struct buf *out);
void batch_identities_claim_encode(const struct encoded_batch *encoded, uint32_t period,
                                   struct buf values[BATCH_CLAIM_PARAMS]);

/* Identities in the result of batch_claim_sql are new; the rows of the others are duplicates. */
void batch_identities_claimed(struct encoded_batch *encoded, const PGresult *added);

/* The duplicates that may come from another device than the stored alert: parameters of batch_conflict_sql, and its
 * result, which names those that are to be stored, in conflict. false: there are none. */
enum { BATCH_CONFLICT_PARAMS = 5 };
extern const char batch_conflict_sql[];
extern const Oid batch_conflict_types[BATCH_CONFLICT_PARAMS];
bool batch_identities_conflict_encode(const struct encoded_batch *encoded, uint32_t period,
                                      struct buf values[BATCH_CONFLICT_PARAMS]);
void batch_identities_resolve_conflicts(struct encoded_batch *encoded, const PGresult *places);

#endif
