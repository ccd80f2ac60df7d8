/*
 * Decides which alerts to send and which images to fetch for an event that Frigate reports. The same event may come by
 * MQTT and by HTTP, any number of times and in any order.
 */
#ifndef MOBEYE_FRIGATE_EVENT_MAPPER_H
#define MOBEYE_FRIGATE_EVENT_MAPPER_H

#include "frigate/frigate_alert.h"
#include "frigate/frigate_config.h"
#include "frigate/tracks.h"

/* The destination of alerts. */
struct event_sink {
    /* Takes over the text and returns true, or leaves it and returns false: there is no room at present. */
    bool (*send)(void *ctx, struct track *track, enum frigate_alert alert, struct frigate_alert_text *text);
    /* An image is wanted for the alert, FRIGATE_IMAGE or FRIGATE_IMAGE_END. */
    void (*want_image)(void *ctx, struct track *track, enum frigate_alert alert);
    /* The table of tracks is full: gives up images, so that a track may be done. false: there are none. */
    bool (*make_room)(void *ctx);
    void *ctx;
};

struct event_mapper {
    const struct conf_frigate *conf;
    struct tracks *tracks;
    struct event_sink sink;
    const struct frigate_config *frigate; /* for the resolutions of cameras; NULL: not known */
};

/* The time of this turn. */
struct event_time {
    int64_t wall_us, mono_us;
};

/* false: part of the event could not be sent, because the outbox is full; report it again. Nothing is sent for a held
 * track. */
bool event_mapper_map(struct event_mapper *mapper, const struct frigate_event *event, struct event_time now);

/* Ends an event that Frigate no longer knows, as of its last report. false: as above. */
bool event_mapper_map_vanished(struct event_mapper *mapper, struct track *track, struct event_time now);

/* The alert that carries an image of the track. */
void event_mapper_image_text(const struct event_mapper *mapper, const struct track *track, enum frigate_alert alert,
                             struct event_time now, struct frigate_alert_text *ret);

/* Asks the sink for the images that a track still lacks, after a restart or when it is no longer held. */
void event_mapper_want_images(struct event_mapper *mapper, struct track *track);

/* The bit of a track for an alert; 0 for FRIGATE_UPDATE. */
unsigned event_mapper_bit(enum frigate_alert alert);

#endif
