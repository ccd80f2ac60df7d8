#include "frigate/catch_up.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event_struct.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/transition.h"
#include "frigate/event_page.h"
#include "frigate/frigate_clock.h"

#define EVERY_US        CLOCK_MINUTE
#define VERSION_MAX     64 /* bytes of a response */
#define RETRY_US        (5 * CLOCK_SECOND)
#define CONFIG_EVERY_US CLOCK_HOUR
#define PAGE            100
#define IN_PROGRESS     1000
#define SINGLES_MAX     100
#define SINGLES_FAILED  3              /* after so many without a usable response the cycle goes on to the lists */
#define BACK_MAX_S      (27 * 86400.0) /* retention.camera is 28 days by default: an older alert would count as of now */
#define BEFORE_START_S  60.0           /* pre-capture: REST's start_time is earlier than MQTT's */

enum catch_up_state {
    CATCH_IDLE,        /* until the timer. -> CONFIG */
    CATCH_CONFIG,      /* Frigate's configuration. -> IN_PROGRESS */
    CATCH_IN_PROGRESS, /* what is in progress, a page. -> SINGLES; failed -> IDLE */
    CATCH_SINGLES,     /* open events that were not listed, one by one. -> LISTING; failed -> IDLE */
    CATCH_LISTING,     /* a page of a slice. -> LISTING, ANSWERS; failed, or no room -> IDLE */
    CATCH_ANSWERS,     /* until everything listed has been answered. -> LISTING, IDLE */
};

static const struct machine_state states[] = {
    [CATCH_IDLE] = {"idle", STATE_BIT(CATCH_CONFIG)},
    [CATCH_CONFIG] = {"config", STATE_BIT(CATCH_IN_PROGRESS)},
    [CATCH_IN_PROGRESS] = {"in progress", STATE_BIT(CATCH_SINGLES) | STATE_BIT(CATCH_IDLE)},
    [CATCH_SINGLES] = {"singles", STATE_BIT(CATCH_LISTING) | STATE_BIT(CATCH_IDLE)},
    [CATCH_LISTING] = {"listing", STATE_BIT(CATCH_LISTING) | STATE_BIT(CATCH_ANSWERS) | STATE_BIT(CATCH_IDLE)},
    [CATCH_ANSWERS] = {"answers", STATE_BIT(CATCH_LISTING) | STATE_BIT(CATCH_IDLE)},
};

struct catch_up {
    struct catch_up_parts parts;
    struct catch_up_calls calls;
    enum catch_up_state state;
    struct event timer;
    bool again;                   /* another cycle was asked for */
    int64_t began_us;             /* monotonic: of this cycle */
    int64_t config_us;            /* monotonic: of the last config; 0: none */
    struct frigate_config config; /* the last one */
    struct frigate_config read;   /* the one being read */
    char config_why[256];         /* why it could not be read; empty: it could */
    bool announced;               /* it has been logged that Frigate responds */
    struct frigate_clock clock;   /* of Frigate */
    char single[FRIGATE_ID_SIZE]; /* asked for */
    unsigned singles;             /* asked for in this cycle */
    unsigned singles_failed;      /* of them */
    double from_s, until_s;       /* the slice; until_s is INFINITY in the last */
    struct event_page page;       /* of the slice, or of what is in progress */
    bool room;                    /* the whole page could be taken */
    uint64_t barrier;             /* the last alert of the slice */
    struct rate_limiter failures, config_failures, single_failures, vanished;
};

static void set_state(struct catch_up *c, enum catch_up_state state, const char *why)
{
    transition_check(states, c->state, state, "catch-up", "", why);
    c->state = state;
}

static struct event_time now(const struct catch_up *c)
{
    return (struct event_time){loop_wall_us(c->parts.loop), loop_mono_us(c->parts.loop)};
}

static double frigate_now_s(const struct catch_up *c)
{
    return frigate_clock_now_s(&c->clock, loop_wall_us(c->parts.loop));
}

static void get(struct catch_up *c, const char *path, rest_done_fn done)
{
    c->parts.metrics->http_requests_total++;
    rest_get(c->parts.rest, path, FRIGATE_LIST_MAX, done, c);
}

/* ---- the end of a cycle ---- */

static void end_cycle(struct catch_up *c, int64_t next_us, const char *why)
{
    set_state(c, CATCH_IDLE, why);
    loop_arm(&c->timer, c->again ? 0 : next_us > 0 ? next_us : 0);
    c->again = false;
}

static void end_good_cycle(struct catch_up *c, const char *why)
{
    end_cycle(c, c->began_us + EVERY_US - loop_mono_us(c->parts.loop), why);
}

