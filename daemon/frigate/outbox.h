/*
 * The alerts that are being sent to mobeyed and have no reply yet.
 *
 * Alerts of one event are sent one after the other, each when the previous one has its reply, so that neither RETRY nor
 * a lost connection can put a restore before its raise; so are those about Frigate itself. Images wait only for the
 * raise, and nothing waits for an image.
 */
#ifndef MOBEYE_FRIGATE_OUTBOX_H
#define MOBEYE_FRIGATE_OUTBOX_H

#include "base/err.h"
#include "base/loop.h"
#include "frigate/frigate_alert.h"
#include "frigate/frigate_metrics.h"
#include "frigate/tracks.h"

/* Beyond these bounds events wait in Frigate. */
#define OUTBOX_ALERTS_MAX 5000
#define OUTBOX_IMAGES_MAX 8

struct outbox;

struct outbox_calls {
    void (*on_answered)(void *ctx); /* at least one alert was accepted or rejected */
    /* An alert of a track; bit: as of event_mapper_bit(). After a rejection what else waits of the track is dropped,
     * each with a call of its own. */
    void (*on_accepted)(void *ctx, struct track *track, unsigned bit);
    void (*on_rejected)(void *ctx, struct track *track, unsigned bit, struct str why);
    /* The alert of outbox_add_comms(). */
    void (*on_comms_accepted)(void *ctx, bool offline);
    void (*on_comms_rejected)(void *ctx, struct str why);
    void (*on_failed)(void *ctx, const struct err *err); /* cannot go on */
    void *ctx;
};

/* NULL with err set: a key cannot be read, or an address is not valid. conf and metrics must outlive it. */
struct outbox *outbox_new(struct loop *loop, const struct conf_frigate *conf, struct frigate_metrics *metrics,
                          const struct outbox_calls *calls, struct err *err);
void outbox_free(struct outbox **outbox); /* safe on NULL; tracks are no longer used */

/* Adds the alert of a track, which reports track->sent, and takes over its payload; false: there is no room. */
bool outbox_add(struct outbox *outbox, struct track *track, enum frigate_alert alert, struct frigate_alert_text *text);

/* The same for an alert with an image, which is taken over too. */
bool outbox_add_image(struct outbox *outbox, struct track *track, enum frigate_alert alert,
                      struct frigate_alert_text *text, struct buf *image);
bool outbox_has_image_room(const struct outbox *outbox);

/* The same for the alert that Frigate is offline, or online again. */
bool outbox_add_comms(struct outbox *outbox, bool offline, struct frigate_alert_text *text);

/* Alerts are numbered 1, 2, ... as they are added. */
uint64_t outbox_last_number(const struct outbox *outbox);

/* Whether every alert up to this number has its reply, apart from images. */
bool outbox_is_answered(const struct outbox *outbox, uint64_t number);
bool outbox_has_room(const struct outbox *outbox);

/* To be called once a second: logs whether mobeyed replies, and moves on to the next address while it does not. */
void outbox_tick(struct outbox *outbox);

/* Sets the gauges. */
void outbox_gauges(const struct outbox *outbox);

#endif
