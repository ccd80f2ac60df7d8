/*
 * The board's connections to PostgreSQL, and the calls that wait for one.
 *
 * A call is one statement, and so one transaction: the person (mobeye.acting_as) is set within it and ends with it.
 * Nothing of a call remains on its connection.
 */
#ifndef MOBEYE_BOARD_DB_POOL_H
#define MOBEYE_BOARD_DB_POOL_H

#include "base/buf.h"
#include "base/loop.h"
#include "store/session.h"

struct db_pool;
struct db_call;

/* The reply of the database. */
struct db_reply {
    int status;       /* HTTP status. 503: the database did not reply; 422 without a body: it rejected the bytes */
    struct str body;  /* JSON; valid during the call */
    struct str type;  /* media type of an image */
    struct str image; /* and its bytes */
    bool unknown;     /* with 503: it is not known whether the call took effect */
};

typedef void (*db_reply_fn)(void *ctx, const struct db_reply *reply);

/* For a call that has waited for a connection: whether it is still wanted. false: it is dropped, without a reply. */
typedef bool (*db_wanted_fn)(void *ctx);

struct db_caller {
    db_reply_fn on_reply;
    db_wanted_fn is_wanted;
    void *ctx;
};

/* What to call: patrol.board(person, name, id, arguments). Copied. */
struct db_request {
    const char *person;
    const char *name;
    int64_t id;              /* of an incident; 0: null */
    struct str body;         /* the arguments as a JSON object; empty: none */
    const struct str *pairs; /* or, where n_pairs is not 0, as name, value, name, value ... */
    size_t n_pairs;
};

/* A connection has become usable, when none was. Called from the loop; may call any of these functions but
 * db_pool_free(). */
typedef void (*db_usable_fn)(void *ctx);

struct db_pool *db_pool_new(struct loop *loop, const char *conninfo, unsigned connections, db_usable_fn on_usable,
                            void *ctx);

/* No reply comes afterwards. Safe on NULL. */
void db_pool_free(struct db_pool **pool);

/* The reply comes once: from the loop, or (503) from within the call, which then returns NULL. */
struct db_call *db_pool_call(struct db_pool *pool, const struct db_request *request, const struct db_caller *caller);

/* An image: patrol.board_image(person, id, reason). reason: NULL: none. */
struct db_call *db_pool_image(struct db_pool *pool, const char *person, struct str image_id, struct str reason,
                              const struct db_caller *caller);

/* The caller is gone: on_reply will not be called. A call that waits for a connection is dropped; one already sent
 * still takes effect. */
void db_call_abandon(struct db_call *call);

/* How many connections are usable now, and how many calls wait for one. */
unsigned db_pool_ready(const struct db_pool *pool);
size_t db_pool_waiting(const struct db_pool *pool);

/* The settings of the board's sessions: text for session_kind.settings. */
#define DB_POOL_SETTINGS "; set statement_timeout = '10s'; set lock_timeout = '3s'"

#endif
