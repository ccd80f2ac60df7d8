/*
 * Processes DC-09 frames from alarm panels and portals: their contents, whether they are stored, and the reply. Keeps
 * the state needed from frame to frame.
 *
 * The caller acts by the verdict of dc09_session_read(), on tcp (and on a router):
 *
 *   DC09_STORE, DC09_STORE_STALE: journals the alerts of dc09_session_records(), all of them or none; after the sync it
 *     sends DC09_SAY_ACK (ACK with the id frame.seq and the number of the last alert), which it builds before the next
 *     frame. If the journal is full it sends nothing (RETRY). A duplicate is journaled too: it is a sign of life, and
 *     its identity resolves it.
 *   DC09_SAY_NAK: sends that (RETRY); the alerts are not stored.
 *   DC09_SAY_DUH: sends that (REJECT of dc09_session_refusal()).
 *   DC09_SILENT: sends nothing (REJECT as above).
 *
 * An undated frame has the identity of the first that equals it in the last DC09_UNDATED_WINDOW_US. After a restart
 * those are restored from the event ids in the journal.
 */
#ifndef MOBEYE_INGEST_DC09_SESSION_H
#define MOBEYE_INGEST_DC09_SESSION_H

#include "ingest/dc09_reply.h"
#include "ingest/endpoint.h"
#include "ingest/endpoint_state.h"
#include "model/record_queue.h"

struct dc09_session;

struct dc09_session *dc09_session_new(void);
void dc09_session_free(struct dc09_session **session); /* safe on NULL */

/* Slices are valid until the next frame, and as long as the endpoint's message. */
struct dc09_session_frame {
    struct dc09_frame frame;
    enum dc09_result result;
    struct dc09_message message; /* valid for DC09_COMPLETE; its reason for DC09_NOT_UNDERSTOOD */
    enum dc09_verdict verdict;
};

/* Reads a frame from tcp, or the payload of a ZeroMQ message, and decides its verdict. Remembers a frame that gets NAK.
 * keys may be NULL. */
void dc09_session_read(struct dc09_session *session, const struct endpoint_message *message,
                       const struct conf_endpoint *conf, const struct dc09_keys *keys, int64_t wall_us,
                       struct dc09_session_frame *ret);

/* Whether the client (NULL: no restriction) may report for every device in the frame: a frame is accepted as a whole or
 * not at all. false: ret_reject is filled. */
bool dc09_session_allows(const struct dc09_session_frame *frame, const struct conf_client *client,
                         struct reject *ret_reject);

/* Appends the alerts of a frame that is to be stored. keep_us: as for validate_time(). */
void dc09_session_records(struct dc09_session *session, struct dc09_session_frame *frame, struct str endpoint,
                          int64_t wall_us, const int64_t keep_us[CLASS_COUNT], struct record_queue *out);

/* The flags of all alerts of a frame, after dc09_session_records(). */
uint32_t dc09_session_flags(const struct dc09_session_frame *frame);

/* Why a frame is rejected, and from which account: one address may be that of many accounts. */
void dc09_session_refusal(const struct dc09_session_frame *frame, struct reject *ret);

/* The reply as sent on tcp, for DC09_SAY_ACK, DC09_SAY_NAK or DC09_SAY_DUH; empty for other verdicts. Valid until the
 * next call. */
struct str dc09_session_reply(struct dc09_session *session, const struct dc09_session_frame *frame,
                              enum dc09_verdict say, int64_t wall_us);

/* Remembers an alert that the journal already has, if it is from an undated frame of the last DC09_UNDATED_WINDOW_US.
 */
void dc09_session_restore(struct dc09_session *session, const struct alert *alert, int64_t wall_us);

#endif
