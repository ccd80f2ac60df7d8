/*
 * The internals of the receiver, shared by receiver.c (turns, group commits, configuration) and receiver_message.c
 * (what is done with one message).
 */
#ifndef MOBEYE_FLOW_RECEIVER_PARTS_H
#define MOBEYE_FLOW_RECEIVER_PARTS_H

#include <event2/event_struct.h>

#include "flow/admission.h"
#include "flow/receiver.h"
#include "flow/turn.h"
#include "ingest/dc09_session.h"
#include "ingest/decode_cloudevents.h"
#include "ingest/endpoint_set.h"
#include "ingest/memory_watch.h"
#include "ingest/replies.h"

enum receiver_state {
    RECEIVER_RUNNING,  /* alerts are taken. -> STOPPING, FAILED */
    RECEIVER_STOPPING, /* every alert gets RETRY, until the process ends. -> FAILED */
    RECEIVER_FAILED,   /* the journal cannot be written: nothing is read, appended or replied to. Final */
};

struct receiver {
    enum receiver_state state;
    struct loop *loop;
    struct metrics *metrics;
    struct journal *journal;
    const struct conf *conf;
    struct receiver_calls calls;
    void *ctx;
    struct endpoint_set *endpoints;
    struct memory_watch *memory_watch;
    struct cloudevents_decoder *decoder;
    struct dc09_session *session;
    uint64_t seq_at_start; /* the journal's last record at the start */
    bool dc09_restored;    /* the session has been restored from the journal */
    struct endpoint_state *states;
    struct event turn_due; /* drains, commits, replies */
    struct turn turn;
    struct event commit_due;     /* the group has waited for more records */
    struct record_queue records; /* of the current message */
    struct replies replies;      /* of this group */
    uint64_t acks;               /* number of ACKs among them */
    struct admission admission;
    unsigned rotation; /* determines which endpoint is drained first */
    uint64_t progress_seen;
};

/* receiver.c: appends the records to the journal and clears them. false: nothing was appended, since the journal is
 * full or cannot be written (RECEIVER_FAILED). */
bool receiver_admit(struct receiver *r, struct record_queue *records, uint64_t *ret_seq);

/* receiver_message.c: replies to a message, or queues its reply for after the sync. false: stop reading the endpoint.
 */
bool receiver_handle_message(struct receiver *r, struct endpoint *endpoint, const struct endpoint_message *message);

#endif
