#include "frigate/event_mapper.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

unsigned event_mapper_bit(enum frigate_alert alert)
{
    static const unsigned bits[FRIGATE_ALERTS] = {TRACK_NEW, 0, TRACK_END, TRACK_IMAGE, TRACK_IMAGE_END};
    return bits[alert];
}

static struct frigate_resolution resolution_of(const struct event_mapper *mapper, const char *camera)
{
    const struct frigate_config *config = mapper->frigate;
    for (size_t i = 0; config && i < config->n_cameras; i++)
        if (strcmp(config->cameras[i].name, camera) == 0)
            return (struct frigate_resolution){config->cameras[i].width, config->cameras[i].height};
    return (struct frigate_resolution){0};
}

/* Completes what Frigate says now with what it said before: the camera and the start stay, zones and score only
 * grow. */
static struct frigate_event merge(const struct frigate_event *last, const struct frigate_event *event)
{
    struct frigate_event merged = *event;
    if (*last->camera)
        memcpy(merged.camera, last->camera, sizeof(merged.camera));
    if (!*merged.label)
        memcpy(merged.label, last->label, sizeof(merged.label));
    if (!isnan(last->start_s))
        merged.start_s = last->start_s;
    if (merged.n_zones < last->n_zones) {
        merged.n_zones = last->n_zones;
        memcpy(merged.zone, last->zone, sizeof(merged.zone));
    }
    if (isnan(merged.top_score) || merged.top_score < last->top_score)
        merged.top_score = last->top_score;
    if (merged.stationary == TRI_UNKNOWN)
        merged.stationary = last->stationary;
    if (last->ended && !merged.ended) {
        merged.ended = true;
        merged.end_s = last->end_s;
    }
    return merged;
}

static bool send_alert(struct event_mapper *mapper, struct track *track, enum frigate_alert alert,
                       const struct frigate_event *event, struct event_time now)
{
    struct frigate_alert_text text;
    frigate_alert_write(mapper->conf, alert, event, resolution_of(mapper, event->camera), now.wall_us, &text);
    struct track_report before = track->sent;
    track->sent = track_report_of(event);
    if (!mapper->sink.send(mapper->sink.ctx, track, alert, &text)) {
        track->sent = before;
        buf_free(&text.payload);
        return false;
    }
    track->queued |= event_mapper_bit(alert);
    return true;
}

/* Asks for the image, unless Frigate says that there will be none. */
static void want_image(struct event_mapper *mapper, struct track *track, enum frigate_alert alert)
{
    unsigned bit = event_mapper_bit(alert);
    if (!mapper->tracks->images || track->queued & bit)
        return;
    track->queued |= bit;
    if (track->last.ended && track->last.has_snapshot == TRI_NO) {
        track->done |= bit;
        return;
    }
    mapper->sink.want_image(mapper->sink.ctx, track, alert);
}

static struct track *add_track(struct event_mapper *mapper, const struct frigate_event *event, struct event_time now)
{
    struct track *track;
    do
        track = tracks_add(mapper->tracks, event, now.mono_us);
    while (!track && mapper->sink.make_room(mapper->sink.ctx));
    return track;
}

bool event_mapper_map(struct event_mapper *mapper, const struct frigate_event *event, struct event_time now)
{
    struct track *track = tracks_find(mapper->tracks, event->id);
    if (!track && (!frigate_wanted(mapper->conf, event) || event->false_positive == TRI_YES))
        return true;
    if (!track)
        track = add_track(mapper, event, now);
    if (!track)
        return false;
    track->seen_us = now.mono_us;
    if (track->queued & TRACK_END)
        return true;
    struct frigate_event merged = merge(&track->last, event);
    if (track->held) {
        track->last = merged;
        mapper->tracks->dirty = true;
        return true;
    }
    if (!(track->queued & TRACK_NEW)) {
        if (!send_alert(mapper, track, FRIGATE_NEW, &merged, now))
            return false;
    } else if (!merged.ended && track_has_news(track, &merged)) {
        if (!send_alert(mapper, track, FRIGATE_UPDATE, &merged, now))
            return false;
    }
    track->last = merged;
    mapper->tracks->dirty = true;
    if (merged.ended && !send_alert(mapper, track, FRIGATE_END, &merged, now))
        return false;
    want_image(mapper, track, FRIGATE_IMAGE);
    if (merged.ended && track->queued & TRACK_LIVE)
        want_image(mapper, track, FRIGATE_IMAGE_END);
    return true;
}

bool event_mapper_map_vanished(struct event_mapper *mapper, struct track *track, struct event_time now)
{
    struct frigate_event event = track->last;
    event.ended = true;
    event.has_snapshot = TRI_NO;
    return event_mapper_map(mapper, &event, now);
}

void event_mapper_image_text(const struct event_mapper *mapper, const struct track *track, enum frigate_alert alert,
                             struct event_time now, struct frigate_alert_text *ret)
{
    const struct frigate_event *last = &track->last;
    frigate_alert_write(mapper->conf, alert, last, resolution_of(mapper, last->camera), now.wall_us, ret);
}

void event_mapper_want_images(struct event_mapper *mapper, struct track *track)
{
    if (track->done & TRACK_NEW)
        want_image(mapper, track, FRIGATE_IMAGE);
    if (track->done & TRACK_END && track->done & TRACK_LIVE)
        want_image(mapper, track, FRIGATE_IMAGE_END);
}