/* What to check when Frigate responds with this status. */
static const char *advice(const struct catch_up *c, long status)
{
    bool login = c->parts.conf->api.login.user != NULL;
    if (status == 404)
        return " (is this Frigate? api.url is its address without /api)";
    if (status == 401)
        return login ? " (are api.user and api.password_file right?)"
                     : " (this port requires a login: set api.user and api.password_file)";
    return status == 403 ? " (may api.user see all cameras?)" : "";
}

/* Frigate gives no usable response: tries again soon. */
static void end_failed_cycle(struct catch_up *c, const struct rest_response *response, const char *why)
{
    char text[640];
    snprintf(text, sizeof(text), "%.150s/api/events: %.300s%s", c->parts.conf->api.url, why,
             advice(c, response->status));
    c->parts.metrics->http_failures_total++;
    c->parts.metrics->http_answers = 0;
    log_limited(&c->failures, loop_mono_us(c->parts.loop), LOG_LEVEL_WARNING, "frigate", "%s", text);
    c->again = false;
    if (c->announced)
        c->config_us = 0; /* it may come back as a different server */
    c->announced = false;
    end_cycle(c, RETRY_US, why);
    c->calls.on_http(c->calls.ctx, false, text);
}

/* ---- reading lists ---- */

static void on_listed(void *ctx, const struct frigate_event *event)
{
    struct catch_up *c = ctx;
    if (event->start_s < c->page.least_s)
        c->page.least_s = event->start_s;
    if (c->state == CATCH_LISTING && event->start_s < c->from_s - BEFORE_START_S)
        return;
    if (c->state == CATCH_IN_PROGRESS && event->ended && !tracks_find(c->parts.mapper->tracks, event->id))
        return;
    c->room = event_mapper_map(c->parts.mapper, event, now(c)) && c->room;
    struct track *track = tracks_find(c->parts.mapper->tracks, event->id);
    if (track)
        track->listed = true;
}

static void read_date(struct catch_up *c, const struct rest_response *response)
{
    frigate_clock_date(&c->clock, response->date_us, loop_wall_us(c->parts.loop), loop_mono_us(c->parts.loop));
}

/* Returns what is wrong with the response; NULL: it was read. */
static const char *read_events(struct catch_up *c, const struct rest_response *response, size_t *ret_n)
{
    c->page.least_s = INFINITY;
    c->room = true;
    if (response->why)
        return response->why;
    read_date(c, response);
    if (!frigate_read_list(c->parts.reader, response->body, on_listed, c, ret_n)) {
        c->parts.metrics->malformed_total++;
        return "the response is not a list of events (is api.url the address of Frigate?)";
    }
    if (!c->room)
        c->parts.metrics->no_room_total++;
    return NULL;
}

/* false: the response is not usable, and the cycle has ended. */
static bool take_list(struct catch_up *c, const struct rest_response *response, size_t *ret_n)
{
    const char *why = read_events(c, response, ret_n);
    if (why) {
        end_failed_cycle(c, response, why);
        return false;
    }
    c->parts.metrics->http_answers = 1;
    c->parts.metrics->http_last_answer_timestamp_seconds = (double)loop_wall_us(c->parts.loop) / 1e6;
    return true;
}

/* ---- slices ---- */

static void on_page(void *ctx, const struct rest_response *response);

static void ask_page(struct catch_up *c)
{
    char filter[64], path[EVENT_PAGE_PATH_SIZE];
    snprintf(filter, sizeof(filter), "after=%.6f", c->from_s - BEFORE_START_S);
    event_page_path(&c->page, filter, path);
    get(c, path, on_page);
}

static void start_slice(struct catch_up *c, double from_s)
{
    set_state(c, CATCH_LISTING, "next slice");
    c->from_s = from_s;
    c->until_s = from_s + CATCH_UP_SLICE_S;
    /* The last slice has no end, for events that a wrong clock has put into the future. */
    if (c->until_s > frigate_now_s(c) - CATCH_UP_SLICE_S)
        c->until_s = INFINITY;
    c->page = (struct event_page){.limit = PAGE, .before_s = c->until_s};
    ask_page(c);
}

static void finish_slice(struct catch_up *c)
{
    struct tracks *tracks = c->parts.mapper->tracks;
    double reached_s = isinf(c->until_s) ? frigate_now_s(c) : c->until_s;
    if (tracks->cursor_s != reached_s) {
        tracks->cursor_s = reached_s;
        tracks->dirty = true;
        tracks_prune(tracks, reached_s - CATCH_UP_SLICE_S - BEFORE_START_S);
        c->calls.on_cursor(c->calls.ctx);
    }
    if (isinf(c->until_s)) {
        c->parts.metrics->http_last_success_timestamp_seconds = (double)loop_wall_us(c->parts.loop) / 1e6;
        end_good_cycle(c, "replies to all have come");
    } else {
        start_slice(c, c->until_s);
    }
}

