#include "board/change_hub.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <event2/event_struct.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/transition.h"
#include "board/db_pool.h"
#include "store/column.h"
#include "store/param.h"
#include "store/pgtype.h"
#include "store/session.h"

#define POLL_US      (5 * CLOCK_SECOND)
#define HEARTBEAT_US (10 * CLOCK_SECOND)
/* Between two readings, so that a storm of changes costs few queries: at least this, and three times as long as the
 * last one took. */
#define PAUSE_US (50 * CLOCK_MS)
/* Streams per person. One more ends the one that has the most unread, else the oldest. */
#define STREAMS_OF_PERSON_MAX 256
/* After this long without a reply the server is given up. */
#define DEADLINE_US (15 * CLOCK_SECOND)

enum stream_state {
    STREAM_NEW,    /* wants the changes from now on, and the hub does not know yet which is the last. -> LIVE */
    STREAM_BEHIND, /* its position may be less than the hub's: it is catching up. -> LIVE */
    STREAM_LIVE,   /* its position is not less than the hub's */
};

struct change_stream {
    TAILQ_ENTRY(change_stream) next;
    struct change_hub *hub;
    struct board_request *request;
    enum stream_state state;
    int64_t position;     /* everything up to this change_id was sent */
    int64_t heartbeat_us; /* monotonic: when the last one was sent; 0: none yet */
    bool asked;           /* the query in progress is for its person */
    bool ending;          /* it is being closed: the person has too many */
};

TAILQ_HEAD(change_streams, change_stream);

/* What the session is doing. From each -> DOWN. */
enum hub_step {
    HUB_DOWN,        /* not connected. -> NUMBERING */
    HUB_IDLE,        /* until the timer or a change. -> NUMBERING or CATCHING_UP */
    HUB_NUMBERING,   /* patrol.number_changes(). -> READING; failed -> IDLE */
    HUB_READING,     /* patrol.board_changes() for the live streams. -> IDLE */
    HUB_CATCHING_UP, /* the same for those that are behind, from one position. -> IDLE */
};

static const struct machine_state states[] = {
    [HUB_DOWN] = {"down", STATE_BIT(HUB_NUMBERING) | STATE_BIT(HUB_DOWN)},
    [HUB_IDLE] = {"idle", STATE_BIT(HUB_NUMBERING) | STATE_BIT(HUB_CATCHING_UP) | STATE_BIT(HUB_DOWN)},
    [HUB_NUMBERING] = {"numbering", STATE_BIT(HUB_READING) | STATE_BIT(HUB_IDLE) | STATE_BIT(HUB_DOWN)},
    [HUB_READING] = {"reading", STATE_BIT(HUB_IDLE) | STATE_BIT(HUB_DOWN)},
    [HUB_CATCHING_UP] = {"catching up", STATE_BIT(HUB_IDLE) | STATE_BIT(HUB_DOWN)},
};

struct change_hub {
    struct loop *loop;
    struct board_metrics *metrics;
    struct session *session;
    bool started;
    enum hub_step step;
    struct change_streams streams;
    size_t n_streams;
    int64_t position;       /* what all live streams have; -1: not known yet */
    int64_t after, reached; /* of the query in progress; reached -1: no reply */
    int64_t last;           /* change_id, when the reply to the query came */
    bool reset;             /* as the query reported */
    bool woken;             /* something may be new */
    bool failing;           /* the last reading failed: the next one waits for the timer */
    int64_t began_us, took_us;
    struct event timer; /* the next reading, or giving up the server */
    struct rate_limiter failed;
};

/* ---- sending ---- */

static void send_event(struct change_stream *stream, const char *event, int64_t id, struct str data)
{
    struct buf text = {0};
    if (id >= 0)
        buf_printf(&text, "id: %" PRId64 "\n", id);
    buf_printf(&text, "event: %s\ndata: ", event);
    buf_append_str(&text, data);
    buf_printf(&text, "\n\n");
    stream->hub->metrics->events_total++;
    board_stream_send(stream->request, buf_str(&text));
    buf_free(&text);
}

