/*
 * A Frigate event as an alert: CloudEvents JSON and its ID. Pure functions of their arguments.
 */
#ifndef MOBEYE_FRIGATE_FRIGATE_ALERT_H
#define MOBEYE_FRIGATE_FRIGATE_ALERT_H

#include "base/buf.h"
#include "conf/conf_frigate.h"
#include "frigate/frigate_event.h"
#include "model/alert.h"

enum frigate_alert {
    FRIGATE_NEW,       /* EVENT:new, a raise */
    FRIGATE_UPDATE,    /* EVENT:update:FRAME_TIME */
    FRIGATE_END,       /* EVENT:end, a restore */
    FRIGATE_IMAGE,     /* EVENT:image, an update that carries an image */
    FRIGATE_IMAGE_END, /* EVENT:image:end, the same after the end */
    FRIGATE_ALERTS
};

/* The resolution in pixels to which the boxes of a camera refer; 0: unknown. */
struct frigate_resolution {
    double width, height;
};

struct frigate_alert_text {
    char id[ALERT_ID_MAX + 1];
    struct buf payload; /* free it */
};

/* now_us: the wall time, used if Frigate gave no time; an update without a frame time gets it as FRAME_TIME. */
void frigate_alert_write(const struct conf_frigate *conf, enum frigate_alert alert, const struct frigate_event *event,
                         struct frigate_resolution resolution, int64_t now_us, struct frigate_alert_text *ret);

/* The alert that Frigate is offline (a raise of kind comms) or online again (its restore), of device NAME. */
void frigate_comms_write(const struct conf_frigate *conf, bool offline, int64_t at_us, struct frigate_alert_text *ret);

/* The device of a camera: as configured, or NAME/CAMERA with _ in place of characters that a device ID cannot have. */
struct frigate_device {
    char text[ALERT_DEVICE_MAX + 1];
};
struct frigate_device frigate_device(const struct conf_frigate *conf, const char *camera);

/* Whether alerts are sent for events of this camera with this label. */
bool frigate_wanted(const struct conf_frigate *conf, const struct frigate_event *event);

#endif
