#include "frigate/outbox.h"

#include <stdlib.h>
#include <string.h>

#include <event2/event_struct.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ctl/lib/sender.h"
#include "frigate/delivery.h"
#include "frigate/event_mapper.h"

/* An alert: in `waiting` until the sender has it, then in `sent`; both in order of number. */
struct outbox_alert {
    TAILQ_ENTRY(outbox_alert) entry;
    uint64_t number;
    struct track *track; /* NULL: the alert is about Frigate itself, which is `offline` or online again */
    bool offline;
    enum frigate_alert alert;
    struct track_report report;
    struct buf payload, image; /* freed when the sender has them */
    bool has_image;
};

TAILQ_HEAD(alert_queue, outbox_alert);

struct outbox {
    struct loop *loop;
    const struct conf_frigate *conf;
    struct frigate_metrics *metrics;
    struct outbox_calls calls;
    struct sender *sender;
    struct sender_options options;
    struct sender_endpoint endpoints[CONF_FRIGATE_TARGETS_MAX];
    struct curve curve;
    struct event fds[SENDER_POLL_ITEMS], timer;
    bool watching;            /* fds are added */
    unsigned comms_in_flight; /* alerts about Frigate itself that are sent and have no reply: at most one */
    unsigned sockets;
    struct alert_queue waiting, sent;
    struct delivery_state delivery;
    uint64_t last_number;
    size_t n, n_images;
    bool answered; /* since the last turn */
};

/* ---- replies ---- */

static void remove_alert(struct outbox *outbox, struct alert_queue *queue, struct outbox_alert *item)
{
    if (item->track) {
        item->track->in_flight -= queue == &outbox->sent && !item->has_image;
        item->track->users--;
    } else {
        outbox->comms_in_flight -= queue == &outbox->sent;
    }
    outbox->n--;
    outbox->n_images -= item->has_image;
    outbox->answered = true;
    TAILQ_REMOVE(queue, item, entry);
    buf_free(&item->payload);
    buf_free(&item->image);
    free(item);
}

static void reject(struct outbox *outbox, struct alert_queue *queue, struct outbox_alert *item, struct str why)
{
    struct track *track = item->track;
    unsigned bit = event_mapper_bit(item->alert);
    outbox->metrics->rejected_total++;
    remove_alert(outbox, queue, item);
    if (track)
        outbox->calls.on_rejected(outbox->calls.ctx, track, bit, why);
    else
        outbox->calls.on_comms_rejected(outbox->calls.ctx, why);
}

/* Drops the waiting alerts of a rejected track: they are written again when the track is retried. */
static void reject_waiting(struct outbox *outbox, const struct track *track, struct str why)
{
    struct outbox_alert *item = TAILQ_FIRST(&outbox->waiting), *next;
    for (; item; item = next) {
        next = TAILQ_NEXT(item, entry);
        if (item->track == track)
            reject(outbox, &outbox->waiting, item, why);
    }
}

static struct outbox_alert *alert_of(uint64_t number)
{
    // NOLINTNEXTLINE(performance-no-int-to-ptr): the sender's numbers are the addresses of the alerts
    return (struct outbox_alert *)(uintptr_t)number;
}

static void on_accepted(void *ctx, uint64_t number, struct str payload, const struct str *flags)
{
    (void)payload, (void)flags;
    struct outbox *outbox = ctx;
    struct outbox_alert *item = alert_of(number);
    struct track *track = item->track;
    unsigned bit = event_mapper_bit(item->alert);
    bool offline = item->offline;
    outbox->metrics->accepted_total++;
    if (track && !item->has_image)
        track->accepted = item->report;
    remove_alert(outbox, &outbox->sent, item);
    if (track)
        outbox->calls.on_accepted(outbox->calls.ctx, track, bit);
    else
        outbox->calls.on_comms_accepted(outbox->calls.ctx, offline);
}

static void on_rejected(void *ctx, uint64_t number, struct str why)
{
    struct outbox *outbox = ctx;
    struct outbox_alert *item = alert_of(number);
    const struct track *track = item->track;
    reject(outbox, &outbox->sent, item, why);
    if (track)
        reject_waiting(outbox, track, why);
}

/* ---- sending ---- */

