/*
 * A connection to a database that the test simulates, in place of store/pgconn.c: nothing connects, the test replies to
 * each statement, and time passes when the test says so (played_time.h).
 */
#ifndef MOBEYE_TESTS_PLAYED_CONNECTION_H
#define MOBEYE_TESTS_PLAYED_CONNECTION_H

#include <stdlib.h>

#include "played_time.h"
#include "store/pgconn.h"

/* ---- the connection ---- */

struct pgconn {
    struct pgconn_calls calls;
    void *ctx;
    char sql[16384];   /* sent last */
    char params[2000]; /* its parameters, one after the other */
    unsigned sent, configured, worthy;
    bool querying, dropped, log_suppressed;
};

static struct pgconn conn;

struct pgconn *pgconn_new(struct loop *loop, const char *subject, const char *meanwhile,
                          const struct pgconn_calls *calls, void *ctx)
{
    (void)loop, (void)subject, (void)meanwhile;
    conn = (struct pgconn){.calls = *calls, .ctx = ctx};
    return &conn;
}

void pgconn_suppress_log(struct pgconn *c, bool suppress)
{
    c->log_suppressed = suppress;
}

void pgconn_free(struct pgconn **c)
{
    *c = NULL;
}

void pgconn_start(struct pgconn *c)
{
    (void)c;
}

void pgconn_configure(struct pgconn *c, const char *conninfo, const char *application_name)
{
    (void)conninfo, (void)application_name;
    c->configured++;
    c->querying = false;
}

void pgconn_drop(struct pgconn *c, const char *why)
{
    c->dropped = true;
    c->querying = false;
    c->calls.on_down(c->ctx, why);
}

void pgconn_reset_backoff(struct pgconn *c)
{
    c->worthy++;
}

void pgconn_query(struct pgconn *c, const char *sql)
{
    cr_assert(!c->querying, "one at a time");
    cr_assert_lt(strlen(sql), sizeof(c->sql));
    strcpy(c->sql, sql);
    c->querying = true;
    c->sent++;
}

void pgconn_query_params(struct pgconn *c, const char *sql, size_t n, const Oid *types, const struct buf *values)
{
    (void)types;
    size_t len = 0;
    for (size_t i = 0; i < n; len += values[i++].len) {
        cr_assert_leq(len + values[i].len, sizeof(c->params));
        memcpy(c->params + len, values[i].data, values[i].len);
    }
    pgconn_query(c, sql);
}

void pgconn_query_rows(struct pgconn *c, const char *sql, size_t n, const Oid *types, const struct buf *values)
{
    pgconn_query_params(c, sql, n, types, values);
}

bool pgconn_querying(const struct pgconn *c)
{
    return c->querying;
}

PGconn *pgconn_pq(struct pgconn *c)
{
    (void)c;
    return NULL;
}

int64_t pgconn_backoff_us(int64_t least_us, int64_t most_us, unsigned round)
{
    (void)least_us, (void)most_us, (void)round;
    return 0;
}

/* ---- libpq, as far as it needs a connection or has no way to set what it returns ---- */

static const char *played_sqlstate; /* of the failure at hand */

char *PQresultErrorField(const PGresult *result, int field)
{
    (void)result;
    return field == PG_DIAG_SQLSTATE          ? (char *)played_sqlstate
           : field == PG_DIAG_MESSAGE_PRIMARY ? (char *)"the server's reason"
                                              : NULL;
}

/* As with standard_conforming_strings, for texts without a backslash. PQfreemem() frees it. NULL for a text that ends
 * after the first byte of a character of several. */
char *PQescapeLiteral(PGconn *pq, const char *text, size_t len)
{
    (void)pq;
    if (len > 0 && ((unsigned char)text[len - 1] >= 0xc0))
        return NULL;
    char *literal = malloc(2 * len + 3), *p = literal;
    *p++ = '\'';
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\'')
            *p++ = '\'';
        *p++ = text[i];
    }
    *p++ = '\'';
    *p = '\0';
    return literal;
}

/* ---- the server ---- */

enum { PLAYED_COLUMNS_MAX = 12 };

#define ROW(...) ((const char *[]){__VA_ARGS__})

/* Rows of text, all of whose columns have these names; NULL: null. */
static void give_named_rows(int n, int columns, const char *const *names, const char *const *values)
{
    PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    PGresAttDesc descriptions[PLAYED_COLUMNS_MAX];
    for (int i = 0; i < columns; i++)
        descriptions[i] = (PGresAttDesc){.name = (char *)(names ? names[i] : "c"), .typlen = -1, .atttypmod = -1};
    cr_assert(PQsetResultAttrs(result, columns, descriptions));
    for (int i = 0; i < n * columns; i++)
        cr_assert(
            PQsetvalue(result, i / columns, i % columns, (char *)values[i], values[i] ? (int)strlen(values[i]) : -1));
    conn.calls.on_result(conn.ctx, result);
    PQclear(result);
}

static __attribute__((unused)) void give_rows(int n, int columns, const char *const *values)
{
    give_named_rows(n, columns, NULL, values);
}

/* One row of one binary value. */
static __attribute__((unused)) void give_value(const void *value, int len)
{
    PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    PGresAttDesc description = {.name = (char *)"c", .format = 1, .typlen = -1, .atttypmod = -1};
    cr_assert(PQsetResultAttrs(result, 1, &description));
    cr_assert(PQsetvalue(result, 0, 0, (char *)value, len));
    conn.calls.on_result(conn.ctx, result);
    PQclear(result);
}

static void end_query(void)
{
    conn.querying = false;
    conn.calls.on_result(conn.ctx, NULL);
}

static __attribute__((unused)) void answer(int n, int columns, const char *const *values)
{
    give_rows(n, columns, values);
    end_query();
}

/* NULL: without a SQLSTATE, as when a connection breaks. */
static __attribute__((unused)) void fail_query(const char *sqlstate)
{
    PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_FATAL_ERROR);
    played_sqlstate = sqlstate;
    conn.calls.on_result(conn.ctx, result);
    PQclear(result);
    end_query();
}

/* Connected, and its settings are applied. */
static void connect_played(void)
{
    conn.calls.on_up(conn.ctx);
    end_query();
}

static __attribute__((unused)) void assert_asks(const char *sql)
{
    cr_assert(conn.querying && strstr(conn.sql, sql), "expected %s, sent %s", sql,
              conn.querying ? conn.sql : "nothing");
}

#endif
