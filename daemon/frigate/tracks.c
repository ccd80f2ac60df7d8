#include "frigate/tracks.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "base/mem.h"

void tracks_init(struct tracks *tracks, bool images)
{
    *tracks = (struct tracks){.cursor_s = NAN, .images = images};
    TAILQ_INIT(&tracks->list);
    arc4random_buf(&tracks->seed, sizeof(tracks->seed));
}

static uint64_t hash_of(const struct tracks *tracks, const char *id)
{
    return XXH3_64bits_withSeed(id, strlen(id), tracks->seed);
}

static bool has_id(const void *item, const void *key)
{
    return strcmp(((const struct track *)item)->last.id, key) == 0;
}

struct track *tracks_find(const struct tracks *tracks, const char *id)
{
    return hash_find(&tracks->by_id, hash_of(tracks, id), has_id, id);
}

void tracks_remove(struct tracks *tracks, struct track *track)
{
    TAILQ_REMOVE(&tracks->list, track, entry);
    hash_remove(&tracks->by_id, track->hash, track);
    tracks->n--;
    tracks->dirty = true;
    free(track);
}

void tracks_clear(struct tracks *tracks)
{
    struct track *track;
    while ((track = TAILQ_FIRST(&tracks->list)))
        tracks_remove(tracks, track);
    hash_free(&tracks->by_id);
}

bool track_is_done(const struct tracks *tracks, const struct track *track)
{
    unsigned need = TRACK_NEW | TRACK_END;
    if (tracks->images)
        need |= TRACK_IMAGE | (track->done & TRACK_LIVE ? TRACK_IMAGE_END : 0);
    return track->users == 0 && (track->done & need) == need;
}

static void forget_oldest(struct tracks *tracks)
{
    struct track *track;
    TAILQ_FOREACH(track, &tracks->list, entry)
    if (track_is_done(tracks, track)) {
        tracks_remove(tracks, track);
        return;
    }
}

struct track *tracks_add(struct tracks *tracks, const struct frigate_event *event, int64_t mono_us)
{
    if (tracks->n >= TRACKS_MAX)
        forget_oldest(tracks);
    if (tracks->n >= TRACKS_MAX)
        return NULL;
    struct track *track = mem_zalloc(sizeof(*track));
    track->last = *event;
    track->hash = hash_of(tracks, event->id);
    track->seen_us = mono_us;
    track->sent.top_score = track->accepted.top_score = NAN;
    track->done = track->queued = event->ended ? 0 : TRACK_LIVE;
    TAILQ_INSERT_TAIL(&tracks->list, track, entry);
    hash_add(&tracks->by_id, track->hash, track);
    tracks->n++;
    return track;
}

/* ---- rejected ones ---- */

void tracks_accept(struct tracks *tracks, struct track *track, unsigned bit)
{
    track->done |= bit;
    if (!track->held)
        track->done &= ~(unsigned)TRACK_REJECTED;
    tracks->dirty = true;
}

void tracks_give_up(struct tracks *tracks, struct track *track)
{
    tracks->dirty = true;
    track->done = track->queued = TRACK_NEW | TRACK_END | TRACK_IMAGE | TRACK_IMAGE_END;
    track->held = false;
    track->given_up = true;
}

/* Gives up as many rejected tracks as are over the limit, the oldest first. */
static unsigned give_up_oldest(struct tracks *tracks)
{
    unsigned given_up = 0;
    size_t n = tracks_rejected(tracks);
    struct track *track;
    TAILQ_FOREACH(track, &tracks->list, entry)
    if (n > TRACKS_REJECTED_MAX && track->done & TRACK_REJECTED) {
        tracks_give_up(tracks, track);
        given_up++;
        n--;
    }
    return given_up;
}

unsigned tracks_reject(struct tracks *tracks, struct track *track, unsigned bit)
{
    if (track->given_up)
        return 0;
    track->queued &= ~bit;
    track->sent = track->accepted;
    track->done |= TRACK_REJECTED;
    track->held = true;
    tracks->dirty = true;
    return give_up_oldest(tracks);
}

unsigned tracks_expire(struct tracks *tracks, double before_s)
{
    struct track *track;
    unsigned n = 0;
    TAILQ_FOREACH(track, &tracks->list, entry)
    {
        if (!(track->done & TRACK_REJECTED) || track->last.start_s >= before_s)
            continue;
        tracks_give_up(tracks, track);
        n++;
    }
    return n;
}

size_t tracks_release(struct tracks *tracks)
{
    struct track *track;
    size_t n = 0;
    TAILQ_FOREACH(track, &tracks->list, entry)
    {
        n += track->held;
        track->held = false;
    }
    return n;
}

size_t tracks_rejected(const struct tracks *tracks)
{
    const struct track *track;
    size_t n = 0;
    TAILQ_FOREACH(track, &tracks->list, entry)
    n += (track->done & TRACK_REJECTED) != 0;
    return n;
}

void tracks_prune(struct tracks *tracks, double before_s)
{
    struct track *track = TAILQ_FIRST(&tracks->list), *next;
    for (; track; track = next) {
        next = TAILQ_NEXT(track, entry);
        if (!(track->last.start_s >= before_s) && track_is_done(tracks, track))
            tracks_remove(tracks, track);
    }
}

bool track_is_vanished(const struct track *track, int64_t mqtt_us, int64_t mono_us)
{
    int64_t since_us = track->seen_us;
    if (!track->listed && mqtt_us == 0)
        return false;
    if (!track->listed && mqtt_us > since_us)
        since_us = mqtt_us;
    return mono_us - since_us >= TRACK_VANISHED_US;
}

/* Decimal fractions are not exact: 0.85 - 0.75 is less than 0.1. */
bool track_has_news(const struct track *track, const struct frigate_event *event)
{
    const struct track_report *sent = &track->sent;
    if (event->n_zones > sent->n_zones)
        return true;
    if (event->stationary != TRI_UNKNOWN && sent->stationary != TRI_UNKNOWN && event->stationary != sent->stationary)
        return true;
    double before = isnan(sent->top_score) ? 0 : sent->top_score;
    return !isnan(event->top_score) && event->top_score - before >= TRACK_SCORE_STEP - 1e-9;
}

struct track_report track_report_of(const struct frigate_event *event)
{
    return (struct track_report){event->n_zones, event->top_score, event->stationary};
}
