#include "frigate/delivery.h"

#include "base/buf.h"

enum delivery_news delivery_check(struct delivery_state *delivery, bool connected, int64_t quiet_since_us,
                                  int64_t mono_us)
{
    bool quiet = quiet_since_us > 0 && mono_us - quiet_since_us >= DELIVERY_SILENT_US;
    bool before = delivery->answers;
    delivery->answers = connected && !quiet;
    if (delivery->answers) {
        delivery->since_us = delivery->warned_us = 0;
        return before ? DELIVERY_SAME : DELIVERY_ANSWERS;
    }
    if (delivery->since_us == 0)
        delivery->since_us = connected ? quiet_since_us : mono_us;
    bool due = delivery->warned_us == 0 ? mono_us - delivery->since_us >= DELIVERY_SILENT_US
                                        : mono_us - delivery->warned_us >= DELIVERY_EVERY_US;
    if (!due)
        return DELIVERY_SAME;
    delivery->warned_us = mono_us;
    return DELIVERY_SILENT;
}

double delivery_silent_s(const struct delivery_state *delivery, int64_t mono_us)
{
    return delivery->since_us == 0 ? 0 : (double)(mono_us - delivery->since_us) / 1e6;
}

/* ---- the log ---- */

static const char *advice(const struct conf_frigate *conf, const struct sender *sender)
{
    switch (sender_link(sender)) {
    case SENDER_CONNECTED:
        return "it is connected: is this a router endpoint with format cloudevents? see the log of mobeyed";
    case SENDER_REFUSED:
        return conf->n_server_keys > 0
                   ? "a peer is there, but the handshake fails: is server_key that of mobeyed, is the client key on "
                     "its client list and not expired?"
                   : "a peer is there, but the handshake fails: is this a router endpoint of mobeyed, does it require "
                     "CURVE (server_key, client_key)?";
    default:
        return "is mobeyed running, is this the address of one of its router endpoints?";
    }
}

static void log_silent(const struct conf_frigate *conf, const struct sender *sender, size_t waiting)
{
    /* It outranks a handshake that failed, which may have been at another address, or at one this name had before. */
    const char *unresolved = sender_link(sender) == SENDER_CONNECTED ? NULL : sender_unresolved(sender);
    const char *at = unresolved && conf->n_to > 1 ? sender_at(sender) : NULL;
    struct buf names = {0};
    for (size_t i = 0; i < conf->n_to; i++)
        buf_printf(&names, "%s%s", i == 0 ? "" : i + 1 == conf->n_to ? " nor " : ", ", conf->to[i]);
    log_warning("mobeyed", "%s%.*s %s; %zu alert%s wait%s (%s%s%s)", conf->n_to > 1 ? "neither " : "", (int)names.len,
                names.data, conf->n_to > 1 ? "answers" : "does not answer", waiting, waiting == 1 ? "" : "s",
                waiting == 1 ? "s" : "", at ? at : "", at ? ": " : "", unresolved ? unresolved : advice(conf, sender));
    buf_free(&names);
}

void delivery_watch(struct delivery_state *delivery, const struct conf_frigate *conf, const struct sender *sender,
                    size_t waiting, int64_t mono_us)
{
    enum sender_link link = sender_link(sender);
    switch (delivery_check(delivery, link == SENDER_CONNECTED, sender_quiet_since_us(sender), mono_us)) {
    case DELIVERY_ANSWERS:
        log_limited(&delivery->connections, mono_us, LOG_LEVEL_INFO, "mobeyed", "connected to %s", sender_at(sender));
        break;
    case DELIVERY_SILENT:
        log_silent(conf, sender, waiting);
        break;
    default:
        break;
    }
}
