#include "base/loop.h"
#include "enrich/location.h"
#include "flow/receiver_parts.h"
#include "ingest/endpoint_state.h"
#include "ingest/validate.h"

#define RETRY_FULL_MS "1000"
#define RETRY_STOP_MS "2000"
#define RETRY_NAK_MS  "1000"
/* An image may take this share of the journal: a larger one would find space only while little waits in it, and take
 * that of many alerts. */
#define IMAGE_SHARE 8

/* Accepts the alerts in r->records, or makes the sender or the endpoint wait. false: stop reading the endpoint. */
static bool accept_records(struct receiver *r, const struct reply_to *to, uint32_t flags, struct str tcp_reply)
{
    struct endpoint_state *state = endpoint_state_of(to->endpoint);
    enum conf_socket socket = endpoint_conf(to->endpoint)->socket;
    uint64_t seq = 0;
    endpoint_state_received(state, loop_mono_us(r->loop), loop_wall_us(r->loop));
    if (receiver_admit(r, &r->records, &seq)) {
        replies_ack(&r->replies, to, seq, flags, tcp_reply);
        r->acks++;
        return true;
    }
    if (r->state == RECEIVER_FAILED)
        return false;
    if (socket == CONF_ROUTER || socket == CONF_TCP) {
        replies_retry(&r->replies, to, r->records.n, STR(RETRY_FULL_MS), STR(""));
        return true;
    }
    struct record_queue empty = state->held;
    state->held = r->records;
    r->records = empty;
    return false;
}

static bool on_cloudevent(struct receiver *r, struct endpoint *endpoint, const struct endpoint_message *message,
                          const struct conf_client *client)
{
    struct alert alert;
    struct reject reject;
    int64_t now_us = loop_wall_us(r->loop);
    if (!decode_cloudevents(r->decoder, message->payload, &alert, &reject) ||
        !security_allows(client, &alert, &reject)) {
        replies_reject(&r->replies, endpoint, message, &reject, STR(""));
        return true;
    }
    const struct reply_to to = {endpoint, &message->peer, alert.event_id};
    if (r->state == RECEIVER_STOPPING) {
        replies_retry(&r->replies, &to, 1, STR(RETRY_STOP_MS), STR(""));
        return true;
    }
    const int64_t *keep_us = r->conf->retention.class_us;
    validate_time(&alert, now_us, keep_us);
    if (message->has_image)
        validate_image(&alert, message->image, keep_us[CLASS_CAMERA], r->conf->journal.max_size_bytes / IMAGE_SHARE);
    alert.endpoint = str_from(endpoint_state_of(endpoint)->counters->name);
    record_queue_clear(&r->records);
    record_queue_add(&r->records, &alert);
    r->records.share = admission_share(&r->admission, client);
    uint32_t place_flags = endpoint_conf(endpoint)->reply_flags == 1 ? location_flags(&alert, r->conf) : 0;
    return accept_records(r, &to, alert.flags | place_flags, STR(""));
}

static bool on_dc09_frame(struct receiver *r, struct endpoint *endpoint, const struct endpoint_message *message,
                          const struct conf_client *client)
{
    struct endpoint_state *state = endpoint_state_of(endpoint);
    int64_t now_us = loop_wall_us(r->loop);
    struct dc09_session_frame frame;
    struct reject reject;
    dc09_session_read(r->session, message, endpoint_conf(endpoint), state->keys, now_us, &frame);
    if (!dc09_session_allows(&frame, client, &reject)) {
        replies_reject(&r->replies, endpoint, message, &reject, STR(""));
        return true;
    }
    const struct reply_to to = {endpoint, &message->peer, frame.frame.seq};
    if (frame.verdict == DC09_SAY_NAK) {
        endpoint_state_received(state, loop_mono_us(r->loop), loop_wall_us(r->loop));
        replies_retry(&r->replies, &to, 1, STR(RETRY_NAK_MS),
                      dc09_session_reply(r->session, &frame, DC09_SAY_NAK, now_us));
        return true;
    }
    if (frame.verdict != DC09_STORE && frame.verdict != DC09_STORE_STALE) {
        dc09_session_refusal(&frame, &reject);
        replies_reject(&r->replies, endpoint, message, &reject,
                       dc09_session_reply(r->session, &frame, frame.verdict, now_us));
        return true;
    }
    if (r->state == RECEIVER_STOPPING) {
        replies_retry(&r->replies, &to, 1, STR(RETRY_STOP_MS), STR(""));
        return true;
    }
    record_queue_clear(&r->records);
    dc09_session_records(r->session, &frame, str_from(state->counters->name), now_us, r->conf->retention.class_us,
                         &r->records);
    r->records.share = admission_share(&r->admission, client);
    state->counters->received_total += r->records.n - 1;
    uint32_t flags = dc09_session_flags(&frame);
    for (size_t i = 0; i < frame.message.n && endpoint_conf(endpoint)->reply_flags == 1; i++)
        flags |= location_flags(&frame.message.alerts[i], r->conf);
    return accept_records(r, &to, flags, dc09_session_reply(r->session, &frame, DC09_SAY_ACK, now_us));
}

bool receiver_handle_message(struct receiver *r, struct endpoint *endpoint, const struct endpoint_message *message)
{
    const struct conf_endpoint *conf = endpoint_conf(endpoint);
    const struct conf_client *client = NULL;
    struct reject reject;
    if (message->malformed || message->too_large) {
        replies_reject_frames(&r->replies, endpoint, message);
        return true;
    }
    if (conf->socket != CONF_TCP &&
        !security_admits(endpoint_set_security(r->endpoints), conf, message, &client, &reject)) {
        replies_forbid(&r->replies, endpoint, message, r->decoder, &reject);
        return true;
    }
    replies_note_client(&r->replies, endpoint, message, client);
    return conf->format == ALERT_SIA_DC09 ? on_dc09_frame(r, endpoint, message, client)
                                          : on_cloudevent(r, endpoint, message, client);
}
