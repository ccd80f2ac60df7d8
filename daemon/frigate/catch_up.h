/*
 * Lists over HTTP what Frigate knows, in cycles: at start, when asked to, and every minute. A cycle asks for the events
 * in progress, for open ones that are not among them, and for those that began later than an hour before the cursor;
 * the cursor moves on when mobeyed has replied to all of them.
 */
#ifndef MOBEYE_FRIGATE_CATCH_UP_H
#define MOBEYE_FRIGATE_CATCH_UP_H

#include "base/loop.h"
#include "frigate/event_mapper.h"
#include "frigate/frigate_metrics.h"
#include "frigate/outbox.h"
#include "frigate/rest_client.h"

#define CATCH_UP_SLICE_S 3600.0 /* how far before the cursor, and how much at a time */

struct catch_up;

struct catch_up_calls {
    /* After each listing: whether Frigate responded. */
    void (*on_http)(void *ctx, bool answers, const char *why);
    void (*on_cursor)(void *ctx); /* the cursor has moved */
    /* Monotonic: since when MQTT brings what Frigate says; 0: it does not at present; INT64_MIN: it is not used. */
    int64_t (*mqtt_since)(void *ctx);
    /* Frigate's configuration was read: at start, every hour, and when Frigate has been away. Valid until the next. */
    void (*on_config)(void *ctx, const struct frigate_config *config);
    void *ctx;
};

struct catch_up_parts {
    struct loop *loop;
    const struct conf_frigate *conf;
    struct rest_client *rest;
    struct event_mapper *mapper;
    struct outbox *outbox;
    struct frigate_reader *reader;
    struct frigate_metrics *metrics;
};

/* Begins with a cycle. The parts must outlive it. */
struct catch_up *catch_up_new(const struct catch_up_parts *parts, const struct catch_up_calls *calls);
void catch_up_free(struct catch_up **catch_up); /* safe on NULL; before the rest client */

/* Runs a cycle, now or after the one in progress: something may have been lost. */
void catch_up_start(struct catch_up *catch_up);

/* The same when Frigate was restarted, perhaps with another configuration. */
void catch_up_restarted(struct catch_up *catch_up);

/* mobeyed has replied to something. */
void catch_up_answered(struct catch_up *catch_up);

/* MQTT has delivered an event with this frame time, which shows Frigate's clock. After ten minutes without one, the
 * Date of a response is used. */
void catch_up_frame_time(struct catch_up *catch_up, double frame_s);

#endif
