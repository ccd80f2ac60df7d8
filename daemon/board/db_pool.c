#include "board/db_pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <event2/event_struct.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/transition.h"
#include "store/column.h"
#include "store/param.h"
#include "store/pgtype.h"

/* More are refused: a person would not wait for that many. */
#define WAITING_MAX 512
/* Longer than statement_timeout, which the server enforces. A server that does not reply at all is given up. */
#define DEADLINE_US (15 * CLOCK_SECOND)
#define CHECK_US    (2 * CLOCK_SECOND) /* before the schema is looked for again */

#define PARAMS_MAX 4

struct db_call {
    TAILQ_ENTRY(db_call) next;
    struct db_pool *pool;
    bool waited; /* because it could not be sent at once */
    bool sent;
    const char *sql;
    size_t n;
    Oid types[PARAMS_MAX];
    struct buf params[PARAMS_MAX];
    struct db_caller caller; /* on_reply NULL: abandoned */
};

TAILQ_HEAD(db_calls, db_call);

enum slot_state {
    SLOT_DOWN,      /* not connected; stays so while connecting fails. -> CHECKING */
    SLOT_CHECKING,  /* the server is asked whether it has the schema. -> READY, NO_SCHEMA, DOWN */
    SLOT_NO_SCHEMA, /* it does not; the timer leads to the next check. -> CHECKING, DOWN */
    SLOT_READY,     /* calls are sent. -> DOWN */
};

static const struct machine_state states[] = {
    [SLOT_DOWN] = {"down", STATE_BIT(SLOT_DOWN) | STATE_BIT(SLOT_CHECKING)},
    [SLOT_CHECKING] = {"checking", STATE_BIT(SLOT_READY) | STATE_BIT(SLOT_NO_SCHEMA) | STATE_BIT(SLOT_DOWN)},
    [SLOT_NO_SCHEMA] = {"no schema", STATE_BIT(SLOT_CHECKING) | STATE_BIT(SLOT_DOWN)},
    [SLOT_READY] = {"ready", STATE_BIT(SLOT_DOWN)},
};

struct db_slot {
    struct db_pool *pool;
    struct session *session;
    struct event timer; /* giving up the server, or the next check */
    enum slot_state state;
    struct db_call *call; /* under way; NULL: none */
    PGresult *result;     /* of the call: the reply, once the transaction is committed; NULL: none yet */
};

struct db_pool {
    struct loop *loop;
    struct db_calls waiting;
    size_t n_waiting;
    struct db_slot *slots;
    unsigned n;
    db_usable_fn on_usable;
    void *ctx;
    struct rate_limiter failed, no_schema;
};

/* ---- calls ---- */

static void dequeue(struct db_call *call)
{
    TAILQ_REMOVE(&call->pool->waiting, call, next);
    call->pool->n_waiting--;
}

static void free_call(struct db_call *call)
{
    for (size_t i = 0; i < call->n; i++)
        buf_free(&call->params[i]);
    free(call);
}

static void answer(struct db_call *call, const struct db_reply *reply)
{
    db_reply_fn on_reply = call->caller.on_reply;
    call->caller.on_reply = NULL;
    if (on_reply)
        on_reply(call->caller.ctx, reply);
}

static void add_text(struct db_call *call, const char *text, size_t len)
{
    call->types[call->n] = TYPE_TEXT;
    buf_append(&call->params[call->n], text ? text : "", len);
    call->n++;
}

/* ---- connections ---- */

static void set_state(struct db_slot *slot, enum slot_state state, const char *reason)
{
    char machine[32];
    snprintf(machine, sizeof(machine), "connection %d", (int)(slot - slot->pool->slots));
    transition_check(states, slot->state, state, "database", machine, reason);
    slot->state = state;
}

/* Takes the first waiting call that is still wanted; NULL: none. */
static struct db_call *take_wanted(struct db_pool *pool)
{
    struct db_call *call;
    while ((call = TAILQ_FIRST(&pool->waiting))) {
        dequeue(call);
        if (!call->waited || call->caller.is_wanted(call->caller.ctx))
            return call;
        free_call(call);
    }
    return NULL;
}

static void send_next(struct db_slot *slot)
{
    struct db_call *call = slot->state == SLOT_READY && !slot->call ? take_wanted(slot->pool) : NULL;
    if (!call)
        return;
    call->sent = true;
    slot->call = call;
    loop_arm(&slot->timer, DEADLINE_US);
    session_send_params(slot->session, call->sql, call->n, call->types, call->params);
}

