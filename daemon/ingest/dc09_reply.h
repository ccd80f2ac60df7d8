/*
 * What becomes of a DC-09 frame, and the reply to the equipment that sent it (ANSI/SIA DC-09-2013, 5.5.3). Pure: no
 * clock, no configuration, no socket.
 */
#ifndef MOBEYE_INGEST_DC09_REPLY_H
#define MOBEYE_INGEST_DC09_REPLY_H

#include "ingest/decode_dc09.h"

/* How far the time of a frame may be before and after ours if check_time is set (5.5.1.8). */
#define DC09_BEHIND_MAX_US (40 * CLOCK_SECOND)
#define DC09_AHEAD_MAX_US  (20 * CLOCK_SECOND)

/* What an endpoint requires of its senders. */
struct dc09_policy {
    bool check_time;
    bool require_encryption; /* a plain frame gets DUH */
};

enum dc09_verdict {
    DC09_STORE,       /* journal it, then ACK */
    DC09_STORE_STALE, /* the same, flagged stale: it was resent unchanged after a NAK, and only an ACK ends that */
    DC09_SAY_ACK,     /* never returned by dc09_judge(); for dc09_reply() */
    DC09_SAY_NAK,
    DC09_SAY_DUH,
    DC09_SILENT,
};

/* Whether the time of a frame is within the limits. An unreadable time (ALERT_NO_TIME) is not. */
bool dc09_in_time(int64_t time_us, int64_t now_us);

/* Decides what happens to a frame. message is read only if result is DC09_COMPLETE; nacked: this digest got NAK before.
 * A received reply (ACK, NAK, DUH) gets none, else two receivers would reply to each other endlessly. */
enum dc09_verdict dc09_judge(enum dc09_result result, const struct dc09_frame *frame,
                             const struct dc09_message *message, const struct dc09_policy *policy, int64_t now_us,
                             bool nacked);

/* Appends the reply for DC09_SAY_ACK, DC09_SAY_NAK or DC09_SAY_DUH; nothing for others. The CRC has the same form as
 * the frame's. key: message.key, for "*ACK"; pad: as for dc09_encrypt(), not read without a key. A NAK contains our
 * time; a DUH repeats the header as an ACK does, or that of a NAK if the header is unreadable. */
void dc09_reply(struct buf *out, enum dc09_verdict verdict, const struct dc09_frame *frame, const struct dc09_key *key,
                int64_t now_us, const uint8_t pad[DC09_PAD_MAX]);

#endif
