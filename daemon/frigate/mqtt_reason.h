/*
 * Why a connection to the broker was lost, and what to check, as one line for the log. Pure.
 */
#ifndef MOBEYE_FRIGATE_MQTT_REASON_H
#define MOBEYE_FRIGATE_MQTT_REASON_H

#include <stdbool.h>

#include "base/err.h"
#include "conf/conf_frigate.h"

struct mqtt_loss {
    int rc;              /* of libmosquitto */
    int error;           /* errno of the socket; 0: it has none */
    const char *tls;     /* what OpenSSL reported last; "": nothing */
    bool subscribed;     /* the broker had accepted the client and its subscription */
    unsigned short_ones; /* successive connections that the broker accepted and closed within a minute */
};

/* From this many on, another client probably has the same client ID. */
#define MQTT_SHORT_ONES 3

void mqtt_reason(const struct conf_frigate *conf, const struct mqtt_loss *loss, struct err *ret);

/* The same for the return code of CONNACK, which is not 0. */
void mqtt_refusal(int rc, struct err *ret);

/* The client ID of a bridge: "mobeye-frigate-noord". */
struct mqtt_client_id {
    char text[64];
};
struct mqtt_client_id mqtt_client_id(const struct conf_frigate *conf);

#endif
