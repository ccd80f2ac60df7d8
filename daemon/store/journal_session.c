#include "store/journal_session.h"

#include <event2/event_struct.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/transition.h"
#include "store/identity.h"

#define SUBJECT "database"

#define WAIT_LEAST_US CLOCK_SECOND
#define WAIT_MOST_US  (30 * CLOCK_SECOND)
#define HUNG_US       (30 * CLOCK_SECOND)

/* How far back partitions are created in advance for a class without a retention of its own. */
#define KEEP_DEFAULT_US (31 * CLOCK_DAY)

#define NO_SCHEMA (-1)

/* What is due, as bits. */
enum { DUE_CONNECT = 1, DUE_POSITION = 2, DUE_CHECK = 4 };

struct journal_session {
    struct loop *loop;
    struct journal_session_calls calls;
    void *ctx;
    struct session *session;
    char *conninfo, *instance; /* for the next connection */
    int64_t keep_us[CLASS_COUNT];
    uint8_t journal[IDENTITY_BYTES];
    enum journal_session_state state;
    char text[640];
    unsigned due;
    int schema; /* version found, or NO_SCHEMA */
    int64_t partitions_until_us;
    struct journal_position position;
    bool position_read; /* the statement had its row */
    unsigned retries;
    struct event wait, minute;
    struct rate_limiter schema_limiter, partitions_limiter;
};

#define TO(state) STATE_BIT(JOURNAL_SESSION_##state)

/* The exits of enum journal_session_state. */
static const struct machine_state states[] = {
    [JOURNAL_SESSION_STOPPED] = {"stopped", TO(STOPPED) | TO(CONNECTING)},
    [JOURNAL_SESSION_CONNECTING] = {"connecting", TO(CONNECTING) | TO(CHECKING)},
    [JOURNAL_SESSION_CHECKING] = {"checking", TO(PREMAKING) | TO(WAITING) | TO(CONNECTING)},
    [JOURNAL_SESSION_WAITING] = {"waiting", TO(CHECKING) | TO(CONNECTING)},
    [JOURNAL_SESSION_PREMAKING] = {"premaking", TO(READING) | TO(CONNECTING)},
    [JOURNAL_SESSION_READING] = {"reading", TO(READING) | TO(READY) | TO(WAITING) | TO(CONNECTING)},
    [JOURNAL_SESSION_READY] = {"ready", TO(RECHECKING) | TO(READING) | TO(CONNECTING)},
    [JOURNAL_SESSION_RECHECKING] = {"rechecking", TO(REPREMAKING) | TO(WAITING) | TO(CONNECTING)},
    [JOURNAL_SESSION_REPREMAKING] = {"repremaking", TO(READY) | TO(CONNECTING)},
};

/* For people; NULL: connected. */
static const char *const words[JOURNAL_SESSION_REPREMAKING + 1] = {
    [JOURNAL_SESSION_STOPPED] = "stopped",    [JOURNAL_SESSION_CONNECTING] = "waiting",
    [JOURNAL_SESSION_CHECKING] = "checking",  [JOURNAL_SESSION_WAITING] = "waiting",
    [JOURNAL_SESSION_PREMAKING] = "checking", [JOURNAL_SESSION_READING] = "checking",
};

/* The one place where the state changes. The reason goes to the log (debug), and to people while not connected. */
static void set_state(struct journal_session *j, enum journal_session_state state, const char *reason)
{
    transition_check(states, j->state, state, SUBJECT, "journal session", reason);
    j->state = state;
    if (words[state])
        snprintf(j->text, sizeof(j->text), "%s: %s", words[state], reason);
    else
        snprintf(j->text, sizeof(j->text), "connected");
}

static void ask_for(struct journal_session *j, unsigned due)
{
    j->due |= due;
    j->calls.on_due(j->ctx);
}

static void check_schema(struct journal_session *j, enum journal_session_state state)
{
    j->schema = NO_SCHEMA;
    set_state(j, state, "which schema version it has");
    session_send(j->session, "select max(version) from mobeye.schema_version");
}

static void on_schema_result(struct journal_session *j, PGresult *result)
{
    if (PQntuples(result) != 1 || PQgetisnull(result, 0, 0))
        return;
    j->schema = atoi(PQgetvalue(result, 0, 0));
}

static void wait_for_schema(struct journal_session *j, const char *reason)
{
    int64_t wait_us = pgconn_backoff_us(WAIT_LEAST_US, WAIT_MOST_US, j->retries++);
    log_limited(&j->schema_limiter, loop_mono_us(j->loop), LOG_LEVEL_ERROR, SUBJECT, "%s; alerts stay in the journal",
                reason);
    set_state(j, JOURNAL_SESSION_WAITING, reason);
    loop_arm(&j->wait, WAIT_LEAST_US + wait_us);
    j->calls.on_lost(j->ctx, reason);
}

