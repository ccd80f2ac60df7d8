/* What a batch needs to know before its transaction is opened: the periods of identities, its origins, and which of its
 * identities are stored in earlier periods. */
#include "store/batch_identities.h"
#include "store/param.h"
#include "store/transaction_parts.h"

/* The last step. */
static void search(struct transaction *t, const char *reason)
{
    struct buf values[BATCH_SEARCH_PARAMS] = {0};
    if (batch_identities_search(t->encoded, &t->periods)) {
        batch_identities_search_encode(t->encoded, values);
        transaction_set_state(t, TRANSACTION_SEARCHING, "identities may be stored in earlier periods");
        t->calls.send_params(t->ctx, batch_search_sql, BATCH_SEARCH_PARAMS, batch_search_types, values);
    } else {
        transaction_open(t, reason);
    }
    params_free(values, BATCH_SEARCH_PARAMS);
}

/* Origins are few, and new ones rare. */
static void add_origins(struct transaction *t)
{
    struct buf values[ORIGIN_ADD_PARAMS] = {0};
    if (encoded_batch_encode_origins(t->encoded, &t->origins, values)) {
        transaction_set_state(t, TRANSACTION_ADDING_ORIGINS, "an origin may be new");
        t->calls.send_params(t->ctx, origin_add_sql, ORIGIN_ADD_PARAMS, origin_add_types, values);
    } else {
        search(t, "a batch");
    }
    params_free(values, ORIGIN_ADD_PARAMS);
}

static void read_filters(struct transaction *t)
{
    const struct identity_period *next = t->without_filters ? NULL : identity_periods_next_filter(&t->periods);
    struct buf values[IDENTITY_FILTER_PARAMS] = {0};
    if (next) {
        identity_period_encode_slice(next, values);
        transaction_set_state(t, TRANSACTION_READING_FILTER, "the database has made it");
        t->calls.send_params(t->ctx, identity_filter_sql, IDENTITY_FILTER_PARAMS, identity_filter_types, values);
    } else {
        add_origins(t);
    }
    params_free(values, IDENTITY_FILTER_PARAMS);
}

void transaction_read_periods(struct transaction *t, const char *reason)
{
    t->periods.current = 0;
    transaction_set_state(t, TRANSACTION_READING_PERIODS, reason);
    t->calls.send_params(t->ctx, identity_periods_sql, 0, NULL, NULL);
}

void transaction_prepare(struct transaction *t)
{
    if (t->periods.current == 0)
        transaction_read_periods(t, "the periods of identities are not known");
    else if (identity_periods_unfiltered(&t->periods))
        transaction_read_periods(t, "a period of identities had no filter");
    else
        add_origins(t);
}

void transaction_on_periods(struct transaction *t, PGresult *result)
{
    if (PQresultStatus(result) == PGRES_TUPLES_OK)
        identity_periods_take(&t->periods, result);
}

void transaction_on_periods_read(struct transaction *t)
{
    if (t->periods.current != 0) {
        read_filters(t);
        return;
    }
    t->fault = (struct fault){
        .class = SQLSTATE_STOP,
        .sqlstate = "02000",
        .text = "mobeye.identity_period has no current period (one whose closed_at is null)",
    };
    transaction_end_with(t, TRANSACTION_RETRY_LATER);
}

void transaction_on_filter(struct transaction *t, PGresult *result)
{
    struct identity_period *period = identity_periods_next_filter(&t->periods);
    if (PQresultStatus(result) == PGRES_TUPLES_OK && period)
        identity_period_take_slice(period, result);
}

void transaction_on_filter_read(struct transaction *t)
{
    read_filters(t);
}

void transaction_on_origins_added(struct transaction *t)
{
    encoded_batch_note_origins(t->encoded, &t->origins);
    search(t, "its origins are stored");
}

void transaction_on_found(struct transaction *t, PGresult *result)
{
    if (PQresultStatus(result) == PGRES_TUPLES_OK)
        batch_identities_found(t->encoded, result);
}

void transaction_on_searched(struct transaction *t)
{
    transaction_open(t, "earlier periods are searched");
}
