/*
 * What becomes of a DC-09 frame from an alarm panel or its portal: what it says, whether it is stored, what it is
 * answered. Holds what has to be remembered from frame to frame.
 */
#ifndef MOBEYE_PANEL_H
#define MOBEYE_PANEL_H

#include "ingest/decode_dc09.h"
#include "ingest/endpoint.h"
#include "intake.h"
#include "journal/journal.h"

struct panel;

struct panel *panel_new(void);
void panel_free(struct panel **panel); /* safe on NULL */

/* Slices hold until the next frame, and as long as the endpoint's message does. */
struct panel_frame {
    struct dc09_frame frame;
    enum dc09_result result;
    struct dc09_message message; /* of DC09_COMPLETE; its reason of DC09_NOT_UNDERSTOOD */
    enum dc09_verdict verdict;
};

/* Reads a frame off tcp, or the payload of a ZeroMQ message, and judges it. One that is to be answered NAK is
 * remembered. keys may be NULL. */
void panel_read(struct panel *panel, const struct endpoint_message *message, const struct conf_endpoint *conf,
                const struct dc09_keys *keys, int64_t wall_us, struct panel_frame *ret);

/* Whether the client (NULL: anybody) may report for every device that the frame speaks of: half a frame is never taken.
 * false: ret_reject is filled. */
bool panel_allows(const struct panel_frame *frame, const struct conf_client *client, struct reject *ret_reject);

/* Appends the alerts of a frame that is to be stored. keep_us as of validate_time(). */
void panel_records(struct panel *panel, struct panel_frame *frame, struct str endpoint, int64_t wall_us,
                   const int64_t keep_us[CLASS_COUNT], struct records *out);

/* Why a frame is refused: static text. */
const char *panel_reason(const struct panel_frame *frame);

/* The reply as it goes over tcp: DC09_SAY_ACK, DC09_SAY_NAK or DC09_SAY_DUH; empty for other verdicts. Holds until the
 * next call. */
struct str panel_reply(struct panel *panel, const struct panel_frame *frame, enum dc09_verdict say, int64_t wall_us);

/* Remembers the frames without a time that the journal has of the last DC09_TIMELESS_WINDOW_US; at most once in a life,
 * further calls do nothing. What cannot be read is passed over, with a word in the log. */
void panel_recall(struct panel *panel, struct journal *journal, int64_t wall_us);

#endif