static void premake_partitions(struct journal_session *j)
{
    struct buf sql = {0};
    buf_printf(&sql, "select (extract(epoch from mobeye.premake_partitions(");
    for (size_t i = 0; i < CLASS_COUNT; i++) {
        buf_printf(&sql, "%s%s => ", i ? ", " : "", alert_class_word((enum retention_class)i));
        session_append_interval(j->keep_us[i] > 0 ? j->keep_us[i] : KEEP_DEFAULT_US, &sql);
    }
    buf_printf(&sql, ")) * 1000000)::bigint");
    session_send(j->session, sql.data);
    buf_free(&sql);
}

static void describe_schema(int found, char *out, size_t size)
{
    if (found == NO_SCHEMA)
        snprintf(out, size, "the database has no schema: run mobeyectl migrate");
    else if (found < WRITER_SCHEMA_VERSION)
        snprintf(out, size, "the database has schema version %d, older than this program's %d: run mobeyectl migrate",
                 found, WRITER_SCHEMA_VERSION);
    else
        snprintf(out, size,
                 "the database has schema version %d, newer than this program's %d: install the mobeyed that belongs "
                 "to it",
                 found, WRITER_SCHEMA_VERSION);
}

static void on_schema_end(struct journal_session *j, const struct fault *fault)
{
    char reason[200];
    bool again = j->state == JOURNAL_SESSION_RECHECKING;
    if (fault && strcmp(fault->sqlstate, "42P01") != 0 &&
        strcmp(fault->sqlstate, "3F000") != 0) { /* no table, no schema */
        wait_for_schema(j, fault->text);
        return;
    }
    if (j->schema != WRITER_SCHEMA_VERSION) {
        describe_schema(j->schema, reason, sizeof(reason));
        wait_for_schema(j, reason);
        return;
    }
    log_recover(&j->schema_limiter, SUBJECT, "the schema version matches now");
    j->due &= ~(unsigned)DUE_CHECK;
    loop_arm(&j->minute, CLOCK_MINUTE);
    set_state(j, again ? JOURNAL_SESSION_REPREMAKING : JOURNAL_SESSION_PREMAKING, "the schema is this program's");
    premake_partitions(j);
}

static void on_premade_result(struct journal_session *j, PGresult *result)
{
    log_recover(&j->partitions_limiter, SUBJECT, "partitions are created in advance again");
    if (PQntuples(result) == 1 && !PQgetisnull(result, 0, 0))
        j->partitions_until_us = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
}

static void read_position(struct journal_session *j)
{
    char journal[IDENTITY_TEXT_SIZE], sql[500];
    j->due &= ~(unsigned)DUE_POSITION;
    j->position = (struct journal_position){0};
    j->position_read = false;
    snprintf(
        sql, sizeof(sql),
        "select r.value, a.value, position, checksum, (1e6 * extract(epoch from least(updated_at, verified_until)))"
        "::bigint from mobeye.counter r join mobeye.counter a on a.name = 'areas' left join (mobeye.journal_position "
        "left join mobeye.daemon using (journal)) on journal = '%s' where r.name = 'registry'",
        identity_text(j->journal, journal));
    set_state(j, JOURNAL_SESSION_READING, "how far the journal is stored");
    session_send(j->session, sql);
}

/* Ready, unless something is due that can be done now. */
static void become_ready(struct journal_session *j, const char *reason)
{
    set_state(j, JOURNAL_SESSION_READY, reason);
    if (!journal_session_run_due(j))
        j->calls.on_ready(j->ctx);
}

/* Continues after a failure too: a missing partition is created when an alert needs it. */
static void on_premade_end(struct journal_session *j, const struct fault *fault)
{
    if (fault)
        log_limited(&j->partitions_limiter, loop_mono_us(j->loop), LOG_LEVEL_WARNING, SUBJECT,
                    "partitions cannot be created in advance: %s (SQLSTATE %s)", fault->text, fault->sqlstate);
    if (j->state == JOURNAL_SESSION_PREMAKING)
        read_position(j);
    else
        become_ready(j, "checked again");
}

static uint64_t number_at(PGresult *result, int column)
{
    return (uint64_t)strtoll(PQgetvalue(result, 0, column), NULL, 10);
}

static void on_position_result(struct journal_session *j, PGresult *result)
{
    if (PQntuples(result) != 1)
        return;
    j->position_read = true;
    j->position = (struct journal_position){
        .stored = {.known = !PQgetisnull(result, 0, 2), number_at(result, 2), number_at(result, 3)},
        .verified_until_us = (int64_t)number_at(result, 4),
        .registry_version = number_at(result, 0),
        .areas_version = number_at(result, 1),
    };
}

