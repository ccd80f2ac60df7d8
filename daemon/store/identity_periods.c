#include "store/identity_periods.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/column.h"

const char identity_periods_sql[] =
    "select period, closed_at is not null, filter is not null from mobeye.identity_period order by period";

const char identity_filter_sql[] =
    "select substring(filter from $2 for 1048576) from mobeye.identity_period where period = $1";
const Oid identity_filter_types[IDENTITY_FILTER_PARAMS] = {TYPE_INT4, TYPE_INT4};

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
            to->whole = from->closed[i].whole;
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
        if (periods->closed[i].made && !periods->closed[i].whole)
            return &periods->closed[i];
    return NULL;
}

void identity_period_encode_slice(const struct identity_period *period, struct buf values[IDENTITY_FILTER_PARAMS])
{
    buf_be32(&values[0], period->number);
    buf_be32(&values[1], (uint32_t)(period->n * sizeof(uint64_t)) + 1);
}

static void append_words(struct identity_period *period, const char *bytes, size_t n)
{
    period->words = mem_realloc(period->words, period->n + n, sizeof(*period->words));
    uint64_t *words = period->words + period->n;
    memcpy(words, bytes, n * sizeof(*words));
    for (size_t i = 0; i < n; i++)
        words[i] = be64toh(words[i]);
    period->n += n;
}

void identity_period_take_slice(struct identity_period *period, const PGresult *row)
{
    size_t len = PQntuples(row) == 1 ? (size_t)PQgetlength(row, 0, 0) : 0, n = len / sizeof(uint64_t);
    if (PQntuples(row) != 1 || PQgetisnull(row, 0, 0) || period->n + n == 0 || len % sizeof(uint64_t) != 0) {
        free(period->words);
        *period = (struct identity_period){.number = period->number};
        return;
    }
    if (n > 0)
        append_words(period, PQgetvalue(row, 0, 0), n);
    period->whole = len < IDENTITY_FILTER_SLICE;
}

static uint64_t bit(uint64_t hash, unsigned shift)
{
    return UINT64_C(1) << (hash >> shift & 63);
}

bool identity_period_may_have(const struct identity_period *period, uint64_t low)
{
    if (!period->whole)
        return true;
    uint64_t hash = low & 0xFFFFFFFFFFFF, word = period->words[(hash >> 24) % period->n];
    uint64_t bits = bit(hash, 0) | bit(hash, 6) | bit(hash, 12) | bit(hash, 18);
    return (word & bits) == bits;
}
