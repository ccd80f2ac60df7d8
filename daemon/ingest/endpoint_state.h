/*
 * The state of an endpoint that outlives its socket across reloads: counters, log rate limits, held records, keys.
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
    struct rate_limiter rejected[REJECT_COUNT], denied[SECURITY_REFUSALS], unread, taken_over;
    struct record_queue held; /* pull and sub: records that found the journal full; reading stops while there are any */
    struct dc09_keys *keys;   /* NULL: none */
    int64_t last_received_us; /* monotonic: receipt of the last accepted message, or the start */
    int64_t last_received_wall_us; /* wall clock; ALERT_NO_TIME: none since the start */
    bool silent;                   /* as endpoint_state_check_silence() last found */
};

/* Finds the state of the endpoint in the list, or adds it with its counters among the metrics. */
struct endpoint_state *endpoint_state_find(struct endpoint_state **list, struct metrics *metrics, const char *endpoint,
                                           int64_t mono_us);
void endpoint_state_free_all(struct endpoint_state **list);

/* A message was received and not rejected. */
void endpoint_state_received(struct endpoint_state *state, int64_t mono_us, int64_t wall_us);

/* Wall time of the last such message of the endpoint; ALERT_NO_TIME: none since the start. */
int64_t endpoint_state_received_us(const struct endpoint_state *list, const char *endpoint);

/* For each endpoint: logs the end of conditions that have not occurred for a minute. Logs once, and sets the metric,
 * when it has received nothing for expect_every, and when the silence ends, also because the endpoint or its
 * expect_every is no longer in conf. True if any endpoint has become silent, or is no longer, since the last call. */
bool endpoint_state_check_silence(struct endpoint_state *list, const struct conf *conf, int64_t mono_us);

/* The keys of the endpoints of a configuration, in their order; NULL: it has none. {0} is empty. */
struct dc09_key_lists {
    struct dc09_keys **list;
    size_t n;
};

/* Reads the key files of all endpoints of conf. -1 with err set, naming the file; ret is empty then. */
int dc09_key_lists_load(struct dc09_key_lists *ret, const struct conf *conf, struct err *err);
void dc09_key_lists_free(struct dc09_key_lists *lists); /* what it owns */

/* Moves the keys to the endpoint, in place of those that it has; sets *keys to NULL. */
void endpoint_state_take_keys(struct endpoint_state *state, struct dc09_keys **keys);

#endif