static void on_position_end(struct journal_session *j, const struct fault *fault)
{
    if (fault || !j->position_read) {
        wait_for_schema(j, fault ? fault->text : "mobeye.counter lacks the row registry or areas");
        return;
    }
    j->retries = 0;
    j->calls.on_position(j->ctx);
    if (j->due & DUE_POSITION) /* of the journal's new UUID */
        read_position(j);
    else
        become_ready(j, "the position is known");
}

/* By state: the handlers of a result and of the end of what was sent. */
static const struct {
    void (*on_result)(struct journal_session *j, PGresult *result);
    void (*on_end)(struct journal_session *j, const struct fault *fault);
} handlers[] = {
    [JOURNAL_SESSION_CHECKING] = {on_schema_result, on_schema_end},
    [JOURNAL_SESSION_PREMAKING] = {on_premade_result, on_premade_end},
    [JOURNAL_SESSION_READING] = {on_position_result, on_position_end},
    [JOURNAL_SESSION_RECHECKING] = {on_schema_result, on_schema_end},
    [JOURNAL_SESSION_REPREMAKING] = {on_premade_result, on_premade_end},
};

static void on_session_ready(void *ctx)
{
    check_schema(ctx, JOURNAL_SESSION_CHECKING);
}

static void disconnected(struct journal_session *j, const char *reason)
{
    evtimer_del(&j->wait);
    set_state(j, JOURNAL_SESSION_CONNECTING, reason);
    j->calls.on_lost(j->ctx, reason);
}

static void on_session_lost(void *ctx, const char *reason)
{
    disconnected(ctx, reason);
}

static void on_session_waiting(void *ctx, const char *text)
{
    set_state(ctx, JOURNAL_SESSION_CONNECTING, text);
}

static void on_session_result(void *ctx, PGresult *result)
{
    struct journal_session *j = ctx;
    if (j->state == JOURNAL_SESSION_READY)
        j->calls.on_result(j->ctx, result);
    else if (PQresultStatus(result) == PGRES_TUPLES_OK)
        handlers[j->state].on_result(j, result);
}

static void on_session_end(void *ctx, const struct fault *fault)
{
    struct journal_session *j = ctx;
    if (j->state == JOURNAL_SESSION_READY)
        j->calls.on_end(j->ctx, fault);
    else if (fault && fault->class == SQLSTATE_RECONNECT)
        session_drop(j->session, fault->text);
    else
        handlers[j->state].on_end(j, fault);
}

static bool on_session_chunk(void *ctx, struct str *ret)
{
    struct journal_session *j = ctx;
    return j->calls.on_chunk(j->ctx, ret);
}

/* Somebody has deliberately moved back the position of a journal (mobeyectl journal replay). */
static void on_session_notify(void *ctx, const char *payload)
{
    struct journal_session *j = ctx;
    char journal[IDENTITY_TEXT_SIZE];
    if (strcmp(payload, identity_text(j->journal, journal)) == 0)
        ask_for(j, DUE_POSITION);
}

static void on_minute(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    ask_for(arg, DUE_CHECK);
}

static void on_wait_over(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct journal_session *j = arg;
    if (!journal_session_run_due(j))
        check_schema(j, JOURNAL_SESSION_CHECKING);
}

static void connect_again(struct journal_session *j)
{
    j->due &= ~(unsigned)DUE_CONNECT;
    disconnected(j, "the configuration changed");
    session_configure(j->session, j->conninfo, j->instance);
}

bool journal_session_run_due(struct journal_session *j)
{
    bool ready = j->state == JOURNAL_SESSION_READY;
    if ((j->due & DUE_CONNECT) &&
        (ready || j->state == JOURNAL_SESSION_CONNECTING || j->state == JOURNAL_SESSION_WAITING))
        connect_again(j);
    else if (ready && (j->due & DUE_POSITION))
        read_position(j);
    else if (ready && (j->due & DUE_CHECK))
        check_schema(j, JOURNAL_SESSION_RECHECKING);
    else
        return false;
    return true;
}

bool journal_session_due(const struct journal_session *j)
{
    return j->due != 0;
}

void journal_session_read_position(struct journal_session *j)
{
    j->due |= DUE_POSITION;
    journal_session_run_due(j);
}

/* Waiting for a lock is limited, since the session that holds it may hang. */
static const struct session_kind kind = {
    .name = "",
    .subject = SUBJECT,
    .meanwhile = "alerts stay in the journal",
    .settings = "; set lock_timeout = '30s'; listen mobeye_journal",
    .hung_us = HUNG_US,
};

