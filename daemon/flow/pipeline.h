/*
 * The flow on one page: the receiver (messages -> journal -> replies) and the applier (journal -> database), joined by
 * the journal between them.
 */
#ifndef MOBEYE_FLOW_PIPELINE_H
#define MOBEYE_FLOW_PIPELINE_H

#include "base/err.h"
#include "base/loop.h"
#include "base/metrics.h"
#include "conf/conf.h"

struct pipeline;

/* Metrics with the reject codes of this program. */
struct metrics *pipeline_metrics_new(void);

/* Recovers the journal, opens the endpoints and starts connecting to the database. Takes ownership of *conf, also on
 * failure. NULL with err set. */
struct pipeline *pipeline_new(struct loop *loop, struct metrics *metrics, struct conf **conf, struct err *err);

/* Undoes pipeline_new(); what was accepted stays in the journal. Safe on NULL. */
void pipeline_free(struct pipeline **pipeline);

/* Applies a configuration and takes ownership of it; or changes nothing: -1 with err set, the caller keeps *conf. */
int pipeline_reload(struct pipeline *pipeline, struct conf **conf, struct err *err);

/* The configuration that is in force. */
const struct conf *pipeline_conf(const struct pipeline *pipeline);

/* Accepts nothing more (senders get RETRY), stores what is in the journal if the database is up, for at most
 * give_up_us, then calls loop_stop(). */
void pipeline_stop(struct pipeline *pipeline, int64_t give_up_us);

/* Closes the journal with a clean-stop frame; to be called after the loop has ended. -1 with err set. */
int pipeline_close(struct pipeline *pipeline, struct err *err);

/* True after a failure that ends the process: the loop has been stopped, the reason has been logged. */
bool pipeline_failed(const struct pipeline *pipeline);

/* Whether alerts are accepted, by every endpoint, for /readyz. -1 with the reason in err; never because the database is
 * unreachable. */
int pipeline_ready(const struct pipeline *pipeline, struct err *err);

/* Writes the gauges into the metrics. */
void pipeline_gauges(struct pipeline *pipeline);

/* For the watchdog. False: messages are waiting and none was read since the last call. */
bool pipeline_progresses(struct pipeline *pipeline);

/* The state of the database, for people. */
const char *pipeline_database_state(const struct pipeline *pipeline);

#endif
