#include "frigate/bridge.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <event2/event_struct.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "frigate/availability.h"
#include "frigate/catch_up.h"
#include "frigate/event_mapper.h"
#include "frigate/mqtt_client.h"
#include "frigate/outbox.h"
#include "frigate/snapshot_fetch.h"
#include "frigate/state_file.h"

#define TICK_US           CLOCK_SECOND
#define REJECTED_AGAIN_US CLOCK_HOUR

struct bridge {
    struct loop *loop;
    const struct conf_frigate *conf;
    struct frigate_metrics *metrics;
    struct state_file file;
    struct tracks tracks;
    struct availability availability;
    struct frigate_reader *reader;
    struct event_mapper mapper;
    struct outbox *outbox;
    struct rest_client *rest;
    struct snapshot_fetch *snapshots;
    struct catch_up *catch_up;
    struct mqtt_client *mqtt;
    struct event tick;
    bool failed;
    bool save_now;         /* an alert was accepted that, after a kill, would get another ID: it has a time */
    bool said_offline;     /* the last word of Frigate by MQTT */
    bool config_asked;     /* whether mqtt_off is known, as far as it can be */
    bool mqtt_off;         /* by its configuration it publishes to no broker: that word is of an earlier time */
    char http_why[512];    /* why the last HTTP request failed */
    bool accepted_offline; /* what mobeyed last accepted of availability.offline */
    bool comms_rejected;   /* and it has rejected the last report of that */
    int64_t released_us;   /* monotonic: when rejected events were last sent again, or the start */
    struct rate_limiter write_failures, malformed, rejects, given_up, mismatches;
};

static struct event_time now(const struct bridge *bridge)
{
    return (struct event_time){loop_wall_us(bridge->loop), loop_mono_us(bridge->loop)};
}

/* ---- the state ---- */

static void write_state(struct bridge *bridge)
{
    struct err err;
    struct buf text = {0};
    const struct tracks_extra extra = {bridge->accepted_offline, bridge->said_offline};
    tracks_write(&bridge->tracks, &extra, &text);
    if (state_file_write(&bridge->file, buf_str(&text), &err) == 0) {
        bridge->tracks.dirty = false;
        log_recover(&bridge->write_failures, "state", "can be written again");
    } else {
        bridge->metrics->state_failures_total++;
        log_limited(&bridge->write_failures, loop_mono_us(bridge->loop), LOG_LEVEL_ERROR, "state", "%s", err.text);
    }
    buf_free(&text);
}

static int read_state(struct bridge *bridge, struct err *err)
{
    struct buf text = {0};
    struct tracks_extra extra;
    if (state_file_read(&bridge->file, &text, err) != 0) {
        buf_free(&text);
        return -1;
    }
    unsigned skipped = tracks_read(&bridge->tracks, &extra, buf_str(&text), loop_mono_us(bridge->loop) - 1);
    buf_free(&text);
    if (skipped > 0)
        log_warning("state", "%u line%s cannot be read; the events there are sent again, and stored once", skipped,
                    skipped == 1 ? "" : "s");
    bridge->availability.offline = bridge->accepted_offline = extra.offline;
    bridge->said_offline = extra.offline_by_mqtt && bridge->conf->mqtt.given;
    bridge->availability.offline_by_mqtt = bridge->said_offline;
    return 0;
}

/* ---- availability ---- */

static void log_availability(const struct bridge *bridge, bool offline)
{
    if (!offline)
        log_info("frigate", "is online");
    else if (bridge->availability.offline_by_mqtt)
        log_warning("frigate", "is offline, as it reports by MQTT");
    else
        log_warning("frigate", "is offline: no usable response for %d minutes: %s",
                    (int)(AVAILABILITY_HTTP_US / CLOCK_MINUTE), bridge->http_why);
}

static void check_availability(struct bridge *bridge)
{
    struct frigate_alert_text text;
    enum availability_change change = availability_check(&bridge->availability, loop_mono_us(bridge->loop));
    bool offline = change == AVAILABILITY_OFFLINE;
    if (change == AVAILABILITY_SAME)
        return;
    frigate_comms_write(bridge->conf, offline, loop_wall_us(bridge->loop), &text);
    if (!outbox_add_comms(bridge->outbox, offline, &text)) {
        buf_free(&text.payload);
        return;
    }
    bridge->availability.offline = offline;
    bridge->tracks.dirty = true;
    log_availability(bridge, offline);
}

/* Frigate's last will is retained by the broker, also when Frigate no longer publishes to it. */
static void heed_mqtt(struct bridge *bridge)
{
    bridge->availability.offline_by_mqtt = bridge->said_offline && bridge->config_asked && !bridge->mqtt_off;
    check_availability(bridge);
}