/* An event about the stream itself; id: -1: none. */
static void send_position(struct change_stream *stream, const char *event, int64_t id)
{
    struct buf data = {0};
    buf_printf(&data, "{\"change_id\": %" PRId64 "}", stream->position);
    send_event(stream, event, id, buf_str(&data));
    buf_free(&data);
}

static void send_heartbeat(struct change_stream *stream)
{
    stream->heartbeat_us = loop_mono_us(stream->hub->loop);
    send_position(stream, "heartbeat", -1);
}

static void free_stream(struct change_stream *stream)
{
    struct change_hub *hub = stream->hub;
    TAILQ_REMOVE(&hub->streams, stream, next);
    hub->metrics->streams = --hub->n_streams;
    free(stream);
}

static void on_abandoned(struct board_request *request)
{
    free_stream(request->work);
}

static void end_stream(struct change_stream *stream)
{
    struct board_request *request = stream->request;
    free_stream(stream);
    board_stream_end(request);
}

/* ---- reading ---- */

static void set_step(struct change_hub *hub, enum hub_step step, const char *reason)
{
    transition_check(states, hub->step, step, "database", "changes", reason);
    hub->step = step;
}

/* Marks the streams to be served by the next query, and lists each of their people once. Returns how many. */
static size_t mark_asked(struct change_hub *hub, struct str *people)
{
    size_t n = 0;
    struct change_stream *stream;
    enum stream_state wanted = hub->step == HUB_READING ? STREAM_LIVE : STREAM_BEHIND;
    TAILQ_FOREACH(stream, &hub->streams, next)
    {
        struct str person = str_from(stream->request->person);
        bool listed = false;
        stream->asked = stream->state == wanted && (wanted == STREAM_LIVE || stream->position == hub->after);
        for (size_t i = 0; i < n && !listed; i++)
            listed = str_eq(people[i], person);
        if (stream->asked && !listed)
            people[n++] = person;
    }
    return n;
}

static void send_query(struct change_hub *hub, int64_t after)
{
    static const Oid types[] = {TYPE_TEXT_ARRAY, TYPE_INT8};
    struct buf params[2] = {{0}, {0}};
    struct str *people = mem_zalloc((hub->n_streams + 1) * sizeof(*people));
    hub->after = after;
    hub->reached = -1;
    hub->reset = false;
    size_t n = mark_asked(hub, people);
    param_array(&params[0], TYPE_TEXT, n);
    for (size_t i = 0; i < n; i++)
        param_text(&params[0], people[i]);
    buf_be64(&params[1], (uint64_t)after);
    loop_arm(&hub->timer, DEADLINE_US);
    session_send_params(hub->session, "select person, event, change_id, data from patrol.board_changes($1, $2)", 2,
                        types, params);
    buf_free(&params[0]);
    buf_free(&params[1]);
    free(people);
}

/* What people have changed is numbered first, in a separate transaction. */
static void begin_reading(struct change_hub *hub, const char *reason)
{
    hub->woken = hub->failing = false;
    set_step(hub, HUB_NUMBERING, reason);
    hub->began_us = loop_mono_us(hub->loop);
    loop_arm(&hub->timer, DEADLINE_US);
    session_send(hub->session, "select patrol.number_changes()");
}

static struct change_stream *first_behind(struct change_hub *hub)
{
    struct change_stream *stream;
    TAILQ_FOREACH(stream, &hub->streams, next)
    {
        if (stream->state == STREAM_BEHIND)
            return stream;
    }
    return NULL;
}

/* IDLE. Live streams and those that are behind take turns. */
static void plan_next(struct change_hub *hub, bool was_live)
{
    const struct change_stream *behind = first_behind(hub);
    int64_t pause_us = 3 * hub->took_us > PAUSE_US ? 3 * hub->took_us : PAUSE_US;
    bool more = was_live && hub->reached < hub->last;
    int64_t elapsed_us = loop_mono_us(hub->loop) - hub->began_us - hub->took_us;
    if (behind && (was_live || !hub->woken)) {
        set_step(hub, HUB_CATCHING_UP, "streams lag");
        send_query(hub, behind->position);
    } else if (hub->woken) {
        loop_arm(&hub->timer, elapsed_us < pause_us && !more ? pause_us - elapsed_us : 0);
    } else {
        loop_arm(&hub->timer, POLL_US);
    }
}

