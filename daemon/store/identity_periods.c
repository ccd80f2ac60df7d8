#include "store/identity_periods.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/column.h"

const char identity_periods_sql[] =
    "select period, closed_at is not null, filter is not null from mobeye.identity_period order by period";

const char identity_filter_sql[] = "select filter from mobeye.identity_period where period = $1";
const Oid identity_filter_types[IDENTITY_FILTER_PARAMS] = {TYPE_INT4};

void identity_periods_clear(struct identity_periods *periods)
{
    for (size_t i = 0; i < periods->n; i++)
        free(periods->closed[i].words);
    free(periods->closed);
    *periods = (struct identity_periods){0};
}

/* Moves the filter of the period, if it is here, to the new list. */
static void move_filter(struct identity_periods *from, struct identity_period *to)
{
    for (size_t i = 0; i < from->n; i++)
        if (from->closed[i].number == to->number) {
            to->words = from->closed[i].words;
            to->n = from->closed[i].n;
            from->closed[i].words = NULL;
        }
}

bool identity_periods_take(struct identity_periods *periods, const PGresult *rows)
{
    struct identity_periods next = {0};
    int n = PQntuples(rows);
    next.closed = mem_realloc(NULL, n > 0 ? (size_t)n : 1, sizeof(*next.closed));
    for (int i = 0; i < n; i++) {
        struct identity_period one = {.number = column_int4(rows, i, 0, 0), .made = PQgetvalue(rows, i, 2)[0]};
        if (!PQgetvalue(rows, i, 1)[0]) {
            next.current = one.number;
            continue;
        }
        move_filter(periods, &one);
        next.closed[next.n++] = one;
    }
    identity_periods_clear(periods);
    *periods = next;
    return next.current != 0;
}

bool identity_periods_unfiltered(const struct identity_periods *periods)
{
    for (size_t i = 0; i < periods->n; i++)
        if (!periods->closed[i].made)
            return true;
    return false;
}

struct identity_period *identity_periods_next_filter(const struct identity_periods *periods)
{
    for (size_t i = 0; i < periods->n; i++)
        if (periods->closed[i].made && !periods->closed[i].words)
            return &periods->closed[i];
    return NULL;
}

void identity_period_take_filter(struct identity_period *period, const PGresult *row)
{
    size_t len = PQntuples(row) == 1 ? (size_t)PQgetlength(row, 0, 0) : 0, n = len / sizeof(uint64_t);
    if (n == 0 || len % sizeof(uint64_t) != 0) {
        period->made = false;
        return;
    }
    period->words = mem_realloc(NULL, n, sizeof(*period->words));
    memcpy(period->words, PQgetvalue(row, 0, 0), len);
    for (size_t i = 0; i < n; i++)
        period->words[i] = be64toh(period->words[i]);
    period->n = n;
}

static uint64_t bit(uint64_t hash, unsigned shift)
{
    return UINT64_C(1) << (hash >> shift & 63);
}

bool identity_period_may_have(const struct identity_period *period, uint64_t low)
{
    if (!period->words)
        return true;
    uint64_t hash = low & 0xFFFFFFFFFFFF, word = period->words[(hash >> 24) % period->n];
    uint64_t bits = bit(hash, 0) | bit(hash, 6) | bit(hash, 12) | bit(hash, 18);
    return (word & bits) == bits;
}
