/*
 * One connection to PostgreSQL on the loop, which reconnects indefinitely. Nothing here blocks.
 *
 * An attempt is one server of the conninfo with its own time limit, so that a server that does not answer costs one
 * attempt and no more. A server is passed over, too, if the connection to it lasted less than a minute. When all have
 * failed, it waits with full-jitter exponential backoff, 100 ms to 5 s, and reads again what the environment and a
 * service file add to the conninfo.
 */
#ifndef MOBEYE_STORE_PGCONN_H
#define MOBEYE_STORE_PGCONN_H

#include <libpq-fe.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/loop.h"

struct pgconn;

/* All are called from the loop and may call every function below but pgconn_free(). on_chunk may be NULL if no COPY
 * FROM STDIN is sent. */
struct pgconn_calls {
    /* Connected: pgconn_query() may be called. */
    void (*on_up)(void *ctx);
    /* The connection was up and is lost; the next attempt is planned. */
    void (*on_down)(void *ctx, const char *why);
    /* Not connected; a sentence for people that says why, and when the next attempt is. */
    void (*on_waiting)(void *ctx, const char *text);
    /* The results of the query, one after the other (cleared by the caller). NULL: that was all, the next query may be
     * sent. */
    void (*on_result)(void *ctx, PGresult *result);
    /* After a result of status PGRES_COPY_IN: the next bytes for the server, which stay as they are until the next
     * call. false: that was all. */
    bool (*on_chunk)(void *ctx, struct str *ret);
    /* A notification, on a channel that was listened to. */
    void (*on_notify)(void *ctx, const char *payload);
};

/* Before it is started it needs pgconn_configure(). For the log, static texts: its subject, and the consequence of not
 * being connected. */
struct pgconn *pgconn_new(struct loop *loop, const char *subject, const char *meanwhile,
                          const struct pgconn_calls *calls, void *ctx);

/* While suppressed, failures to connect are not logged, nor losses and the connection after one: another connection
 * logs the same about the same servers. */
void pgconn_suppress_log(struct pgconn *conn, bool suppress);

/* Closes at once, whatever is in progress. Safe on NULL. */
void pgconn_free(struct pgconn **conn);

/* Begins to connect. */
void pgconn_start(struct pgconn *conn);

/* How to reach the servers, and the name to show them (copied). After pgconn_start(): closes the connection, if there
 * is one (down is not called), and connects at once. */
void pgconn_configure(struct pgconn *conn, const char *conninfo, const char *application_name);

/* This server cannot be used: closes the connection, calls down, and continues with the next server, or with the next
 * address of its name. */
void pgconn_drop(struct pgconn *conn, const char *why);

/* The connection has proved usable: the backoff starts again at its minimum. */
void pgconn_reset_backoff(struct pgconn *conn);

/* Sends statements (no parameters), or one with n binary parameters and a binary result. One at a time: the results
 * and then NULL come by on_result. A lost connection is reported by on_down, later. */
void pgconn_query(struct pgconn *conn, const char *sql);
void pgconn_query_params(struct pgconn *conn, const char *sql, size_t n, const Oid *types, const struct buf *values);

/* Like pgconn_query_params(), but every row is a separate result (PGRES_SINGLE_TUPLE), followed by one without rows: no
 * more is in memory than what the socket delivered. */
void pgconn_query_rows(struct pgconn *conn, const char *sql, size_t n, const Oid *types, const struct buf *values);

/* True while results of a query are still to come. */
bool pgconn_querying(const struct pgconn *conn);

/* For PQescapeLiteral() and the like; NULL while not connected. */
PGconn *pgconn_pq(struct pgconn *conn);

/* Uniform in 0 to min(most_us, least_us << round). */
int64_t pgconn_backoff_us(int64_t least_us, int64_t most_us, unsigned round);

#endif