static void end_call(struct db_slot *slot)
{
    event_del(&slot->timer);
    free_call(slot->call);
    slot->call = NULL;
    PQclear(slot->result);
    slot->result = NULL;
}

static void check_schema(struct db_slot *slot, const char *reason)
{
    set_state(slot, SLOT_CHECKING, reason);
    loop_arm(&slot->timer, DEADLINE_US);
    session_send(slot->session, "select to_regproc('patrol.board') is not null");
}

static void on_ready(void *ctx)
{
    check_schema(ctx, "connected");
}

static void on_checked(struct db_slot *slot, const struct fault *fault)
{
    struct db_pool *pool = slot->pool;
    bool first = db_pool_ready(pool) == 0;
    bool found = slot->result && *PQgetvalue(slot->result, 0, 0) == 't';
    PQclear(slot->result);
    slot->result = NULL;
    if (fault && fault->class == SQLSTATE_RECONNECT) {
        session_drop(slot->session, fault->text);
        return;
    }
    if (fault || !found) {
        set_state(slot, SLOT_NO_SCHEMA, fault ? fault->text : "not found");
        loop_arm(&slot->timer, CHECK_US);
        log_limited(&pool->no_schema, loop_mono_us(pool->loop), LOG_LEVEL_ERROR, "database",
                    "%s; the board is not updated",
                    fault ? fault->text : "it does not have the schema (expected mobeyectl migrate to create it)");
        return;
    }
    event_del(&slot->timer);
    set_state(slot, SLOT_READY, "the schema is there");
    log_recover(&pool->no_schema, "database", "it has the schema now");
    session_reset_backoff(slot->session);
    if (first)
        pool->on_usable(pool->ctx);
    send_next(slot);
}

static void fail_waiting(struct db_pool *pool)
{
    struct db_call *call;
    while ((call = TAILQ_FIRST(&pool->waiting))) {
        dequeue(call);
        answer(call, &(struct db_reply){.status = 503});
        free_call(call);
    }
}

static void on_lost(void *ctx, const char *reason)
{
    struct db_slot *slot = ctx;
    set_state(slot, SLOT_DOWN, reason);
    event_del(&slot->timer);
    PQclear(slot->result);
    slot->result = NULL;
    if (slot->call) {
        answer(slot->call, &(struct db_reply){.status = 503, .unknown = true});
        end_call(slot);
    }
    if (db_pool_ready(slot->pool) == 0)
        fail_waiting(slot->pool);
}

/* The row arrives before the COMMIT, which may still fail. */
static void on_result(void *ctx, PGresult *result)
{
    struct db_slot *slot = ctx;
    if (PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1 && !slot->result)
        slot->result = PQcopyResult(result, PG_COPYRES_TUPLES);
}

static void answer_with(struct db_call *call, const PGresult *result)
{
    answer(call, &(struct db_reply){
                     .status = (int)column_int4(result, 0, 0, 500),
                     .body = column_text(result, 0, 1),
                     .type = PQnfields(result) > 2 ? column_text(result, 0, 2) : (struct str){0},
                     .image = PQnfields(result) > 3 ? column_text(result, 0, 3) : (struct str){0},
                 });
}

/* An error here does not concern the request: errors of a request come as a reply. */
static void on_end(void *ctx, const struct fault *fault)
{
    struct db_slot *slot = ctx;
    if (slot->state == SLOT_CHECKING) {
        on_checked(slot, fault);
        return;
    }
    if (fault)
        log_limited(&slot->pool->failed, loop_mono_us(slot->pool->loop), LOG_LEVEL_ERROR, "database", "%s: %s",
                    fault->sqlstate, fault->text);
    if (slot->result && !fault)
        answer_with(slot->call, slot->result);
    else
        answer(slot->call, &(struct db_reply){.status = fault && fault->class == SQLSTATE_REFUSED ? 422 : 503});
    end_call(slot);
    if (fault && fault->class == SQLSTATE_RECONNECT)
        session_drop(slot->session, fault->text);
    else
        send_next(slot);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct db_slot *slot = arg;
    if (slot->state == SLOT_NO_SCHEMA)
        check_schema(slot, "time to look again");
    else
        session_drop(slot->session, "no reply");
}