static bool may_be_sent(const struct outbox *outbox, const struct outbox_alert *item)
{
    const struct track *track = item->track;
    if (!track)
        return outbox->comms_in_flight == 0;
    if (item->has_image)
        return track->done & TRACK_NEW;
    return track->in_flight == 0 && (item->alert == FRIGATE_NEW || track->done & TRACK_NEW);
}

/* Hands over to the sender what may be sent; returns whether there was anything. */
static bool hand_over(struct outbox *outbox)
{
    struct outbox_alert *item = TAILQ_FIRST(&outbox->waiting), *next;
    bool some = false;
    for (; item && sender_has_room(outbox->sender); item = next) {
        next = TAILQ_NEXT(item, entry);
        if (!may_be_sent(outbox, item))
            continue;
        TAILQ_REMOVE(&outbox->waiting, item, entry);
        TAILQ_INSERT_TAIL(&outbox->sent, item, entry);
        if (!item->track)
            outbox->comms_in_flight++;
        else if (!item->has_image)
            item->track->in_flight++;
        const struct sender_message message = {buf_str(&item->payload), buf_str(&item->image), item->has_image,
                                               (uint64_t)(uintptr_t)item};
        sender_add(outbox->sender, &message);
        buf_free(&item->payload);
        buf_free(&item->image);
        some = true;
    }
    return some;
}

static void on_readable(evutil_socket_t fd, short what, void *arg);

static void watch_sockets(struct outbox *outbox)
{
    int fds[SENDER_POLL_ITEMS];
    if (outbox->watching && outbox->sockets == sender_sockets(outbox->sender))
        return;
    for (int i = 0; outbox->watching && i < SENDER_POLL_ITEMS; i++)
        event_del(&outbox->fds[i]);
    sender_fds(outbox->sender, fds);
    outbox->sockets = sender_sockets(outbox->sender);
    for (int i = 0; i < SENDER_POLL_ITEMS; i++) {
        event_assign(&outbox->fds[i], loop_base(outbox->loop), fds[i], EV_READ | EV_PERSIST, on_readable, outbox);
        event_add(&outbox->fds[i], NULL);
    }
    outbox->watching = true;
}

/* Sends and receives what can be sent and received, and arms the events that call it again. The descriptors are
 * edge-triggered: new ones are checked once more. */
static void send_and_receive(struct outbox *outbox)
{
    struct err err;
    hand_over(outbox);
    unsigned before = outbox->watching ? outbox->sockets : 0;
    if (sender_step(outbox->sender, &err) != 0) {
        outbox->calls.on_failed(outbox->calls.ctx, &err);
        return;
    }
    watch_sockets(outbox);
    bool more = before != outbox->sockets || hand_over(outbox);
    int64_t due_us = sender_due_us(outbox->sender), now_us = loop_mono_us(outbox->loop);
    if (more)
        loop_arm(&outbox->timer, 0);
    else if (due_us != INT64_MAX)
        loop_arm(&outbox->timer, due_us > now_us ? due_us - now_us + CLOCK_MS : 0);
    if (outbox->answered) {
        outbox->answered = false;
        outbox->calls.on_answered(outbox->calls.ctx);
    }
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    send_and_receive(arg);
}

/* ---- the interface ---- */

static void set_endpoints(struct outbox *outbox)
{
    const struct conf_frigate *conf = outbox->conf;
    for (size_t i = 0; i < conf->n_to; i++) {
        outbox->endpoints[i].to = conf->to[i];
        if (conf->n_server_keys > 0)
            outbox->endpoints[i].server_key = conf->server_keys[conf->n_server_keys == 1 ? 0 : i];
    }
    outbox->options = (struct sender_options){.endpoints = outbox->endpoints,
                                              .n_endpoints = conf->n_to,
                                              .curve = &outbox->curve,
                                              .rejected = on_rejected,
                                              .accepted = on_accepted,
                                              .ctx = outbox};
}

struct outbox *outbox_new(struct loop *loop, const struct conf_frigate *conf, struct frigate_metrics *metrics,
                          const struct outbox_calls *calls, struct err *err)
{
    struct outbox *outbox = mem_zalloc(sizeof(*outbox));
    *outbox = (struct outbox){.loop = loop, .conf = conf, .metrics = metrics, .calls = *calls};
    TAILQ_INIT(&outbox->waiting);
    TAILQ_INIT(&outbox->sent);
    evtimer_assign(&outbox->timer, loop_base(loop), on_readable, outbox);
    set_endpoints(outbox);
    if (conf->client_key && curve_load(conf->client_key, &outbox->curve, err) != 0)
        goto fail;
    outbox->sender = sender_new(&outbox->options, err);
    if (!outbox->sender)
        goto fail;
    loop_arm(&outbox->timer, 0);
    return outbox;
fail:
    outbox_free(&outbox);
    return NULL;
}

