#include "frigate/snapshot_fetch.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event_struct.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "ingest/image_header.h"

#define AT_ONCE      2
#define DELAY_MIN_US CLOCK_SECOND
#define DELAY_MAX_US (15 * CLOCK_SECOND)
#define HEIGHT_MIN   90

struct snapshot_request {
    TAILQ_ENTRY(snapshot_request) entry;
    struct snapshot_fetch *fetch;
    struct track *track;
    enum frigate_alert alert;
    uint32_t height;
    int64_t next_us, until_us, delay_us; /* monotonic */
    bool asked;
};

TAILQ_HEAD(request_list, snapshot_request); /* the newest first, then those that failed */

struct snapshot_fetch {
    struct loop *loop;
    const struct conf_frigate *conf;
    struct rest_client *rest;
    struct frigate_metrics *metrics;
    struct snapshot_calls calls;
    struct request_list requests;
    unsigned asked;
    struct event timer;
    struct rate_limiter failures, full;
};

static void ask_due(struct snapshot_fetch *fetch);

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    ask_due(arg);
}

static void remove_request(struct snapshot_request *request)
{
    TAILQ_REMOVE(&request->fetch->requests, request, entry);
    request->fetch->metrics->images_wanted--;
    request->track->users--;
    free(request);
}

/* "image of EVENT (camera front_door): WHAT" */
__attribute__((format(printf, 2, 3))) static void warn(const struct snapshot_request *request, const char *fmt, ...)
{
    struct snapshot_fetch *fetch = request->fetch;
    char what[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof(what), fmt, args);
    va_end(args);
    log_limited(&fetch->failures, loop_mono_us(fetch->loop), LOG_LEVEL_WARNING, "image", "of %s (camera %s): %s",
                request->track->last.id, request->track->last.camera, what);
}

static void give_up(struct snapshot_request *request)
{
    struct snapshot_fetch *fetch = request->fetch;
    struct track *track = request->track;
    enum frigate_alert alert = request->alert;
    remove_request(request);
    fetch->calls.on_none(fetch->calls.ctx, track, alert);
}

static void give_up_missing(struct snapshot_request *request, long status, const char *why)
{
    double s = (double)request->fetch->conf->images.retry_for_us / 1e6;
    request->fetch->metrics->images_missing_total++;
    if (status == 404)
        warn(request, "Frigate had none within %.0f s, dropped (does it store snapshots of this camera?)", s);
    else
        warn(request, "dropped after %.0f s: %s", s, why);
    give_up(request);
}

static void give_up_large(struct snapshot_request *request)
{
    request->fetch->metrics->images_too_large_total++;
    warn(request, "larger than %d bytes even at %u pixels, dropped (%s)", IMAGE_BYTES_MAX, request->height,
         request->track->last.ended ? "Frigate may send the snapshot of an ended event in its own size: set snapshots: "
                                      "height in its configuration"
                                    : "Frigate does not scale it");
    give_up(request);
}

static void move_to_tail(struct snapshot_request *request)
{
    struct request_list *requests = &request->fetch->requests;
    TAILQ_REMOVE(requests, request, entry);
    TAILQ_INSERT_TAIL(requests, request, entry);
}

/* Asks again later, or gives up. Time during which Frigate cannot be reached, or returns no lists either, does not
 * count: then the log has the reason, and why it counts as offline. */
static void ask_again(struct snapshot_request *request, const struct rest_response *response)
{
    struct snapshot_fetch *fetch = request->fetch;
    int64_t now_us = loop_mono_us(fetch->loop);
    const char *why = response->why ? response->why : "the response is not an image (expected JPEG, PNG or WebP)";
    bool away = response->status == 0 && (response->unsent || !fetch->calls.answers(fetch->calls.ctx));
    if (response->status != 404 && !away)
        warn(request, "%s/api/events/ID/snapshot.jpg: %s", fetch->conf->api.url, why);
    if (away || response->status == 401) {
        request->until_us = now_us + fetch->conf->images.retry_for_us;
    } else if (now_us + request->delay_us > request->until_us) {
        give_up_missing(request, response->status, why);
        return;
    }
    if (response->timed_out && response->partial && request->height / 2 >= HEIGHT_MIN)
        request->height /= 2; /* the line is slow */
    move_to_tail(request);
    request->next_us = now_us + request->delay_us;
    request->delay_us = request->delay_us * 2 < DELAY_MAX_US ? request->delay_us * 2 : DELAY_MAX_US;
}

static void hand_on(struct snapshot_request *request, struct str body)
{
    struct snapshot_fetch *fetch = request->fetch;
    struct buf image = {0};
    buf_append_str(&image, body);
    if (!fetch->calls.on_image(fetch->calls.ctx, request->track, request->alert, &image)) {
        buf_free(&image);
        request->next_us = loop_mono_us(fetch->loop) + DELAY_MIN_US;
        return;
    }
    fetch->metrics->images_total++;
    remove_request(request);
}

