/*
 * What is kept of an endpoint by its name: it outlives the socket across reloads.
 */
#ifndef MOBEYE_INGEST_ENDPOINT_STATE_H
#define MOBEYE_INGEST_ENDPOINT_STATE_H

#include "base/log.h"
#include "base/metrics.h"
#include "conf/conf.h"
#include "ingest/dc09_crypt.h"
#include "ingest/reject.h"
#include "ingest/security.h"
#include "model/alert.h"
#include "model/record_queue.h"

struct endpoint_state {
    struct endpoint_state *next;
    struct metrics_endpoint *counters;
    char subject[96]; /* "endpoint NAME", for the log */
    struct rate_limiter refused[REJECT_COUNT], not_let_in[SECURITY_REFUSALS], unread, taken_over;
    struct record_queue held; /* pull and sub: what found the journal full; while there are any, reading has stopped */
    struct dc09_keys *keys;   /* NULL: none */
    int64_t last_received_us; /* monotonic: when the last message that was not refused came, or the start */
    int64_t last_received_wall_us; /* the same on the wall; ALERT_NO_TIME: none since the start */
    bool was_silent;               /* as endpoint_state_check_silence() last returned it */
};

/* The one of these counters in the list: found or made. */
struct endpoint_state *endpoint_state_find(struct endpoint_state **list, struct metrics_endpoint *counters,
                                           int64_t mono_us);
void endpoint_state_free_all(struct endpoint_state **list);

/* A message came that was not refused. */
void endpoint_state_received(struct endpoint_state *state, int64_t mono_us, int64_t wall_us);

/* Wall time of the last such message of the endpoint; ALERT_NO_TIME: none since the start. */
int64_t endpoint_state_received_us(const struct endpoint_state *list, const char *endpoint);

/* Ends complaints about what has not happened for a minute. Whether nothing was heard for expect_every_us (0: whenever)
 * is told once, in the log and the metrics. True where that is another answer than the last time. */
bool endpoint_state_check_silence(struct endpoint_state *state, int64_t expect_every_us, int64_t mono_us);

/* Reads the keys of every endpoint of conf that has a file of them, in the order of the endpoints; NULL for the others.
 * NULL with err set, naming the file. Free with endpoint_state_free_keys(). */
struct dc09_keys **endpoint_state_load_keys(const struct conf *conf, struct err *err);
void endpoint_state_free_keys(struct dc09_keys ***keys, size_t n); /* safe on NULL */

#endif
