/*
 * The events that are, or recently were, in progress: what has been sent for each, and what of that has been accepted.
 *
 * Sending an alert twice is harmless (identity), so correctness does not depend on this. It decides whether a change is
 * worth an update, and avoids repeated work.
 */
#ifndef MOBEYE_FRIGATE_TRACKS_H
#define MOBEYE_FRIGATE_TRACKS_H

#include <stdint.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "frigate/frigate_event.h"

#define TRACKS_MAX 8192

/* Rejected events that are remembered, to be sent again, and for how long after they began. */
#define TRACKS_REJECTED_MAX   1000
#define TRACKS_REJECTED_AGE_S (14 * 86400.0)

/* How long nothing was received about an event that Frigate does not know, before it counts as ended. */
#define TRACK_VANISHED_US (5 * CLOCK_MINUTE)

/* A rise of top_score that is worth an update. */
#define TRACK_SCORE_STEP 0.1

/* What was last reported to the daemon about an event. */
struct track_report {
    unsigned n_zones;
    double top_score; /* NAN: none */
    enum frigate_tri stationary;
};

enum track_bit {
    TRACK_NEW = 1u << 0,
    TRACK_END = 1u << 1,
    TRACK_IMAGE = 1u << 2, /* sent, or given up */
    TRACK_IMAGE_END = 1u << 3,
    TRACK_LIVE = 1u << 4,     /* was seen before its end: gets another image at the end */
    TRACK_REJECTED = 1u << 5, /* only in done: mobeyed has rejected an alert of the event and accepted none since */
    TRACK_BITS = (1u << 6) - 1
};

struct track {
    TAILQ_ENTRY(track) entry; /* in the order in which they were first seen */
    uint64_t hash;
    struct frigate_event last; /* what Frigate last said */
    struct track_report sent, accepted;
    unsigned queued;    /* bits: have been handed to the outbox, or need not be */
    unsigned done;      /* bits: have been accepted, or need not be sent */
    bool given_up;      /* rejected too often or for too long: nothing more is sent; not saved */
    bool listed;        /* HTTP has returned it since the start: Frigate has stored it; not saved */
    bool held;          /* rejected: nothing of it is sent before tracks_release() */
    unsigned in_flight; /* alerts, except images, that are sent and have no reply */
    unsigned users;     /* messages and image requests that refer to it */
    int64_t seen_us;    /* monotonic: when Frigate last said something about it */
    int64_t asked_us;   /* monotonic: when it was last asked for by its ID; 0: never */
};

TAILQ_HEAD(track_list, track);

struct tracks {
    struct track_list list;
    struct hash by_id;
    uint64_t seed; /* of the hashes: who creates events cannot choose ids that collide */
    size_t n;
    double cursor_s; /* every event that began before this and that Frigate knows is accepted; NAN: not known yet */
    bool images;     /* whether images are sent at all */
    bool dirty;      /* differs from what was last written */
};

void tracks_init(struct tracks *tracks, bool images);
void tracks_clear(struct tracks *tracks);

struct track *tracks_find(const struct tracks *tracks, const char *id);

/* Adds the track of an event that does not have one yet. If the table is full, forgets the oldest that is done. NULL:
 * none is done. */
struct track *tracks_add(struct tracks *tracks, const struct frigate_event *event, int64_t mono_us);
void tracks_remove(struct tracks *tracks, struct track *track); /* has no users */

/* Whether all of it has been accepted and nothing more will come. */
bool track_is_done(const struct tracks *tracks, const struct track *track);

/* mobeyed has accepted an alert of the track with this bit, or none, or has rejected it. A rejected track is held. If
 * more than TRACKS_REJECTED_MAX are rejected, the oldest counts as done: returns how many were thus given up. */
void tracks_accept(struct tracks *tracks, struct track *track, unsigned bit);
unsigned tracks_reject(struct tracks *tracks, struct track *track, unsigned bit);

/* Nothing more is sent for the track. */
void tracks_give_up(struct tracks *tracks, struct track *track);

/* Counts rejected tracks that began before the given time as done. Returns how many. */
unsigned tracks_expire(struct tracks *tracks, double before_s);

/* Releases rejected tracks, which may then be sent again. Returns how many were held. */
size_t tracks_release(struct tracks *tracks);
size_t tracks_rejected(const struct tracks *tracks); /* how many are rejected, held or not */

/* Forgets what is done and began before the given time. */
void tracks_prune(struct tracks *tracks, double before_s);

/* Frigate says that it does not know the event: whether it has ended. It stores an event only when it keeps a clip or a
 * snapshot of it, for instance once the object is in a required zone; until then its only sign is a message every
 * minute by MQTT. mqtt_us, monotonic: since when MQTT brings those; 0: it does not at present; INT64_MIN: it is not
 * used. */
bool track_is_vanished(const struct track *track, int64_t mqtt_us, int64_t mono_us);

/* Whether the event differs from what was reported to the daemon in a way that is worth an update. */
bool track_has_news(const struct track *track, const struct frigate_event *event);
struct track_report track_report_of(const struct frigate_event *event);

/* Appends the cursor and the tracks as lines of text, and reads them back; what cannot be read is skipped, and its
 * number returned: the events are then sent again. offline: Frigate was reported to mobeyed as offline. */
struct tracks_extra {
    bool offline;
    bool offline_by_mqtt;
};
void tracks_write(const struct tracks *tracks, const struct tracks_extra *extra, struct buf *out);
unsigned tracks_read(struct tracks *tracks, struct tracks_extra *ret_extra, struct str text, int64_t mono_us);

#endif