static void check_answers(struct catch_up *c)
{
    if (outbox_is_answered(c->parts.outbox, c->barrier))
        finish_slice(c);
}

static void on_version(void *ctx, const struct rest_response *response)
{
    struct catch_up *c = ctx;
    struct buf names = {0};
    int len = 0;
    while (!response->why && (size_t)len < response->body.len && response->body.p[len] > ' ' &&
           response->body.p[len] <= '~')
        len++;
    frigate_config_cameras(&c->config, &names);
    log_info("frigate", "connected to %s, version %.*s, %zu camera%s%s%.*s", c->parts.conf->api.url, len > 0 ? len : 7,
             len > 0 ? response->body.p : "unknown", c->config.n_cameras, c->config.n_cameras == 1 ? "" : "s",
             c->config.n_cameras > 0 ? ": " : "", (int)names.len, names.len > 0 ? names.data : "");
    buf_free(&names);
}

/* Only when all lists of a slice have been read: one success does not mean that the next list can be read. */
static void announce(struct catch_up *c)
{
    log_recover(&c->failures, "frigate", "answers again");
    if (c->singles_failed == 0)
        log_recover(&c->single_failures, "frigate", "all open events can be read again");
    if (*c->config_why)
        log_limited(&c->config_failures, loop_mono_us(c->parts.loop), LOG_LEVEL_WARNING, "frigate",
                    "%s/api/config: %s: boxes are left out, and names are not compared", c->parts.conf->api.url,
                    c->config_why);
    else
        log_recover(&c->config_failures, "frigate", "the configuration can be read again");
    if (c->announced)
        return;
    c->announced = true;
    c->parts.metrics->http_requests_total++;
    rest_get(c->parts.rest, "/api/version", VERSION_MAX, on_version, c);
}

static void end_listing(struct catch_up *c)
{
    announce(c);
    set_state(c, CATCH_ANSWERS, "listed");
    c->barrier = outbox_last_number(c->parts.outbox);
    loop_arm(&c->timer, EVERY_US);
    check_answers(c);
}

static void on_page(void *ctx, const struct rest_response *response)
{
    struct catch_up *c = ctx;
    size_t n;
    if (event_page_shrink(&c->page, response)) {
        ask_page(c);
        return;
    }
    if (!take_list(c, response, &n))
        return;
    if (!c->room) {
        announce(c);
        end_good_cycle(c, "no room");
        return;
    }
    if (event_page_turn(&c->page, n))
        ask_page(c);
    else
        end_listing(c);
}

static void start_listing(struct catch_up *c)
{
    double now_s = frigate_now_s(c), cursor_s = c->parts.mapper->tracks->cursor_s;
    double from_s = (isnan(cursor_s) || cursor_s > now_s ? now_s : cursor_s) - CATCH_UP_SLICE_S;
    start_slice(c, from_s < now_s - BACK_MAX_S ? now_s - BACK_MAX_S : from_s);
}

/* ---- open events that are not listed as in progress ---- */

static void on_single(void *ctx, const struct rest_response *response);

/* Of the open or rejected events about which nothing was received in this cycle, the one asked for longest ago. */
static const struct track *next_single(const struct catch_up *c)
{
    const struct track *track, *found = NULL;
    TAILQ_FOREACH(track, &c->parts.mapper->tracks->list, entry)
    if (!track->held && !(track->queued & TRACK_END) && track->seen_us < c->began_us &&
        track->asked_us < (found ? found->asked_us : c->began_us))
        found = track;
    return found;
}

static void ask_single(struct catch_up *c)
{
    char path[128];
    bool more = c->singles < SINGLES_MAX && c->singles_failed < SINGLES_FAILED;
    const struct track *track = more ? next_single(c) : NULL;
    if (!track) {
        start_listing(c);
        return;
    }
    c->singles++;
    snprintf(c->single, sizeof(c->single), "%s", track->last.id);
    tracks_find(c->parts.mapper->tracks, c->single)->asked_us = loop_mono_us(c->parts.loop);
    snprintf(path, sizeof(path), "/api/events/%s", c->single);
    get(c, path, on_single);
}

static void end_vanished(struct catch_up *c, struct track *track)
{
    log_limited(&c->vanished, loop_mono_us(c->parts.loop), LOG_LEVEL_INFO, "frigate",
                "%s (camera %s): Frigate no longer knows the event, which counts as ended", track->last.id,
                track->last.camera);
    event_mapper_map_vanished(c->parts.mapper, track, now(c));
}