static void free_queue(struct alert_queue *queue)
{
    struct outbox_alert *item;
    while ((item = TAILQ_FIRST(queue))) {
        TAILQ_REMOVE(queue, item, entry);
        buf_free(&item->payload);
        buf_free(&item->image);
        free(item);
    }
}

void outbox_free(struct outbox **outbox)
{
    struct outbox *o = *outbox;
    if (!o)
        return;
    event_del(&o->timer);
    for (int i = 0; o->watching && i < SENDER_POLL_ITEMS; i++)
        event_del(&o->fds[i]);
    sender_free(&o->sender);
    free_queue(&o->waiting);
    free_queue(&o->sent);
    curve_wipe(&o->curve);
    free(o);
    *outbox = NULL;
}

bool outbox_has_room(const struct outbox *outbox)
{
    return outbox->n < OUTBOX_ALERTS_MAX;
}

bool outbox_has_image_room(const struct outbox *outbox)
{
    return outbox->n_images < OUTBOX_IMAGES_MAX;
}

static struct outbox_alert *append_alert(struct outbox *outbox, struct frigate_alert_text *text)
{
    struct outbox_alert *item = mem_zalloc(sizeof(*item));
    item->number = ++outbox->last_number;
    item->payload = text->payload;
    text->payload = (struct buf){0};
    outbox->n++;
    outbox->metrics->alerts_total++;
    TAILQ_INSERT_TAIL(&outbox->waiting, item, entry);
    loop_arm(&outbox->timer, 0);
    return item;
}

bool outbox_add(struct outbox *outbox, struct track *track, enum frigate_alert alert, struct frigate_alert_text *text)
{
    if (!outbox_has_room(outbox))
        return false;
    struct outbox_alert *item = append_alert(outbox, text);
    item->track = track;
    item->alert = alert;
    item->report = track->sent;
    track->users++;
    return true;
}

bool outbox_add_image(struct outbox *outbox, struct track *track, enum frigate_alert alert,
                      struct frigate_alert_text *text, struct buf *image)
{
    if (!outbox_has_image_room(outbox) || !outbox_add(outbox, track, alert, text))
        return false;
    struct outbox_alert *item = TAILQ_LAST(&outbox->waiting, alert_queue);
    item->has_image = true;
    item->image = *image;
    *image = (struct buf){0};
    outbox->n_images++;
    return true;
}

bool outbox_add_comms(struct outbox *outbox, bool offline, struct frigate_alert_text *text)
{
    if (!outbox_has_room(outbox))
        return false;
    append_alert(outbox, text)->offline = offline;
    return true;
}

uint64_t outbox_last_number(const struct outbox *outbox)
{
    return outbox->last_number;
}

static bool has_older(const struct alert_queue *queue, uint64_t number)
{
    const struct outbox_alert *item;
    TAILQ_FOREACH(item, queue, entry)
    if (item->number <= number && !item->has_image)
        return true;
    return false;
}

bool outbox_is_answered(const struct outbox *outbox, uint64_t number)
{
    return !has_older(&outbox->waiting, number) && !has_older(&outbox->sent, number);
}

void outbox_tick(struct outbox *outbox)
{
    if (sender_link(outbox->sender) != SENDER_CONNECTED)
        send_and_receive(outbox);
    delivery_watch(&outbox->delivery, outbox->conf, outbox->sender, outbox->n, loop_mono_us(outbox->loop));
}

void outbox_gauges(const struct outbox *outbox)
{
    outbox->metrics->waiting = (double)outbox->n;
    outbox->metrics->resent_total = sender_counts(outbox->sender).resent;
    outbox->metrics->mobeyed_connected = sender_link(outbox->sender) == SENDER_CONNECTED;
    outbox->metrics->mobeyed_silent_seconds = delivery_silent_s(&outbox->delivery, loop_mono_us(outbox->loop));
}
