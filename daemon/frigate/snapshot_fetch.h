/*
 * Fetches the wanted images from Frigate, two at a time, asking again while there is none yet, and passes them on.
 * The last that was wanted is first: an event that is in progress does not wait for older ones. One that could not be
 * fetched is asked for again after the others.
 */
#ifndef MOBEYE_FRIGATE_SNAPSHOT_FETCH_H
#define MOBEYE_FRIGATE_SNAPSHOT_FETCH_H

#include "base/loop.h"
#include "frigate/frigate_alert.h"
#include "frigate/frigate_metrics.h"
#include "frigate/rest_client.h"
#include "frigate/tracks.h"

struct snapshot_fetch;

struct snapshot_calls {
    bool (*has_room)(void *ctx); /* for another image */
    bool (*answers)(void *ctx);  /* whether Frigate returns its lists of events */
    /* Takes over the image. false: there is no room after all; it is fetched again. */
    bool (*on_image)(void *ctx, struct track *track, enum frigate_alert alert, struct buf *image);
    void (*on_none)(void *ctx, struct track *track, enum frigate_alert alert); /* given up */
    void *ctx;
};

/* conf, rest and metrics must outlive it. */
struct snapshot_fetch *snapshot_fetch_new(struct loop *loop, const struct conf_frigate *conf, struct rest_client *rest,
                                          struct frigate_metrics *metrics, const struct snapshot_calls *calls);
void snapshot_fetch_free(struct snapshot_fetch **fetch); /* before the client; safe on NULL */

/* Requests an image of the track, which counts as used until on_image() or on_none(). */
void snapshot_fetch_add(struct snapshot_fetch *fetch, struct track *track, enum frigate_alert alert);

/* The table of tracks is full: gives up the wanted images of an event of which all alerts are accepted, the oldest.
 * false: there is none. */
bool snapshot_fetch_make_room(struct snapshot_fetch *fetch);

/* There is room again. */
void snapshot_fetch_wake(struct snapshot_fetch *fetch);

#endif
