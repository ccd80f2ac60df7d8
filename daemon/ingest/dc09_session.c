#include "ingest/dc09_session.h"

#include <stdlib.h>

#include "base/mem.h"
#include "ingest/dc09_recent.h"
#include "ingest/validate.h"
#include "model/record.h"

_Static_assert((int)DC09_EVENTS_MAX <= RECORD_QUEUE_MAX, "the events of one frame fit in the queue");

struct dc09_session {
    struct dc09_decoder *decoder;
    struct dc09_recent *nacked;  /* frames that got NAK */
    struct dc09_recent *undated; /* frames without a timestamp, and when the first of each was received */
    struct buf reply;
};

struct dc09_session *dc09_session_new(void)
{
    struct dc09_session *session = mem_zalloc(sizeof(*session));
    session->decoder = dc09_decoder_new();
    session->nacked = dc09_recent_new();
    session->undated = dc09_recent_new();
    return session;
}

void dc09_session_free(struct dc09_session **session)
{
    if (!*session)
        return;
    dc09_decoder_free(&(*session)->decoder);
    dc09_recent_free(&(*session)->nacked);
    dc09_recent_free(&(*session)->undated);
    buf_free(&(*session)->reply);
    free(*session);
    *session = NULL;
}

void dc09_session_read(struct dc09_session *session, const struct endpoint_message *message,
                       const struct conf_endpoint *conf, const struct dc09_keys *keys, int64_t wall_us,
                       struct dc09_session_frame *ret)
{
    const struct dc09_policy policy = {
        .check_time = conf->check_time > 0,
        .require_encryption = conf->require_encryption > 0,
    };
    int64_t nacked_us;
    bool nacked = false;
    ret->message.reason = NULL;
    if (message->frame) {
        ret->frame = *message->frame;
        ret->result = message->result;
    } else {
        ret->result = dc09_whole(message->payload, &ret->frame);
    }
    if (ret->result == DC09_COMPLETE)
        ret->result = decode_dc09(session->decoder, &ret->frame, keys, &ret->message);
    if (ret->result == DC09_COMPLETE && policy.check_time)
        nacked = dc09_recent_get(session->nacked, ret->message.digest, &nacked_us);
    ret->verdict = dc09_judge(ret->result, &ret->frame, &ret->message, &policy, wall_us, nacked);
    if (ret->verdict == DC09_SAY_NAK)
        dc09_recent_put(session->nacked, ret->message.digest, wall_us);
}

bool dc09_session_allows(const struct dc09_session_frame *frame, const struct conf_client *client,
                         struct reject *ret_reject)
{
    for (size_t i = 0; frame->result == DC09_COMPLETE && i < frame->message.n; i++) {
        if (security_allows(client, &frame->message.alerts[i], ret_reject))
            continue;
        ret_reject->id = frame->frame.seq;
        return false;
    }
    return true;
}

void dc09_session_records(struct dc09_session *session, struct dc09_session_frame *frame, struct str endpoint,
                          int64_t wall_us, const int64_t keep_us[CLASS_COUNT], struct record_queue *out)
{
    struct dc09_message *message = &frame->message;
    int64_t sent_us = message->content.time_us;
    if (message->undated)
        dc09_set_identity(session->decoder, message, dc09_recent_first(session->undated, message->digest, wall_us));
    for (size_t i = 0; i < message->n; i++) {
        struct alert *alert = &message->alerts[i];
        validate_time(alert, wall_us, keep_us);
        alert->skew_us = sent_us == ALERT_NO_TIME ? ALERT_NO_TIME : sent_us - wall_us;
        alert->flags |= frame->verdict == DC09_STORE_STALE ? FLAG_STALE : 0;
        alert->endpoint = endpoint;
        record_queue_add(out, alert);
    }
    out->shared_offset = RECORD_PAYLOAD_OFFSET + message->shared_offset;
    out->shared_bytes = message->shared_bytes;
}

uint32_t dc09_session_flags(const struct dc09_session_frame *frame)
{
    uint32_t flags = 0;
    for (size_t i = 0; i < frame->message.n; i++)
        flags |= frame->message.alerts[i].flags;
    return flags;
}

void dc09_session_refusal(const struct dc09_session_frame *frame, struct reject *ret)
{
    const char *reason = frame->message.reason ? frame->message.reason : dc09_result_text(frame->result);
    if (frame->result == DC09_COMPLETE)
        reason = "the frame is not encrypted (require_encryption is set)";
    struct str account = frame->frame.account;
    reject_set(ret, REJECT_MALFORMED, frame->frame.seq, "frame", "%s%s%.*s%s", reason,
               account.len > 0 ? " (account " : "", (int)account.len, account.len > 0 ? account.p : "",
               account.len > 0 ? ")" : "");
}

struct str dc09_session_reply(struct dc09_session *session, const struct dc09_session_frame *frame,
                              enum dc09_verdict say, int64_t wall_us)
{
    const struct dc09_key *key = frame->result == DC09_COMPLETE ? frame->message.key : NULL;
    uint8_t pad[DC09_PAD_MAX] = {0};
    if (key)
        arc4random_buf(pad, sizeof(pad));
    session->reply.len = 0;
    dc09_reply(&session->reply, say, &frame->frame, key, wall_us, pad);
    return buf_str(&session->reply);
}

void dc09_session_restore(struct dc09_session *session, const struct alert *alert, int64_t wall_us)
{
    uint8_t digest[DC09_DIGEST_SIZE];
    int64_t first_us;
    if (alert->format == ALERT_SIA_DC09 && dc09_undated_id(alert->event_id, digest, &first_us) &&
        wall_us - first_us < DC09_UNDATED_WINDOW_US)
        dc09_recent_put(session->undated, digest, first_us);
}
