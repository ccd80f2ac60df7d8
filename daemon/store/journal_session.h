/*
 * The writer's session with PostgreSQL, which is ready to store the journal: the schema is this program's, partitions
 * are premade, and it is known how far the journal is stored. Schema and partitions are checked again once a minute.
 */
#ifndef MOBEYE_STORE_JOURNAL_SESSION_H
#define MOBEYE_STORE_JOURNAL_SESSION_H

#include "store/session.h"
#include "store/writer.h"

struct journal_session;

struct journal_position {
    struct writer_position stored;
    int64_t verified_until_us; /* wall time: what was stored before this is verified; valid if it is known */
    uint64_t registry_version, areas_version; /* when it was read */
};

/* From every state but STOPPED a lost connection leads to CONNECTING. */
enum journal_session_state {
    JOURNAL_SESSION_STOPPED,    /* not started. -> CONNECTING */
    JOURNAL_SESSION_CONNECTING, /* an attempt, or the pause before one (store/pgconn.h). -> CHECKING */
    JOURNAL_SESSION_CHECKING,   /* is the schema this program's? -> PREMAKING; no -> WAITING */
    JOURNAL_SESSION_WAITING,    /* the schema is another, or cannot be read: seconds to half a minute. -> CHECKING */
    JOURNAL_SESSION_PREMAKING,  /* partitions are created in advance. -> READING */
    JOURNAL_SESSION_READING, /* the journal's position is read, the owner asked. -> READY; new journal UUID -> READING
                              */
    JOURNAL_SESSION_READY,   /* results are the owner's. -> RECHECKING, READING, CONNECTING when due */
    JOURNAL_SESSION_RECHECKING,  /* as CHECKING, once a minute. -> REPREMAKING; no -> WAITING */
    JOURNAL_SESSION_REPREMAKING, /* as PREMAKING. -> READY */
};

/* All are called from the loop. */
struct journal_session_calls {
    /* The position, and the versions of registry and areas, have been read, and replace what was known before. A call
     * of journal_session_set_journal() from within leads to another reading; otherwise on_ready follows. */
    void (*on_position)(void *ctx);
    /* Ready, and nothing is due: session_send() may be called. */
    void (*on_ready)(void *ctx);
    /* The connection is lost, or the schema is no longer this program's. */
    void (*on_lost)(void *ctx, const char *reason);
    /* Something is due, which journal_session_run_due() does as soon as no transaction is in progress. */
    void (*on_due)(void *ctx);
    /* While ready: as in struct session_calls. */
    void (*on_result)(void *ctx, PGresult *result);
    void (*on_end)(void *ctx, const struct fault *fault);
    bool (*on_chunk)(void *ctx, struct str *ret);
};

struct journal_session *journal_session_new(struct loop *loop, const struct writer_options *options,
                                            const struct journal_session_calls *calls, void *ctx);
void journal_session_free(struct journal_session **session); /* safe on NULL; closes at once */
void journal_session_start(struct journal_session *session);

/* Like writer_reconfigure() and writer_set_journal(). */
void journal_session_reconfigure(struct journal_session *session, const struct writer_options *options);
void journal_session_set_journal(struct journal_session *session, const uint8_t *journal_uuid);

/* Begins the next step that is due: connecting again, reading the position, checking. false: none is. */
bool journal_session_run_due(struct journal_session *session);

/* Whether something is due. */
bool journal_session_due(const struct journal_session *session);

/* Reads the position again, while ready. */
void journal_session_read_position(struct journal_session *session);

/* Whether session_send() may be called. */
bool journal_session_ready(const struct journal_session *session);

/* Whether a batch submitted now will follow on the position: it is known, and not about to be read again. */
bool journal_session_position_holds(const struct journal_session *session);

/* The session to send by. */
struct session *journal_session_session(struct journal_session *session);

const uint8_t *journal_session_journal(const struct journal_session *session); /* its UUID, 16 bytes */

/* As last read from the database, or committed. */
const struct journal_position *journal_session_position(const struct journal_session *session);

/* Appends the statement that moves the position to the end of the batch, for a transaction. It affects no row if
 * another program or a person has moved the position, or if registry or areas have changed since the batch was enriched
 * (unless its versions are waived). */
void journal_session_append_move(struct journal_session *session, const struct batch *batch, struct buf *sql);

/* The move to the end of that batch has been committed. */
void journal_session_moved(struct journal_session *session, const struct batch *batch);

/* One word and a sentence for people: "connected", "waiting: connection refused, next try in 3 s". */
const char *journal_session_text(const struct journal_session *session);

/* Wall time up to which partitions are premade for alerts of every class; 0: not known yet. */
int64_t journal_session_partitions_until_us(const struct journal_session *session);

#endif
