/*
 * The way in: endpoint -> decode -> validate -> journal, and after the sync, and only then, the reply.
 *
 * One turn (turn.h) drains the ready endpoints, each its share, appends what is an alert to the journal, syncs once,
 * and sends the replies of the whole group in the order of their messages. While fdatasync() runs the next group
 * gathers in ZeroMQ.
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
    void (*synced)(void *ctx);                        /* new records are on stable storage */
    void (*failed)(void *ctx, const struct err *err); /* the journal cannot be written: nothing more is taken */
};

/* Opens the endpoints of conf, which must live until the next receiver_reload() or receiver_free(). The journal stays
 * the caller's. NULL with err set. */
struct receiver *receiver_new(struct loop *loop, struct metrics *metrics, struct journal *journal,
                              const struct conf *conf, const struct receiver_calls *calls, void *ctx, struct err *err);
void receiver_free(struct receiver **receiver); /* safe on NULL */

/* All or nothing, as endpoint_set_apply(). */
int receiver_reload(struct receiver *receiver, const struct conf *conf, struct err *err);

/* From now on routers answer RETRY, and the other endpoints are not read. */
void receiver_stop(struct receiver *receiver);

/* The journal may have room again: records that are held for it are tried. */
void receiver_retry_held(struct receiver *receiver);

/* Looks which endpoints are silent; called every now and then. True where one has become so, or is no longer. */
bool receiver_check_silence(struct receiver *receiver);

/* Wall time when the endpoint last took a message that was not refused; ALERT_NO_TIME: not since the start. */
int64_t receiver_received_us(const struct receiver *receiver, const char *endpoint);

/* So many bytes were taken by other parts since the start: they are not what peers pile up. */
void receiver_set_own_memory(struct receiver *receiver, size_t bytes);

/* Commits a group that the journal has synced in part between two turns, where held records or a new UUID took another
 * frame: before the books are looked at, which count the one half as waiting for the database. */
void receiver_commit_synced(struct receiver *receiver);

/* Messages received, and neither answered nor journaled yet. */
uint64_t receiver_in_flight(const struct receiver *receiver);

/* False where messages wait and none was taken since the last call. */
bool receiver_progresses(struct receiver *receiver);

#endif