struct db_pool *db_pool_new(struct loop *loop, const char *conninfo, unsigned connections, db_usable_fn on_usable,
                            void *ctx)
{
    static const struct session_kind kind = {
        .program = "mobeye-board",
        .name = "",
        .subject = "database",
        .meanwhile = "the board is not updated",
        .settings = DB_POOL_SETTINGS,
    };
    static const struct session_calls calls = {
        .on_ready = on_ready, .on_lost = on_lost, .on_result = on_result, .on_end = on_end};
    struct db_pool *pool = mem_zalloc(sizeof(*pool));
    pool->loop = loop;
    pool->n = connections;
    pool->on_usable = on_usable;
    pool->ctx = ctx;
    pool->slots = mem_zalloc(connections * sizeof(*pool->slots));
    TAILQ_INIT(&pool->waiting);
    for (unsigned i = 0; i < connections; i++) {
        struct db_slot *slot = &pool->slots[i];
        slot->pool = pool;
        evtimer_assign(&slot->timer, loop_base(loop), on_timer, slot);
        slot->session = session_new(loop, &kind, conninfo, "", &calls, slot);
        session_suppress_log(slot->session, i > 0);
        session_start(slot->session);
    }
    return pool;
}

void db_pool_free(struct db_pool **pool)
{
    struct db_pool *p = *pool;
    *pool = NULL;
    if (!p)
        return;
    for (unsigned i = 0; i < p->n; i++) {
        session_free(&p->slots[i].session);
        event_del(&p->slots[i].timer);
        PQclear(p->slots[i].result);
        p->slots[i].result = NULL;
        if (p->slots[i].call)
            end_call(&p->slots[i]);
    }
    for (struct db_call *call; (call = TAILQ_FIRST(&p->waiting));) {
        dequeue(call);
        free_call(call);
    }
    free(p->slots);
    free(p);
}

/* ---- asking ---- */

static struct db_call *new_call(struct db_pool *pool, const char *sql, const struct db_caller *caller)
{
    struct db_call *call = mem_zalloc(sizeof(*call));
    call->pool = pool;
    call->sql = sql;
    call->caller = *caller;
    return call;
}

static struct db_call *enqueue(struct db_call *call)
{
    struct db_pool *pool = call->pool;
    if (db_pool_ready(pool) == 0 || pool->n_waiting >= WAITING_MAX) {
        answer(call, &(struct db_reply){.status = 503});
        free_call(call);
        return NULL;
    }
    TAILQ_INSERT_TAIL(&pool->waiting, call, next);
    pool->n_waiting++;
    for (unsigned i = 0; i < pool->n && pool->n_waiting > 0; i++)
        send_next(&pool->slots[i]);
    if (TAILQ_LAST(&pool->waiting, db_calls) == call) /* not sent at once */
        call->waited = true;
    return call;
}

struct db_call *db_pool_call(struct db_pool *pool, const struct db_request *request, const struct db_caller *caller)
{
    static const char with_body[] = "select http_status, body from patrol.board($1, $2, nullif($3, 0), $4)";
    static const char with_pairs[] =
        "select http_status, body from patrol.board($1, $2, nullif($3, 0), json_object($4)::text)";
    struct db_call *call = new_call(pool, request->n_pairs > 0 ? with_pairs : with_body, caller);
    add_text(call, request->person, strlen(request->person));
    add_text(call, request->name, strlen(request->name));
    call->types[call->n] = TYPE_INT8;
    buf_be64(&call->params[call->n++], (uint64_t)request->id);
    if (request->n_pairs > 0) {
        call->types[call->n] = TYPE_TEXT_ARRAY;
        param_array(&call->params[call->n], TYPE_TEXT, request->n_pairs);
        for (size_t i = 0; i < request->n_pairs; i++)
            param_text(&call->params[call->n], request->pairs[i]);
        call->n++;
    } else {
        add_text(call, request->body.p, request->body.len);
    }
    return enqueue(call);
}

struct db_call *db_pool_image(struct db_pool *pool, const char *person, struct str image_id, struct str reason,
                              const struct db_caller *caller)
{
    struct db_call *call =
        new_call(pool, "select http_status, body, media_type, image from patrol.board_image($1, $2, $3)", caller);
    add_text(call, person, strlen(person));
    add_text(call, image_id.p, image_id.len);
    add_text(call, reason.p, reason.len);
    return enqueue(call);
}

void db_call_abandon(struct db_call *call)
{
    call->caller.on_reply = NULL;
    if (call->sent)
        return;
    dequeue(call);
    free_call(call);
}

unsigned db_pool_ready(const struct db_pool *pool)
{
    unsigned ready = 0;
    for (unsigned i = 0; i < pool->n; i++)
        ready += pool->slots[i].state == SLOT_READY;
    return ready;
}

size_t db_pool_waiting(const struct db_pool *pool)
{
    return pool->n_waiting;
}