static void on_http(void *ctx, bool answers, const char *why)
{
    struct bridge *bridge = ctx;
    if (why)
        snprintf(bridge->http_why, sizeof(bridge->http_why), "%s", why);
    availability_http(&bridge->availability, answers, loop_mono_us(bridge->loop));
    bridge->config_asked = true; /* before the lists */
    heed_mqtt(bridge);
}

static void on_mismatch(void *ctx, const char *key, const char *text)
{
    struct bridge *bridge = ctx;
    log_limited(&bridge->mismatches, loop_mono_us(bridge->loop), LOG_LEVEL_WARNING, key, "%s", text);
}

static void on_config(void *ctx, const struct frigate_config *config)
{
    struct bridge *bridge = ctx;
    const struct frigate_mismatch found = frigate_config_compare(bridge->conf, config, on_mismatch, bridge);
    bridge->metrics->unknown_cameras = found.cameras;
    bridge->metrics->untracked_labels = found.labels;
    bridge->metrics->mqtt_differs = found.mqtt;
    bridge->metrics->without_snapshots = found.without_snapshots;
    bridge->mqtt_off = config->mqtt == TRI_NO;
    heed_mqtt(bridge);
}

/* ---- what MQTT says ---- */

static int64_t mqtt_since(void *ctx)
{
    const struct bridge *bridge = ctx;
    return bridge->mqtt ? mqtt_client_since_us(bridge->mqtt) : INT64_MIN;
}

static void on_mqtt_connected(void *ctx)
{
    struct bridge *bridge = ctx;
    catch_up_start(bridge->catch_up);
}

static void on_mqtt_available(void *ctx, bool online)
{
    struct bridge *bridge = ctx;
    bool changed = online == bridge->said_offline;
    bridge->said_offline = !online;
    bridge->tracks.dirty = bridge->tracks.dirty || changed;
    heed_mqtt(bridge);
    if (changed)
        catch_up_restarted(bridge->catch_up);
}

static void on_mqtt_event(void *ctx, struct str text)
{
    struct bridge *bridge = ctx;
    struct frigate_event event;
    if (!frigate_read_message(bridge->reader, text, &event)) {
        bridge->metrics->malformed_total++;
        log_limited(&bridge->malformed, loop_mono_us(bridge->loop), LOG_LEVEL_WARNING, "mqtt",
                    "a message about an event cannot be read (expected JSON with after.id)");
        return;
    }
    if (!isnan(event.frame_s))
        catch_up_frame_time(bridge->catch_up, event.frame_s);
    if (!event_mapper_map(&bridge->mapper, &event, now(bridge)))
        bridge->metrics->no_room_total++;
}

/* ---- replies of mobeyed ---- */

static void on_answered(void *ctx)
{
    struct bridge *bridge = ctx;
    bridge->tracks.dirty = true;
    if (bridge->save_now)
        write_state(bridge);
    bridge->save_now = false;
    catch_up_answered(bridge->catch_up);
    if (bridge->snapshots)
        snapshot_fetch_wake(bridge->snapshots);
}

static void on_accepted(void *ctx, struct track *track, unsigned bit)
{
    struct bridge *bridge = ctx;
    tracks_accept(&bridge->tracks, track, bit);
    bridge->save_now = bridge->save_now || bit == event_mapper_bit(FRIGATE_UPDATE);
}

static void on_comms_accepted(void *ctx, bool offline)
{
    struct bridge *bridge = ctx;
    bridge->accepted_offline = offline;
    bridge->save_now = true;
    bridge->comms_rejected = false;
}

/* Rejected events may have a camera or label that the configuration no longer wants. */
static void give_up_unwanted(struct bridge *bridge)
{
    struct track *track;
    unsigned n = 0;
    TAILQ_FOREACH(track, &bridge->tracks.list, entry)
    {
        if (!(track->done & TRACK_REJECTED) || frigate_wanted(bridge->conf, &track->last))
            continue;
        tracks_give_up(&bridge->tracks, track);
        n++;
    }
    if (n > 0)
        log_warning("mobeyed", "%u rejected events are dropped: their camera or label is no longer wanted", n);
}

static void count_given_up(struct bridge *bridge, unsigned n)
{
    if (n == 0)
        return;
    bridge->metrics->rejected_given_up_total += n;
    log_limited(&bridge->given_up, loop_mono_us(bridge->loop), LOG_LEVEL_ERROR, "mobeyed",
                "%u rejected events are lost (at most %d are kept, and for %.0f days)", n, TRACKS_REJECTED_MAX,
                TRACKS_REJECTED_AGE_S / 86400);
}

