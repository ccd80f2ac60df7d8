/*
 * SIA DC-09 frame -> struct alert, and the answer that equipment gets. Pure: no clock, no configuration, no socket.
 *
 * A TCP connection, for each run of bytes that has come in:
 *
 *   1. dc09_scan() until DC09_INCOMPLETE; every other result is one frame, or what was meant to be one. Drop the used
 *      bytes after step 4 only. Close the connection on DC09_TOO_LONG.
 *   2. DC09_COMPLETE: decode_dc09(), whose result takes its place.
 *   3. dc09_judge() with the digest looked up among the frames that were lately answered NAK (the caller's, bounded;
 *      remember each digest that is answered NAK).
 *   4. By the verdict:
 *      DC09_STORE, DC09_STORE_STALE: if message.timeless, look the digest up among the timeless frames of the last
 *        DC09_UNDATED_WINDOW_US, and dc09_set_identity() with the receipt of the first of them, or with this receipt
 * where there is none (remember that); then each of message.n alerts is validated (validate_time(), then set skew_us
 * from content.time_us, since occurred_us may be H), marked (message.marks; stale) and journaled, all of them or none.
 *        dc09_reply() DC09_SAY_ACK may be built at once, as its slices die; it is sent after the sync. A full journal
 *        sends nothing. A duplicate is journaled too: it is a sign of life, and identity settles it.
 *      DC09_SAY_NAK, DC09_SAY_DUH: dc09_reply() at once; nothing is stored.
 *      DC09_SILENT: nothing is sent; count it.
 *
 * A payload frame on a ZeroMQ socket is the same with dc09_whole() for step 1. On router: STORE -> ACK after the sync,
 * with the alert id frame.seq and the sequence number of the last alert; SAY_NAK -> RETRY; SAY_DUH and SILENT ->
 * REJECT malformed with message.reason or dc09_result_text(); journal full -> RETRY.
 *
 * After a restart the table of timeless frames is made again from the event ids in the journal: dc09_undated_id().
 */
#ifndef MOBEYE_INGEST_DECODE_DC09_H
#define MOBEYE_INGEST_DECODE_DC09_H

#include "base/clock.h"
#include "ingest/dc09_crypt.h"
#include "ingest/dc09_data.h"
#include "ingest/dc09_frame.h"
#include "model/alert.h"

enum { DC09_EVENTS_MAX = 64, DC09_DIGEST_SIZE = 16 };

/* A timeless frame that equals one received less than this before is one with it. */
#define DC09_UNDATED_WINDOW_US (15 * CLOCK_MINUTE)

/* How far the time of a frame may lie before and after ours where check_time is asked for. */
#define DC09_BEHIND_MAX_US (40 * CLOCK_SECOND)
#define DC09_AHEAD_MAX_US  (20 * CLOCK_SECOND)

/* What a frame says. Slices point into the frame's bytes or into the decoder, and hold until its next frame. */
struct dc09_message {
    struct dc09_content content;
    const struct dc09_key *key; /* NULL: the frame is plain. Of the keys given */
    struct alert *alerts;       /* "from the message", occurred_us and skew_us as decode_cloudevents() leaves them */
    const unsigned *marks;      /* of each alert: DC09_VERIFIED, DC09_CANCEL */
    size_t n;                   /* of both, 1 to DC09_EVENTS_MAX */
    size_t shared_offset, shared_bytes; /* of each payload: members that are the same in all; with spaces in their
                                           place it is still JSON */
    bool undated;                       /* no timestamp: dc09_set_identity() it before storing */
    uint8_t digest[DC09_DIGEST_SIZE];
    const char *reason; /* of DC09_NOT_UNDERSTOOD; static text, never the sender's */
};

/* Scratch memory for decoding, reused from frame to frame. Bounded: DC09_EVENTS_MAX payloads. */
struct dc09_decoder;
struct dc09_decoder *dc09_decoder_new(void);
void dc09_decoder_free(struct dc09_decoder **decoder);

/*
 * frame: one that was DC09_COMPLETE; keys: NULL for none. Returns DC09_COMPLETE, or DC09_NOT_UNDERSTOOD with
 * ret->reason: no key, not readable with it, no event, more events than DC09_EVENTS_MAX (half a frame is never taken).
 *
 * source is dc09:ACCOUNT, ACCOUNT in upper case and that of the header, which is the one that the key goes with;
 * without one it is that of the data, without either 0. device is dc09:ACCOUNT, or dc09:ACCOUNT/INPUT where the event
 * has an input. event_id is SEQ-DIGEST-NUMBER, with the digest (128 bits of SHA-256) over ID, sequence and body without
 * pad, timestamp in it, and NUMBER that of the event in the frame, from 1. It is the same for a plain frame and an
 * encrypted one, and over another line or receiver; but that of a timeless frame is over those too: a double is
 * preferred to a loss.
 */
enum dc09_result decode_dc09(struct dc09_decoder *decoder, const struct dc09_frame *frame, const struct dc09_keys *keys,
                             struct dc09_message *ret);

/* Gives the alerts of a timeless frame their identity: SEQ-DIGEST-NUMBER@first_us. For the decoder's last frame. */
void dc09_set_identity(struct dc09_decoder *decoder, struct dc09_message *message, int64_t first_us);

/* Reads what dc09_set_identity() wrote. false: the event id is not one of a timeless frame. */
bool dc09_undated_id(struct str event_id, uint8_t ret_digest[DC09_DIGEST_SIZE], int64_t *ret_first_us);

/* What an endpoint asks of its senders. */
struct dc09_policy {
    bool check_time;
    bool require_encryption; /* a plain frame is not understood */
};

enum dc09_verdict {
    DC09_STORE,       /* journal it, then ACK */
    DC09_STORE_STALE, /* the same, flagged stale: its NAK has not helped, so this makes it stop */
    DC09_SAY_ACK,     /* never judged; what dc09_reply() is given after the sync */
    DC09_SAY_NAK,
    DC09_SAY_DUH,
    DC09_SILENT,
};

/* Whether a frame of this time is in time. An unreadable time (ALERT_NO_TIME) is not. */
bool dc09_in_time(int64_t time_us, int64_t now_us);

/* What becomes of a frame. message is read where result is DC09_COMPLETE; naked: this digest was answered NAK before.
 * A reply (ACK, NAK, DUH) that comes in is met with silence, or two receivers would talk for ever. */
enum dc09_verdict dc09_judge(enum dc09_result result, const struct dc09_frame *frame,
                             const struct dc09_message *message, const struct dc09_policy *policy, int64_t now_us,
                             bool nacked);

/* Appends the reply for DC09_SAY_ACK, DC09_SAY_NAK or DC09_SAY_DUH; for others nothing. The CRC has the form that the
 * frame's has. key: message.key, for "*ACK"; pad as for dc09_encrypt(), not read without a key. A NAK tells our time; a
 * DUH repeats the header as an ACK does, or what a NAK says where the header could not be read. */
void dc09_reply(struct buf *out, enum dc09_verdict verdict, const struct dc09_frame *frame, const struct dc09_key *key,
                int64_t now_us, const uint8_t pad[DC09_PAD_MAX]);

#endif
