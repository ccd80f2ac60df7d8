/*
 * Follows Frigate's topics on an MQTT broker: libmosquitto on the event loop. What it delivers is only a hint, and
 * nothing is lost permanently if it fails: it reconnects by itself, and logs that.
 */
#ifndef MOBEYE_FRIGATE_MQTT_CLIENT_H
#define MOBEYE_FRIGATE_MQTT_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/loop.h"
#include "conf/conf_frigate.h"
#include "frigate/frigate_metrics.h"

struct mqtt_client;

struct mqtt_calls {
    void (*on_connected)(void *ctx);              /* and subscribed: messages may have been lost before */
    void (*on_event)(void *ctx, struct str text); /* of PREFIX/events; valid during the call */
    void (*on_available)(void *ctx, bool online); /* of PREFIX/available */
    void *ctx;
};

/* Begins to connect. conf and metrics must outlive the client. NULL with err set. */
struct mqtt_client *mqtt_client_new(struct loop *loop, const struct conf_frigate *conf, struct frigate_metrics *metrics,
                                    const struct mqtt_calls *calls, struct err *err);
/* Monotonic: since when it has been subscribed; 0: it is not. */
int64_t mqtt_client_since_us(const struct mqtt_client *client);

void mqtt_client_free(struct mqtt_client **client); /* safe on NULL; not from a callback */

#endif