static void expire_rejected(struct bridge *bridge)
{
    double now_s = (double)loop_wall_us(bridge->loop) / 1e6;
    count_given_up(bridge, tracks_expire(&bridge->tracks, now_s - TRACKS_REJECTED_AGE_S));
}

/* A rejection is for a person to resolve. */
static void log_rejected(struct bridge *bridge, const char *camera, struct str why)
{
    log_limited(&bridge->rejects, loop_mono_us(bridge->loop), LOG_LEVEL_ERROR, "mobeyed",
                "rejected an alert of %s, which is sent again at a restart and every hour: %.*s", camera,
                (int)(why.len < 200 ? why.len : 200), why.p);
}

/* Until it is accepted the event is remembered, and the cursor may pass it. */
static void on_rejected(void *ctx, struct track *track, unsigned bit, struct str why)
{
    struct bridge *bridge = ctx;
    log_rejected(bridge, track->last.camera, why);
    count_given_up(bridge, tracks_reject(&bridge->tracks, track, bit));
}

static void on_comms_rejected(void *ctx, struct str why)
{
    struct bridge *bridge = ctx;
    log_rejected(bridge, bridge->conf->name, why);
    bridge->comms_rejected = true;
}

static void send_rejected_again(struct bridge *bridge)
{
    struct track *track;
    expire_rejected(bridge);
    size_t n = tracks_release(&bridge->tracks);
    bridge->released_us = loop_mono_us(bridge->loop);
    if (bridge->comms_rejected) {
        bridge->availability.offline = bridge->accepted_offline;
        bridge->comms_rejected = false;
    }
    if (n == 0)
        return;
    log_info("mobeyed", "%zu rejected event%s sent again", n, n == 1 ? " is" : "s are");
    TAILQ_FOREACH(track, &bridge->tracks.list, entry)
    event_mapper_want_images(&bridge->mapper, track);
    catch_up_start(bridge->catch_up);
}

static void on_outbox_failed(void *ctx, const struct err *err)
{
    struct bridge *bridge = ctx;
    log_error("mobeyed", "%s", err->text);
    bridge->failed = true;
    loop_stop(bridge->loop);
}

static void on_cursor(void *ctx)
{
    struct bridge *bridge = ctx;
    write_state(bridge);
}

/* ---- alerts and images ---- */

static bool send_alert(void *ctx, struct track *track, enum frigate_alert alert, struct frigate_alert_text *text)
{
    struct bridge *bridge = ctx;
    return outbox_add(bridge->outbox, track, alert, text);
}

static void want_image(void *ctx, struct track *track, enum frigate_alert alert)
{
    struct bridge *bridge = ctx;
    snapshot_fetch_add(bridge->snapshots, track, alert);
}

static bool make_room(void *ctx)
{
    struct bridge *bridge = ctx;
    return bridge->snapshots && snapshot_fetch_make_room(bridge->snapshots);
}

static bool frigate_answers(void *ctx)
{
    const struct bridge *bridge = ctx;
    return bridge->availability.http_answers;
}

static bool has_image_room(void *ctx)
{
    const struct bridge *bridge = ctx;
    return outbox_has_image_room(bridge->outbox);
}

static bool on_image(void *ctx, struct track *track, enum frigate_alert alert, struct buf *image)
{
    struct bridge *bridge = ctx;
    struct frigate_alert_text text;
    if (track->held) {
        track->queued &= ~event_mapper_bit(alert);
        buf_free(image);
        return true;
    }
    event_mapper_image_text(&bridge->mapper, track, alert, now(bridge), &text);
    bool taken = outbox_add_image(bridge->outbox, track, alert, &text, image);
    buf_free(&text.payload);
    return taken;
}

static void on_no_image(void *ctx, struct track *track, enum frigate_alert alert)
{
    struct bridge *bridge = ctx;
    track->done |= event_mapper_bit(alert);
    bridge->tracks.dirty = true;
}

/* ---- the interface ---- */

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct bridge *bridge = arg;
    if (loop_mono_us(bridge->loop) - bridge->released_us >= REJECTED_AGAIN_US)
        send_rejected_again(bridge);
    check_availability(bridge);
    outbox_tick(bridge->outbox);
    if (bridge->tracks.dirty)
        write_state(bridge);
    loop_arm(&bridge->tick, TICK_US);
}

