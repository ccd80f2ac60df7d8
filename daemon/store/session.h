/*
 * A session with PostgreSQL: a connection that reconnects by itself (store/pgconn.h), with the settings that all
 * sessions of the daemon share, one exchange of statements and results at a time, and the first failure of each.
 */
#ifndef MOBEYE_STORE_SESSION_H
#define MOBEYE_STORE_SESSION_H

#include "store/pgconn.h"
#include "store/sqlstate.h"

/* For every session that stores: a program that hangs, or whose machine is gone, must not lock out other daemons from
 * the incidents of its batch. Between two statements it may be busy with other work, but not for a minute, and Linux
 * would take two hours to notice. */
#define SESSION_LIMITS                                                                                                 \
    "set idle_in_transaction_session_timeout = '60s'; "                                                                \
    "set tcp_keepalives_idle = 30; set tcp_keepalives_interval = 10; set tcp_keepalives_count = 3; "                   \
    "set tcp_user_timeout = '30s'"

struct session;

/* What distinguishes one session from another. Static texts. */
struct session_kind {
    const char *program;   /* in application_name; NULL: mobeyed */
    const char *name;      /* in application_name, after the instance; empty: nothing follows */
    const char *subject;   /* of the log */
    const char *meanwhile; /* what people should know while it is not connected */
    const char *settings;  /* SQL, each with a semicolon in front: after the settings that all share */
    int64_t hung_us;       /* no reply for this long is logged; 0: statements may take any time */
};

/* All are called from the loop; they may call every function below but session_free(). NULL if the call cannot
 * occur. */
struct session_calls {
    /* Connected, with its settings: session_send() may be called. */
    void (*on_ready)(void *ctx);
    /* The connection, ready or not, is lost; the next attempt is planned. */
    void (*on_lost)(void *ctx, const char *reason);
    /* Not connected; a sentence for people that says why, and when the next attempt is. */
    void (*on_waiting)(void *ctx, const char *text);
    /* A result without a failure (cleared by the caller). */
    void (*on_result)(void *ctx, PGresult *result);
    /* What was sent has ended, and the next may be sent. fault: its first failure, or NULL. If that is of class
     * SQLSTATE_RECONNECT, the session must be dropped. */
    void (*on_end)(void *ctx, const struct fault *fault);
    /* After a result of status PGRES_COPY_IN: the next bytes for the server, which stay as they are until the next
     * call. false: that was all. */
    bool (*on_chunk)(void *ctx, struct str *ret);
    /* Another session sent a NOTIFY on a channel that is listened to. */
    void (*on_notify)(void *ctx, const char *payload);
};

/* The kind must outlive it. conninfo and instance are copied. */
struct session *session_new(struct loop *loop, const struct session_kind *kind, const char *conninfo,
                            const char *instance, const struct session_calls *calls, void *ctx);

/* Closes at once, whatever is in progress. Safe on NULL. */
void session_free(struct session **session);

/* Begins to connect. */
void session_start(struct session *session);

/* Another conninfo or instance. If one of them differs, and the session was started: closes the connection (on_lost is
 * not called), and connects at once. Returns whether one differs. */
bool session_configure(struct session *session, const char *conninfo, const char *instance);

/* Whether session_configure() would close the connection. */
bool session_differs(const struct session *session, const char *conninfo, const char *instance);

/* While its log is suppressed, failures to connect are not logged: another session reports the same about the same
 * servers. */
void session_suppress_log(struct session *session, bool suppress);

/* This server cannot be used: closes the connection, calls on_lost, and continues with the next server. */
void session_drop(struct session *session, const char *reason);

/* The connection has proved usable: the backoff starts again at its minimum. */
void session_reset_backoff(struct session *session);

/* Sends statements without parameters; one with n binary parameters and a binary result; the same with every row as a
 * separate result (PGRES_SINGLE_TUPLE), followed by one without rows. */
void session_send(struct session *session, const char *sql);
void session_send_params(struct session *session, const char *sql, size_t n, const Oid *types,
                         const struct buf *values);
void session_send_by_row(struct session *session, const char *sql, size_t n, const Oid *types,
                         const struct buf *values);

/* Appends a literal of SQL. Only while connected. The text must be valid UTF-8: aborts where libpq cannot quote it. */
void session_append_literal(struct session *session, const char *text, struct buf *sql);

/* Appends an interval of SQL; INT64_MAX: null. */
void session_append_interval(int64_t us, struct buf *sql);

const char *session_instance(const struct session *session);

#endif