static void copy_servers(struct journal_session *j, const struct writer_options *options)
{
    char *conninfo = mem_strdup(options->conninfo), *instance = mem_strdup(options->instance);
    free(j->conninfo);
    free(j->instance);
    j->conninfo = conninfo;
    j->instance = instance;
    memcpy(j->keep_us, options->keep_us, sizeof(j->keep_us));
}

struct journal_session *journal_session_new(struct loop *loop, const struct writer_options *options,
                                            const struct journal_session_calls *calls, void *ctx)
{
    static const struct session_calls session_calls = {on_session_ready,  on_session_lost, on_session_waiting,
                                                       on_session_result, on_session_end,  on_session_chunk,
                                                       on_session_notify};
    struct journal_session *j = mem_zalloc(sizeof(*j));
    j->loop = loop;
    j->calls = *calls;
    j->ctx = ctx;
    copy_servers(j, options);
    memcpy(j->journal, options->journal_uuid, sizeof(j->journal));
    evtimer_assign(&j->wait, loop_base(loop), on_wait_over, j);
    evtimer_assign(&j->minute, loop_base(loop), on_minute, j);
    set_state(j, JOURNAL_SESSION_STOPPED, "not started");
    j->session = session_new(loop, &kind, j->conninfo, j->instance, &session_calls, j);
    return j;
}

void journal_session_free(struct journal_session **session)
{
    struct journal_session *j = *session;
    *session = NULL;
    if (!j)
        return;
    session_free(&j->session);
    event_del(&j->wait);
    event_del(&j->minute);
    free(j->conninfo);
    free(j->instance);
    free(j);
}

void journal_session_start(struct journal_session *j)
{
    set_state(j, JOURNAL_SESSION_CONNECTING, "connecting");
    session_start(j->session);
}

void journal_session_reconfigure(struct journal_session *j, const struct writer_options *options)
{
    copy_servers(j, options);
    if (j->state == JOURNAL_SESSION_STOPPED)
        session_configure(j->session, j->conninfo, j->instance);
    else if (session_differs(j->session, j->conninfo, j->instance))
        ask_for(j, DUE_CONNECT);
    else
        j->due &= ~(unsigned)DUE_CONNECT; /* changed, and back again */
}

void journal_session_set_journal(struct journal_session *j, const uint8_t *journal_uuid)
{
    memcpy(j->journal, journal_uuid, sizeof(j->journal));
    ask_for(j, DUE_POSITION);
}

bool journal_session_ready(const struct journal_session *j)
{
    return j->state == JOURNAL_SESSION_READY;
}

bool journal_session_position_holds(const struct journal_session *j)
{
    bool known = STATE_BIT(j->state) & (TO(READY) | TO(RECHECKING) | TO(REPREMAKING));
    return known && !(j->due & (DUE_CONNECT | DUE_POSITION));
}

struct session *journal_session_session(struct journal_session *j)
{
    return j->session;
}

const uint8_t *journal_session_journal(const struct journal_session *j)
{
    return j->journal;
}

const struct journal_position *journal_session_position(const struct journal_session *j)
{
    return &j->position;
}

void journal_session_append_move(struct journal_session *j, const struct batch *batch, struct buf *sql)
{
    char journal[IDENTITY_TEXT_SIZE], versions[200] = "true";
    struct buf instance = {0};
    session_append_literal(j->session, session_instance(j->session), &instance);
    identity_text(j->journal, journal);
    if (!batch->versions_waived)
        snprintf(versions, sizeof(versions),
                 "(select array_agg(value order by name) from mobeye.counter where name in ('areas', 'registry')) = "
                 "'{%" PRIu64 ",%" PRIu64 "}'",
                 batch->areas_version, batch->registry_version);
    if (j->position.stored.known)
        buf_printf(sql,
                   "update mobeye.journal_position set position = %" PRIu64 ", checksum = %" PRId64
                   ", instance = %.*s, updated_at = now() where journal = '%s' and position = %" PRIu64 " and %s",
                   batch->last_seq, (int64_t)batch->last_checksum, (int)instance.len, instance.data, journal,
                   j->position.stored.position, versions);
    else
        buf_printf(sql,
                   "insert into mobeye.journal_position (journal, instance, position, checksum) "
                   "select '%s', %.*s, %" PRIu64 ", %" PRId64 " where %s on conflict do nothing",
                   journal, (int)instance.len, instance.data, batch->last_seq, (int64_t)batch->last_checksum, versions);
    buf_free(&instance);
}

void journal_session_moved(struct journal_session *j, const struct batch *batch)
{
    j->position.stored = (struct writer_position){true, batch->last_seq, batch->last_checksum};
}

const char *journal_session_text(const struct journal_session *j)
{
    return j->text;
}

int64_t journal_session_partitions_until_us(const struct journal_session *j)
{
    return j->partitions_until_us;
}