void change_hub_wake(struct change_hub *hub)
{
    hub->woken = true;
    if (hub->step == HUB_IDLE && !hub->failing)
        plan_next(hub, false);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct change_hub *hub = arg;
    if (hub->step == HUB_IDLE)
        begin_reading(hub, "time to read");
    else if (hub->step != HUB_DOWN)
        session_drop(hub->session, "no reply");
}

static void deliver(struct change_hub *hub, struct str person, int64_t id, struct str data)
{
    struct change_stream *stream;
    TAILQ_FOREACH(stream, &hub->streams, next)
    {
        // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it does not see that TAILQ_REMOVE() changes the head of the list
        bool lacks = stream->asked && id > stream->position;
        if (lacks && str_is(person, stream->request->person))
            send_event(stream, "change", id, data);
    }
}

/* For a person who has been removed from the registry. */
static void end_streams_of(struct change_hub *hub, struct str person)
{
    for (struct change_stream *stream = TAILQ_FIRST(&hub->streams), *next; stream; stream = next) {
        next = TAILQ_NEXT(stream, next);
        if (stream->asked && str_is(person, stream->request->person))
            end_stream(stream);
    }
}

static void on_result(void *ctx, PGresult *result)
{
    struct change_hub *hub = ctx;
    if ((hub->step != HUB_READING && hub->step != HUB_CATCHING_UP) || PQresultStatus(result) != PGRES_TUPLES_OK)
        return;
    for (int row = 0; row < PQntuples(result); row++) {
        struct str person = column_text(result, row, 0), event = column_text(result, row, 1);
        int64_t id = (int64_t)column_int8(result, row, 2);
        if (str_is(event, "change")) {
            deliver(hub, person, id, column_text(result, row, 3));
        } else if (str_is(event, "gone")) {
            end_streams_of(hub, person);
        } else {
            hub->reset = str_is(event, "reset");
            hub->reached = id;
            hub->last = strtoll(column_text(result, row, 3).p, NULL, 10);
        }
    }
}

/* The streams of the query have now reached its position. */
static void advance(struct change_hub *hub, bool live)
{
    struct change_stream *stream;
    bool unknown = hub->position < 0;
    if (unknown)
        hub->reached = hub->last;
    if (live)
        hub->position = hub->reached;
    TAILQ_FOREACH(stream, &hub->streams, next)
    {
        if (unknown && stream->state == STREAM_NEW) {
            stream->position = hub->position;
            stream->state = STREAM_LIVE;
        }
        if (!stream->asked)
            continue;
        if (hub->reset || stream->position < hub->reached)
            stream->position = hub->reached;
        if (hub->reset)
            send_position(stream, "reset", hub->reached);
        stream->state = stream->position >= hub->position ? STREAM_LIVE : STREAM_BEHIND;
    }
    hub->woken = hub->woken || (live && hub->reached < hub->last);
    hub->metrics->change_id = (uint64_t)hub->position;
}

/* The database has just replied. */
static void send_heartbeats(struct change_hub *hub)
{
    struct change_stream *stream;
    int64_t now_us = loop_mono_us(hub->loop);
    TAILQ_FOREACH(stream, &hub->streams, next)
    {
        bool due = stream->heartbeat_us == 0 || now_us - stream->heartbeat_us > HEARTBEAT_US - CLOCK_SECOND / 2;
        if (due && stream->state == STREAM_LIVE)
            send_heartbeat(stream);
    }
}

/* The next reading is another attempt. */
static void on_failed(struct change_hub *hub, const char *why)
{
    log_limited(&hub->failed, loop_mono_us(hub->loop), LOG_LEVEL_ERROR, "database", "%s; pages do not get changes",
                why);
    set_step(hub, HUB_IDLE, why);
    hub->failing = true;
    loop_arm(&hub->timer, POLL_US);
}

