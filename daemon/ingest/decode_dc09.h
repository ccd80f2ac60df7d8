/*
 * SIA DC-09 frame -> struct alert, and the reply to equipment. Pure: no clock, no configuration, no socket.
 *
 * On a TCP connection, for the bytes received:
 *
 *   1. dc09_scan() until DC09_INCOMPLETE; every other result is one frame, or an attempt at one. Drop the used bytes
 * only after step 4. Close the connection on DC09_TOO_LONG.
 *   2. DC09_COMPLETE: decode_dc09(), whose result replaces it.
 *   3. dc09_judge() with the digest looked up among the frames that recently got NAK (kept by the caller, bounded).
 *   4. By the verdict:
 *      DC09_STORE, DC09_STORE_STALE: if message.undated, look up the digest among the undated frames of the last
 *        DC09_UNDATED_WINDOW_US, and call dc09_set_identity() with the receipt of the first of them, or, if there is
 *        none, with this receipt (and remember it); then each of the message.n alerts is validated (validate_time(),
 *        then set skew_us from content.time_us, since occurred_us may be H), flagged stale if it is and
 *        journaled, all of them or none. dc09_reply() DC09_SAY_ACK is built immediately, since its slices become
 *        invalid; it is sent after the sync. If the journal is full, nothing is sent. A duplicate is journaled too: it
 *        is a sign of life, and its identity resolves it.
 *      DC09_SAY_NAK, DC09_SAY_DUH: dc09_reply() immediately; nothing is stored.
 *      DC09_SILENT: nothing is sent; count it.
 *
 * A payload frame on a ZeroMQ socket is the same with dc09_whole() for step 1. On router: STORE -> ACK after the sync,
 * with the alert id frame.seq and the sequence number of the last alert; SAY_NAK -> RETRY; SAY_DUH and SILENT ->
 * REJECT malformed with message.reason or dc09_result_text(); journal full -> RETRY.
 *
 * After a restart the table of undated frames is restored from the event ids in the journal: dc09_undated_id().
 */
#ifndef MOBEYE_INGEST_DECODE_DC09_H
#define MOBEYE_INGEST_DECODE_DC09_H

#include "base/clock.h"
#include "ingest/dc09_crypt.h"
#include "ingest/dc09_data.h"
#include "ingest/dc09_frame.h"
#include "model/alert.h"

enum { DC09_EVENTS_MAX = 64, DC09_DIGEST_SIZE = 16 };

/* An undated frame that equals one received less than this before is the same message. */
#define DC09_UNDATED_WINDOW_US (15 * CLOCK_MINUTE)

/* How far the time of a frame may be before and after ours if check_time is set. */
#define DC09_BEHIND_MAX_US (40 * CLOCK_SECOND)
#define DC09_AHEAD_MAX_US  (20 * CLOCK_SECOND)

/* A decoded frame. Slices point into the frame's bytes or into the decoder, and are valid until its next frame. */
struct dc09_message {
    struct dc09_content content;
    const struct dc09_key *key; /* one of the keys passed; NULL: the frame is plain */
    struct alert *alerts;       /* "from the message", occurred_us and skew_us as decode_cloudevents() leaves them */
    size_t n;                   /* 1 to DC09_EVENTS_MAX */
    size_t shared_offset, shared_bytes; /* of each payload: members that are the same in all; with spaces in their
                                           place it is still JSON */
    bool undated;                       /* no timestamp, or none that is a time, as of equipment without a clock:
                                           dc09_set_identity() it before storing */
    uint8_t digest[DC09_DIGEST_SIZE];
    const char *reason; /* of DC09_NOT_UNDERSTOOD; static text, never the sender's */
};

/* Memory for decoding, reused from frame to frame. Bounded: DC09_EVENTS_MAX payloads. */
struct dc09_decoder;
struct dc09_decoder *dc09_decoder_new(void);
void dc09_decoder_free(struct dc09_decoder **decoder);

/*
 * frame: one that was DC09_COMPLETE; keys: NULL for none. Returns DC09_COMPLETE, or DC09_NOT_UNDERSTOOD with
 * ret->reason: no key, unreadable with the key, no event, or more than DC09_EVENTS_MAX (a frame is accepted whole or
 * not at all).
 *
 * source is dc09:ACCOUNT, in upper case: the account of the header, to which the key belongs, else that of the data,
 * else 0. device is dc09:ACCOUNT, or dc09:ACCOUNT/INPUT if the event has an input. event_id is SEQ-DIGEST-NUMBER: the
 * digest (128 bits of SHA-256) covers ID, sequence and the body without pad but with its timestamp; NUMBER is that of
 * the event in the frame, from 1. It is the same whether the frame is plain or encrypted and over any line or receiver,
 * but for an undated frame it covers those too: a duplicate is preferred to a loss.
 */
enum dc09_result decode_dc09(struct dc09_decoder *decoder, const struct dc09_frame *frame, const struct dc09_keys *keys,
                             struct dc09_message *ret);

/* Sets the identity of the alerts of an undated frame: SEQ-DIGEST-NUMBER@first_us. For the decoder's last frame. */
void dc09_set_identity(struct dc09_decoder *decoder, struct dc09_message *message, int64_t first_us);

/* Parses what dc09_set_identity() wrote. false: the event id is not that of an undated frame. */
bool dc09_undated_id(struct str event_id, uint8_t ret_digest[DC09_DIGEST_SIZE], int64_t *ret_first_us);

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
