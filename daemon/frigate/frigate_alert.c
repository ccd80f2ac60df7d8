#include "frigate/frigate_alert.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/json_write.h"

struct frigate_device frigate_device(const struct conf_frigate *conf, const char *camera)
{
    struct frigate_device device;
    const struct conf_frigate_camera *known = conf_frigate_camera(conf, str_from(camera));
    if (known && known->device) {
        snprintf(device.text, sizeof(device.text), "%s", known->device);
        return device;
    }
    snprintf(device.text, sizeof(device.text), "%s/%s", conf->name, *camera ? camera : "unknown");
    for (char *p = device.text; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("._:/-", *p))
            *p = '_';
    return device;
}

bool frigate_wanted(const struct conf_frigate *conf, const struct frigate_event *event)
{
    const struct conf_frigate_camera *camera = conf_frigate_camera(conf, str_from(event->camera));
    if (camera && camera->ignore == 1)
        return false;
    for (size_t i = 0; i < conf->n_labels; i++)
        if (str_is(str_from(event->label), conf->labels[i]))
            return true;
    return conf->n_labels == 0;
}

/* false: the event has no usable box, or the resolution that it refers to is not known. */
static bool relative_box(const struct frigate_event *event, struct frigate_resolution resolution, double ret[4])
{
    const double *box = event->box;
    if (event->n_box != 4)
        return false;
    if (event->box_relative) {
        memcpy(ret, box, 4 * sizeof(*ret));
    } else {
        if (resolution.width <= 0 || resolution.height <= 0)
            return false;
        ret[0] = box[0] / resolution.width;
        ret[1] = box[1] / resolution.height;
        ret[2] = (box[2] - box[0]) / resolution.width;
        ret[3] = (box[3] - box[1]) / resolution.height;
    }
    for (int i = 0; i < 4; i++)
        if (!(ret[i] >= 0 && ret[i] <= 1))
            return false;
    return true;
}

static void write_camera(const struct conf_frigate *conf, const struct frigate_event *event,
                         struct frigate_resolution resolution, struct buf *out)
{
    double box[4];
    json_write_name(out, "camera");
    buf_append_str(out, STR("{"));
    if (*event->label)
        json_write_text(out, "label", str_from(event->label));
    if (!isnan(event->top_score))
        json_write_number(out, "score", event->top_score);
    if (relative_box(event, resolution, box)) {
        json_write_name(out, "box");
        buf_printf(out, "[%.6g, %.6g, %.6g, %.6g]", box[0], box[1], box[2], box[3]);
    }
    json_write_text(out, "track", str_from(event->id));
    if (*event->zone)
        json_write_text(out, "camera_zone", str_from(event->zone));
    if (conf->keep & FRIGATE_KEEP_SUB_LABEL && *event->sub_label)
        json_write_text(out, "sub_label", str_from(event->sub_label));
    if (conf->keep & FRIGATE_KEEP_PLATE && *event->plate)
        json_write_text(out, "plate", str_from(event->plate));
    buf_append_str(out, STR("}"));
}

/* Writes everything up to the members of data, which is left open. */
static void begin_alert(const struct conf_frigate *conf, const char *id, int64_t at_us, struct buf *out)
{
    char source[64], time[CLOCK_RFC3339_SIZE];
    snprintf(source, sizeof(source), "/frigate/%s", conf->name);
    buf_append_str(out, STR("{"));
    json_write_text(out, "specversion", STR("1.0"));
    json_write_text(out, "id", str_from(id));
    json_write_text(out, "source", str_from(source));
    json_write_text(out, "type", STR("mobeye.alert.v1"));
    json_write_text(out, "time", str_from(clock_format_rfc3339(at_us, 6, time)));
    json_write_name(out, "data");
    buf_append_str(out, STR("{"));
}

static int64_t us_of(double s, int64_t otherwise_us)
{
    return isnan(s) ? otherwise_us : llround(s * 1e6);
}

static int64_t time_of_alert(enum frigate_alert alert, const struct frigate_event *event, int64_t now_us)
{
    int64_t frame_us = us_of(event->frame_s, now_us);
    switch (alert) {
    case FRIGATE_UPDATE:
        return frame_us;
    case FRIGATE_END:
        return us_of(event->end_s, frame_us);
    default:
        return us_of(event->start_s, frame_us);
    }
}

static void write_id(enum frigate_alert alert, const struct frigate_event *event, int64_t now_us, char *ret,
                     size_t size)
{
    char frame[FRIGATE_FRAME_SIZE];
    static const char *const endings[FRIGATE_ALERTS] = {"new", "update:", "end", "image", "image:end"};
    snprintf(frame, sizeof(frame), "%s", event->frame_time);
    if (!*frame)
        snprintf(frame, sizeof(frame), "%" PRId64 ".%06d", now_us / CLOCK_SECOND, (int)(now_us % CLOCK_SECOND));
    snprintf(ret, size, "%s:%s%s", event->id, endings[alert], alert == FRIGATE_UPDATE ? frame : "");
}

void frigate_alert_write(const struct conf_frigate *conf, enum frigate_alert alert, const struct frigate_event *event,
                         struct frigate_resolution resolution, int64_t now_us, struct frigate_alert_text *ret)
{
    static const enum alert_phase phases[FRIGATE_ALERTS] = {PHASE_RAISE, PHASE_UPDATE, PHASE_RESTORE, PHASE_UPDATE,
                                                            PHASE_UPDATE};
    struct buf *out = &ret->payload;
    *out = (struct buf){0};
    write_id(alert, event, now_us, ret->id, sizeof(ret->id));
    begin_alert(conf, ret->id, time_of_alert(alert, event, now_us), out);
    json_write_text(out, "device", str_from(frigate_device(conf, event->camera).text));
    json_write_text(out, "kind", STR("camera"));
    json_write_text(out, "phase", str_from(alert_phase_word(phases[alert])));
    write_camera(conf, event, resolution, out);
    buf_append_str(out, STR("}}"));
}

void frigate_comms_write(const struct conf_frigate *conf, bool offline, int64_t at_us, struct frigate_alert_text *ret)
{
    struct buf *out = &ret->payload;
    *out = (struct buf){0};
    snprintf(ret->id, sizeof(ret->id), "%s:%" PRId64 ".%06d", offline ? "offline" : "online", at_us / CLOCK_SECOND,
             (int)(at_us % CLOCK_SECOND));
    begin_alert(conf, ret->id, at_us, out);
    json_write_text(out, "device", str_from(conf->name));
    json_write_text(out, "kind", STR("comms"));
    json_write_text(out, "phase", str_from(alert_phase_word(offline ? PHASE_RAISE : PHASE_RESTORE)));
    json_write_text(out, "text", str_from(offline ? "Frigate is offline" : "Frigate is online"));
    buf_append_str(out, STR("}}"));
}