static int open_parts(struct bridge *bridge, struct err *err)
{
    struct loop *loop = bridge->loop;
    const struct conf_frigate *conf = bridge->conf;
    const struct outbox_calls outbox_calls = {on_answered,       on_accepted,      on_rejected, on_comms_accepted,
                                              on_comms_rejected, on_outbox_failed, bridge};
    const struct snapshot_calls snapshot_calls = {has_image_room, frigate_answers, on_image, on_no_image, bridge};
    const struct catch_up_calls catch_up_calls = {on_http, on_cursor, mqtt_since, on_config, bridge};
    const struct mqtt_calls mqtt_calls = {on_mqtt_connected, on_mqtt_event, on_mqtt_available, bridge};
    if (state_file_open(&bridge->file, conf->state, err) != 0 || read_state(bridge, err) != 0)
        return -1;
    bridge->outbox = outbox_new(loop, conf, bridge->metrics, &outbox_calls, err);
    if (!bridge->outbox)
        return -1;
    bridge->rest = rest_client_new(loop, conf, err);
    if (!bridge->rest)
        return -1;
    if (conf->images.given)
        bridge->snapshots = snapshot_fetch_new(loop, conf, bridge->rest, bridge->metrics, &snapshot_calls);
    const struct catch_up_parts parts = {loop,           conf,           bridge->rest,   &bridge->mapper,
                                         bridge->outbox, bridge->reader, bridge->metrics};
    bridge->catch_up = catch_up_new(&parts, &catch_up_calls);
    if (!conf->mqtt.given)
        return 0;
    bridge->mqtt = mqtt_client_new(loop, conf, bridge->metrics, &mqtt_calls, err);
    return bridge->mqtt ? 0 : -1;
}

struct bridge *bridge_new(struct loop *loop, const struct conf_frigate *conf, struct frigate_metrics *metrics,
                          struct err *err)
{
    struct track *track;
    struct bridge *bridge = mem_zalloc(sizeof(*bridge));
    bridge->loop = loop;
    bridge->conf = conf;
    bridge->metrics = metrics;
    bridge->file.dir_fd = -1;
    tracks_init(&bridge->tracks, conf->images.given);
    bridge->availability.http_good_us = bridge->released_us = loop_mono_us(loop);
    bridge->reader = frigate_reader_new();
    bridge->mapper.conf = conf;
    bridge->mapper.tracks = &bridge->tracks;
    bridge->mapper.sink = (struct event_sink){send_alert, want_image, make_room, bridge};
    evtimer_assign(&bridge->tick, loop_base(loop), on_tick, bridge);
    if (open_parts(bridge, err) != 0) {
        bridge_free(&bridge);
        return NULL;
    }
    give_up_unwanted(bridge);
    expire_rejected(bridge);
    TAILQ_FOREACH(track, &bridge->tracks.list, entry)
    event_mapper_want_images(&bridge->mapper, track);
    loop_arm(&bridge->tick, TICK_US);
    return bridge;
}

void bridge_free(struct bridge **bridge)
{
    struct bridge *b = *bridge;
    if (!b)
        return;
    event_del(&b->tick);
    if (b->catch_up && b->tracks.dirty)
        write_state(b);
    mqtt_client_free(&b->mqtt);
    catch_up_free(&b->catch_up);
    snapshot_fetch_free(&b->snapshots);
    rest_client_free(&b->rest);
    outbox_free(&b->outbox);
    frigate_reader_free(&b->reader);
    tracks_clear(&b->tracks);
    state_file_close(&b->file);
    free(b);
    *bridge = NULL;
}

bool bridge_failed(const struct bridge *bridge)
{
    return bridge->failed;
}

void bridge_gauges(const struct bridge *bridge)
{
    outbox_gauges(bridge->outbox);
    bridge->metrics->frigate_online = !bridge->availability.offline;
    bridge->metrics->tracks = (double)bridge->tracks.n;
    bridge->metrics->rejected = (double)tracks_rejected(&bridge->tracks) + bridge->comms_rejected;
    bridge->metrics->cursor_timestamp_seconds = isnan(bridge->tracks.cursor_s) ? 0 : bridge->tracks.cursor_s;
}

void bridge_status(const struct bridge *bridge, struct buf *out)
{
    bridge_gauges(bridge);
    buf_printf(out, "%.0f alerts wait; Frigate %s; mobeyed %s", bridge->metrics->waiting,
               bridge->availability.offline        ? "offline"
               : bridge->availability.http_answers ? "online"
                                                   : "does not answer",
               bridge->metrics->mobeyed_connected > 0 ? "connected" : "not connected");
    if (bridge->metrics->rejected > 0)
        buf_printf(out, "; %.0f events rejected", bridge->metrics->rejected);
}