static void on_end(void *ctx, const struct fault *fault)
{
    struct change_hub *hub = ctx;
    bool live = hub->step == HUB_READING;
    if (fault && fault->class == SQLSTATE_RECONNECT) {
        session_drop(hub->session, fault->text);
        return;
    }
    if (fault || (hub->step != HUB_NUMBERING && hub->reached < 0)) {
        on_failed(hub, fault ? fault->text : "incomplete reply from patrol.board_changes");
        return;
    }
    if (hub->step == HUB_NUMBERING) {
        set_step(hub, HUB_READING, "numbered");
        send_query(hub, hub->position < 0 ? 0 : hub->position);
        return;
    }
    if (live)
        hub->took_us = loop_mono_us(hub->loop) - hub->began_us;
    session_reset_backoff(hub->session);
    advance(hub, live);
    send_heartbeats(hub);
    if (!first_behind(hub))
        log_recover(&hub->failed, "database", "pages get changes again");
    set_step(hub, HUB_IDLE, "answered");
    plan_next(hub, live);
}

/* ---- the session ---- */

static void on_ready(void *ctx)
{
    begin_reading(ctx, "connected");
}

static void on_lost(void *ctx, const char *reason)
{
    struct change_hub *hub = ctx;
    set_step(hub, HUB_DOWN, reason);
    event_del(&hub->timer);
}

static void on_notify(void *ctx, const char *payload)
{
    (void)payload;
    change_hub_wake(ctx);
}

struct change_hub *change_hub_new(struct loop *loop, const char *conninfo, struct board_metrics *metrics)
{
    static const struct session_kind kind = {
        .program = "mobeye-board",
        .name = "changes",
        .subject = "database",
        .meanwhile = "pages do not get changes",
        .settings = DB_POOL_SETTINGS "; listen mobeye_incident",
    };
    static const struct session_calls calls = {
        .on_ready = on_ready, .on_lost = on_lost, .on_result = on_result, .on_end = on_end, .on_notify = on_notify};
    struct change_hub *hub = mem_zalloc(sizeof(*hub));
    hub->loop = loop;
    hub->metrics = metrics;
    hub->position = -1;
    TAILQ_INIT(&hub->streams);
    evtimer_assign(&hub->timer, loop_base(loop), on_timer, hub);
    hub->session = session_new(loop, &kind, conninfo, "", &calls, hub);
    return hub;
}

void change_hub_start(struct change_hub *hub)
{
    if (hub->started)
        return;
    hub->started = true;
    session_start(hub->session);
}

void change_hub_free(struct change_hub **hub)
{
    if (!*hub)
        return;
    session_free(&(*hub)->session);
    event_del(&(*hub)->timer);
    assert(TAILQ_EMPTY(&(*hub)->streams));
    free(*hub);
    *hub = NULL;
}

/* Makes room for one more stream of the person. */
static void end_excess(struct change_hub *hub, const char *person)
{
    struct change_stream *stream, *worst = NULL;
    size_t n = 0;
    TAILQ_FOREACH(stream, &hub->streams, next)
    {
        if (stream->ending || strcmp(stream->request->person, person) != 0)
            continue;
        n++;
        if (!worst || board_stream_unread(stream->request) > board_stream_unread(worst->request))
            worst = stream;
    }
    if (n < STREAMS_OF_PERSON_MAX)
        return;
    worst->ending = true;
    hub->metrics->streams_excess_total++;
    board_request_cut(worst->request);
}

void change_hub_follow(struct change_hub *hub, struct board_request *request, int64_t after)
{
    struct change_stream *stream = mem_zalloc(sizeof(*stream));
    end_excess(hub, request->person);
    stream->hub = hub;
    stream->request = request;
    request->work = stream;
    request->on_abandoned = on_abandoned;
    stream->state = after >= 0 || hub->position >= 0 ? STREAM_BEHIND : STREAM_NEW;
    stream->position = after >= 0 ? after : hub->position;
    TAILQ_INSERT_TAIL(&hub->streams, stream, next);
    hub->metrics->streams = ++hub->n_streams;
    board_stream_begin(request);
    board_stream_send(request, STR("retry: 2000\n\n"));
    if (hub->step == HUB_IDLE && !hub->failing)
        plan_next(hub, true);
}
