/*
 * SIA DC-09 frame -> struct alert. Pure: no clock, no configuration, no socket.
 */
#ifndef MOBEYE_INGEST_DECODE_DC09_H
#define MOBEYE_INGEST_DECODE_DC09_H

#include "base/clock.h"
#include "ingest/dc09_crypt.h"
#include "ingest/dc09_data.h"
#include "ingest/dc09_frame.h"
#include "model/alert.h"

enum { DC09_EVENTS_MAX = 64, DC09_DIGEST_SIZE = 16 };

/* An undated frame that equals one received less than this time earlier is the same message. */
#define DC09_UNDATED_WINDOW_US (15 * CLOCK_MINUTE)

/* A decoded frame. Slices point into the frame's bytes or into the decoder, and are valid until its next frame. */
struct dc09_message {
    struct dc09_content content;
    const struct dc09_key *key; /* one of the keys passed; NULL: the frame is plain */
    struct alert *alerts;       /* "from the message", occurred_us and skew_us as decode_cloudevents() leaves them */
    size_t n;                   /* 1 to DC09_EVENTS_MAX */
    size_t shared_offset, shared_bytes; /* of each payload: members that are the same in all; with spaces in their
                                           place it is still JSON */
    bool undated;                       /* no timestamp, or one that is not a time, as from equipment without a clock:
                                         * dc09_set_identity() it before storing */
    uint8_t digest[DC09_DIGEST_SIZE];
    const char *reason; /* for DC09_NOT_UNDERSTOOD; static text, never the sender's */
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

/* Writes the sender's word for the kind, in printable ASCII, from the event's code or, if it could not be read, from
 * its text. Returns the length. */
size_t dc09_kind_word(struct str text, char out[ALERT_KIND_MAX]);

/* Sets the identity of the alerts of an undated frame: SEQ-DIGEST-NUMBER@first_us. For the decoder's last frame. */
void dc09_set_identity(struct dc09_decoder *decoder, struct dc09_message *message, int64_t first_us);

/* Parses what dc09_set_identity() wrote. false: the event id is not that of an undated frame. */
bool dc09_undated_id(struct str event_id, uint8_t ret_digest[DC09_DIGEST_SIZE], int64_t *ret_first_us);

#endif
