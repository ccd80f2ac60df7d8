/*
 * Decides what an event that Frigate reports is to mobeyed: which alerts to send and which images to fetch. The same
 * event may come by both ways, any number of times and in any order.
 */
#ifndef MOBEYE_FRIGATE_EVENT_INTAKE_H
#define MOBEYE_FRIGATE_EVENT_INTAKE_H

#include "frigate/frigate_alert.h"
#include "frigate/tracks.h"

#define INTAKE_CAMERAS_MAX 256

/* Where alerts go. */
struct intake_sink {
    /* Takes the text over and returns true, or leaves it and returns false: there is no room now. */
    bool (*send)(void *ctx, struct track *track, enum frigate_alert alert, struct frigate_alert_text *text);
    /* An image is wanted for the alert, FRIGATE_IMAGE or FRIGATE_IMAGE_END. */
    void (*want_image)(void *ctx, struct track *track, enum frigate_alert alert);
    void *ctx;
};

struct intake_camera {
    char name[65];
    struct frigate_resolution resolution;
};

struct event_intake {
    const struct conf_frigate *conf;
    struct tracks *tracks;
    struct intake_sink sink;
    struct intake_camera cameras[INTAKE_CAMERAS_MAX]; /* whose resolution is known */
    size_t n_cameras;
};

/* The time of this turn. */
struct intake_time {
    int64_t wall_us, mono_us;
};

/* false: part of the event could not be sent, because the outbox is full; report it again. Nothing is sent of a held
 * track. */
bool intake_event(struct event_intake *intake, const struct frigate_event *event, struct intake_time now);

/* Ends an event of which Frigate knows nothing any more, at the time of what it said last. false: as above. */
bool intake_vanished(struct event_intake *intake, struct track *track, struct intake_time now);

/* Remembers the resolution of a camera, of at most INTAKE_CAMERAS_MAX. */
void intake_resolution(struct event_intake *intake, const char *camera, struct frigate_resolution resolution);

/* The alert that carries an image of the track. */
void intake_image_text(const struct event_intake *intake, const struct track *track, enum frigate_alert alert,
                       struct intake_time now, struct frigate_alert_text *ret);

/* Asks the sink for the images that a track still lacks, after a restart or when it is no longer held. */
void intake_resume(struct event_intake *intake, struct track *track);

/* The bit of a track for an alert; 0 for FRIGATE_UPDATE. */
unsigned intake_bit(enum frigate_alert alert);

#endif
