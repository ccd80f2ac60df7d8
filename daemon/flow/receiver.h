/*
 * endpoint -> decode -> validate -> journal, and after the sync, and only then, the reply.
 *
 * One turn (turn.h) drains the ready endpoints in rounds, appends the alerts to the journal, syncs once, and sends the
 * replies of the whole group in the order of their messages. While fdatasync() runs, the next group collects in ZeroMQ.
 */
#ifndef MOBEYE_FLOW_RECEIVER_H
#define MOBEYE_FLOW_RECEIVER_H

#include "base/err.h"
#include "base/loop.h"
#include "base/metrics.h"
#include "conf/conf.h"
#include "journal/journal.h"

struct receiver;

struct receiver_calls {
    void (*on_synced)(void *ctx);                        /* new records are on stable storage */
    void (*on_failed)(void *ctx, const struct err *err); /* the journal cannot be written; nothing more is accepted */
};

/* Opens the endpoints of conf, which must stay valid until the next receiver_reload() or receiver_free(). The caller
 * owns the journal. NULL with err set. */
struct receiver *receiver_new(struct loop *loop, struct metrics *metrics, struct journal *journal,
                              const struct conf *conf, const struct receiver_calls *calls, void *ctx, struct err *err);
void receiver_free(struct receiver **receiver); /* safe on NULL */

/* Applies all of conf, or changes nothing: -1 with err set. */
int receiver_reload(struct receiver *receiver, const struct conf *conf, struct err *err);

/* From now on routers reply RETRY, and the other endpoints are not read. */
void receiver_stop(struct receiver *receiver);

/* The journal may have space again: tries to append the records that wait for it. */
void receiver_retry_held(struct receiver *receiver);

/* Checks which endpoints are silent; to be called regularly. True: one has become silent, or is no longer. */
bool receiver_check_silence(struct receiver *receiver);

/* Wall time when the endpoint last received a message that was not rejected; ALERT_NO_TIME: not since the start. */
int64_t receiver_received_us(const struct receiver *receiver, const char *endpoint);

/* -1 with err set: an endpoint is not open, which is tried again every second. */
int receiver_check_open(const struct receiver *receiver, struct err *err);

/* Memory allocated by other parts of the daemon since the start: not counted as queued by peers. */
void receiver_set_own_memory(struct receiver *receiver, size_t bytes);

/* Commits a group that the journal has partly synced between two turns (because queued records or a new UUID needed
 * another frame, or a segment was given up). To be called before the counters are read, which must balance. */
void receiver_commit_synced(struct receiver *receiver);

/* Messages received that have no reply and are not in the journal yet. */
uint64_t receiver_in_flight(const struct receiver *receiver);

/* False: messages are waiting and none was read since the last call. */
bool receiver_progresses(struct receiver *receiver);

#endif
