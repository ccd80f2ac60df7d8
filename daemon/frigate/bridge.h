/*
 * Joins the parts of mobeye-frigate: events of Frigate, by MQTT and HTTP, become alerts and images for mobeyed, and
 * the replies of mobeyed are remembered in the state file.
 */
#ifndef MOBEYE_FRIGATE_BRIDGE_H
#define MOBEYE_FRIGATE_BRIDGE_H

#include "base/err.h"
#include "base/loop.h"
#include "conf/conf_frigate.h"
#include "frigate/frigate_metrics.h"

struct bridge;

/* Reads the state and begins. conf and metrics must outlive it. NULL with err set. */
struct bridge *bridge_new(struct loop *loop, const struct conf_frigate *conf, struct frigate_metrics *metrics,
                          struct err *err);

/* Writes the state. Safe on NULL. */
void bridge_free(struct bridge **bridge);

/* Whether it has stopped the loop because it cannot continue; the reason has been logged. */
bool bridge_failed(const struct bridge *bridge);

/* Sets the gauges. */
void bridge_gauges(const struct bridge *bridge);

/* Its status for the service manager: "42 alerts wait; Frigate online". */
void bridge_status(const struct bridge *bridge, struct buf *out);

#endif