static void on_response(void *ctx, const struct rest_response *response)
{
    struct snapshot_request *request = ctx;
    struct snapshot_fetch *fetch = request->fetch;
    struct image image;
    request->asked = false;
    fetch->asked--;
    if (response->too_large && request->height / 2 >= HEIGHT_MIN)
        request->height /= 2;
    else if (response->too_large)
        give_up_large(request);
    else if (!response->why && image_read(response->body, &image))
        hand_on(request, response->body);
    else
        ask_again(request, response);
    ask_due(fetch);
}

static void send_request(struct snapshot_request *request)
{
    char path[256];
    /* An ID needs no escaping in a path: frigate_event.h. */
    snprintf(path, sizeof(path), "/api/events/%s/snapshot.jpg?h=%u", request->track->last.id, request->height);
    request->asked = true;
    request->fetch->asked++;
    request->fetch->metrics->http_requests_total++;
    rest_get(request->fetch->rest, path, IMAGE_BYTES_MAX, on_response, request);
}

static void ask_due(struct snapshot_fetch *fetch)
{
    struct snapshot_request *request;
    int64_t now_us = loop_mono_us(fetch->loop), next_us = INT64_MAX;
    TAILQ_FOREACH(request, &fetch->requests, entry)
    {
        if (request->asked)
            continue;
        if (request->next_us > now_us)
            next_us = request->next_us < next_us ? request->next_us : next_us;
        else if (fetch->asked < AT_ONCE && fetch->calls.has_room(fetch->calls.ctx))
            send_request(request);
    }
    if (next_us != INT64_MAX)
        loop_arm(&fetch->timer, next_us - now_us + CLOCK_MS);
}

struct snapshot_fetch *snapshot_fetch_new(struct loop *loop, const struct conf_frigate *conf, struct rest_client *rest,
                                          struct frigate_metrics *metrics, const struct snapshot_calls *calls)
{
    struct snapshot_fetch *fetch = mem_zalloc(sizeof(*fetch));
    *fetch = (struct snapshot_fetch){.loop = loop, .conf = conf, .rest = rest, .metrics = metrics, .calls = *calls};
    TAILQ_INIT(&fetch->requests);
    evtimer_assign(&fetch->timer, loop_base(loop), on_timer, fetch);
    return fetch;
}

void snapshot_fetch_free(struct snapshot_fetch **fetch)
{
    if (!*fetch)
        return;
    event_del(&(*fetch)->timer);
    for (struct snapshot_request *request = TAILQ_FIRST(&(*fetch)->requests), *next; request; request = next) {
        next = TAILQ_NEXT(request, entry);
        remove_request(request);
    }
    free(*fetch);
    *fetch = NULL;
}

void snapshot_fetch_add(struct snapshot_fetch *fetch, struct track *track, enum frigate_alert alert)
{
    struct snapshot_request *request = mem_zalloc(sizeof(*request));
    int64_t now_us = loop_mono_us(fetch->loop);
    *request = (struct snapshot_request){.fetch = fetch,
                                         .track = track,
                                         .alert = alert,
                                         .height = fetch->conf->images.height,
                                         .next_us = now_us,
                                         .until_us = now_us + fetch->conf->images.retry_for_us,
                                         .delay_us = DELAY_MIN_US};
    track->users++;
    TAILQ_INSERT_HEAD(&fetch->requests, request, entry);
    fetch->metrics->images_wanted++;
    loop_arm(&fetch->timer, 0);
}

/* Of the event that began first, among those of which all alerts are accepted. */
static const struct track *oldest_waiting(const struct snapshot_fetch *fetch)
{
    const struct snapshot_request *request;
    const struct track *oldest = NULL;
    TAILQ_FOREACH(request, &fetch->requests, entry)
    {
        const struct track *track = request->track;
        if (!request->asked && track->done & TRACK_NEW && track->done & TRACK_END &&
            (!oldest || track->last.start_s < oldest->last.start_s))
            oldest = track;
    }
    return oldest;
}

bool snapshot_fetch_make_room(struct snapshot_fetch *fetch)
{
    const struct track *track = oldest_waiting(fetch);
    struct snapshot_request *request = TAILQ_FIRST(&fetch->requests), *next;
    for (; track && request; request = next) {
        next = TAILQ_NEXT(request, entry);
        if (request->track != track || request->asked)
            continue;
        fetch->metrics->images_missing_total++;
        log_limited(&fetch->full, loop_mono_us(fetch->loop), LOG_LEVEL_WARNING, "image",
                    "of %s (camera %s): dropped: the images of %d events are awaited, and there are newer events",
                    track->last.id, track->last.camera, TRACKS_MAX);
        give_up(request);
    }
    return track != NULL;
}

void snapshot_fetch_wake(struct snapshot_fetch *fetch)
{
    ask_due(fetch);
}