/* Other events do not wait for one that cannot be read. */
static void skip_single(struct catch_up *c, const char *why)
{
    c->singles_failed++;
    c->parts.metrics->http_failures_total++;
    log_limited(&c->single_failures, loop_mono_us(c->parts.loop), LOG_LEVEL_WARNING, "frigate",
                "%.200s/api/events/%s: %s", c->parts.conf->api.url, c->single, why);
}

static void on_single(void *ctx, const struct rest_response *response)
{
    struct catch_up *c = ctx;
    struct track *track = tracks_find(c->parts.mapper->tracks, c->single);
    size_t n;
    if (response->status == 404) {
        if (track && track_is_vanished(track, c->calls.mqtt_since(c->calls.ctx), loop_mono_us(c->parts.loop)))
            end_vanished(c, track);
    } else if (response->status == 401) {
        end_failed_cycle(c, response, response->why);
        return;
    } else {
        const char *why = read_events(c, response, &n);
        if (why)
            skip_single(c, why);
    }
    ask_single(c);
}

/* ---- the beginning of a cycle ---- */

static void on_in_progress(void *ctx, const struct rest_response *response);

static void ask_in_progress_page(struct catch_up *c)
{
    char path[EVENT_PAGE_PATH_SIZE];
    event_page_path(&c->page, "in_progress=1", path);
    get(c, path, on_in_progress);
}

static void on_in_progress(void *ctx, const struct rest_response *response)
{
    struct catch_up *c = ctx;
    size_t n;
    if (event_page_shrink(&c->page, response)) {
        ask_in_progress_page(c);
        return;
    }
    if (!take_list(c, response, &n))
        return;
    if (c->room && event_page_turn(&c->page, n)) {
        ask_in_progress_page(c);
        return;
    }
    c->calls.on_http(c->calls.ctx, true, NULL);
    set_state(c, CATCH_SINGLES, "listed");
    c->singles = c->singles_failed = 0;
    ask_single(c);
}

static void ask_in_progress(struct catch_up *c, const char *why)
{
    set_state(c, CATCH_IN_PROGRESS, why);
    c->page = (struct event_page){.limit = IN_PROGRESS, .before_s = INFINITY};
    ask_in_progress_page(c);
}

/* Without the configuration, boxes are omitted; the lists decide whether Frigate responds. */
static void on_config(void *ctx, const struct rest_response *response)
{
    struct catch_up *c = ctx;
    const char *why = response->why;
    read_date(c, response);
    frigate_clock_check(&c->clock, loop_mono_us(c->parts.loop));
    if (!why && !frigate_read_config(c->parts.reader, response->body, &c->read))
        why = "the response is not JSON";
    snprintf(c->config_why, sizeof(c->config_why), "%s", why ? why : "");
    if (!why) {
        c->config = c->read;
        c->config_us = loop_mono_us(c->parts.loop);
        c->parts.mapper->frigate = &c->config;
        c->calls.on_config(c->calls.ctx, &c->config);
    }
    ask_in_progress(c, response->why ? response->why : "read");
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct catch_up *c = arg;
    int64_t now_us = loop_mono_us(c->parts.loop);
    if (c->state == CATCH_ANSWERS)
        set_state(c, CATCH_IDLE, "no reply in time");
    if (c->state != CATCH_IDLE)
        return;
    c->began_us = now_us;
    c->again = false;
    set_state(c, CATCH_CONFIG, "time for a cycle");
    if (c->config_us > 0 && now_us - c->config_us < CONFIG_EVERY_US)
        ask_in_progress(c, "known");
    else
        get(c, "/api/config", on_config);
}

/* ---- the interface ---- */

struct catch_up *catch_up_new(const struct catch_up_parts *parts, const struct catch_up_calls *calls)
{
    struct catch_up *c = mem_zalloc(sizeof(*c));
    c->parts = *parts;
    c->calls = *calls;
    evtimer_assign(&c->timer, loop_base(parts->loop), on_timer, c);
    loop_arm(&c->timer, 0);
    return c;
}

void catch_up_free(struct catch_up **catch_up)
{
    if (!*catch_up)
        return;
    event_del(&(*catch_up)->timer);
    free(*catch_up);
    *catch_up = NULL;
}

void catch_up_start(struct catch_up *c)
{
    if (c->state == CATCH_IDLE || c->state == CATCH_ANSWERS)
        loop_arm(&c->timer, 0);
    else
        c->again = true;
}

void catch_up_restarted(struct catch_up *c)
{
    c->config_us = 0;
    catch_up_start(c);
}

void catch_up_answered(struct catch_up *c)
{
    if (c->state == CATCH_ANSWERS)
        check_answers(c);
}

void catch_up_frame_time(struct catch_up *c, double frame_s)
{
    frigate_clock_frame(&c->clock, frame_s, loop_wall_us(c->parts.loop), loop_mono_us(c->parts.loop));
}
