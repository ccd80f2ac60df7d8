#include "ingest/dc09_reply.h"

#include <string.h>

bool dc09_in_time(int64_t time_us, int64_t now_us)
{
    return time_us != ALERT_NO_TIME && time_us >= now_us - DC09_BEHIND_MAX_US && time_us <= now_us + DC09_AHEAD_MAX_US;
}

enum dc09_verdict dc09_judge(enum dc09_result result, const struct dc09_frame *frame,
                             const struct dc09_message *message, const struct dc09_policy *policy, int64_t now_us,
                             bool nacked)
{
    if (result != DC09_COMPLETE && result != DC09_NOT_UNDERSTOOD)
        return DC09_SILENT;
    if (frame->id == DC09_ID_ACK || frame->id == DC09_ID_NAK || frame->id == DC09_ID_DUH)
        return DC09_SILENT;
    if (result == DC09_NOT_UNDERSTOOD || (policy->require_encryption && !frame->encrypted))
        return DC09_SAY_DUH;
    if (!policy->check_time || !message->content.has_time || dc09_in_time(message->content.time_us, now_us))
        return DC09_STORE;
    return nacked ? DC09_STORE_STALE : DC09_SAY_NAK;
}

/* "word" SEQ [Rrcvr] Lpref [#acct] [ */
static void append_header(struct buf *body, const char *word, const struct dc09_frame *frame)
{
    buf_printf(body, "\"%s\"%.4s", word, frame->seq.p);
    if (frame->receiver.len > 0)
        buf_printf(body, "R%.*s", (int)frame->receiver.len, frame->receiver.p);
    buf_printf(body, "L%.*s", (int)frame->line.len, frame->line.p);
    if (frame->account.len > 0)
        buf_printf(body, "#%.*s", (int)frame->account.len, frame->account.p);
    buf_append(body, "[", 1);
}

void dc09_reply(struct buf *out, enum dc09_verdict verdict, const struct dc09_frame *frame, const struct dc09_key *key,
                int64_t now_us, const uint8_t pad[DC09_PAD_MAX])
{
    struct buf body = {0};
    char now[DC09_TIME_SIZE];
    dc09_time_format(now_us, now);
    switch (verdict) {
    case DC09_SAY_ACK:
        append_header(&body, key ? "*ACK" : "ACK", frame);
        if (key) {
            char text[DC09_TIME_SIZE + 2] = "]_";
            memcpy(text + 2, now, sizeof(now));
            dc09_encrypt(key, str_from(text), pad, &body);
        } else {
            buf_append(&body, "]", 1);
        }
        break;
    case DC09_SAY_NAK:
        buf_printf(&body, "\"NAK\"0000R0L0A0[]_%s", now);
        break;
    case DC09_SAY_DUH:
        if (frame->seq.len > 0) {
            append_header(&body, "DUH", frame);
            buf_append(&body, "]", 1);
        } else {
            buf_printf(&body, "\"DUH\"0000R0L0A0[]");
        }
        break;
    default:
        return;
    }
    dc09_build(out, buf_str(&body), frame->crc_binary);
    buf_free(&body);
}
