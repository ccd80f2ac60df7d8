/*
 * The flow on one page: accept (messages -> journal -> replies) and apply (journal -> database), joined by the journal
 * between them.
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

/* Looks into the files that conf names: a complaint a line about what is wrong in them, as conf_load() writes them. -1:
 * there is one. */
int pipeline_check(const struct conf *conf, struct buf *out);

/* Recovers the journal, opens the endpoints and begins to connect to the database. Takes over *conf, also on
 * failure. NULL with err set. */
struct pipeline *pipeline_new(struct loop *loop, struct metrics *metrics, struct conf **conf, struct err *err);

/* Undoes pipeline_new(); what was accepted is in the journal. Safe on NULL. */
void pipeline_free(struct pipeline **pipeline);

/* Applies a whole configuration, taking it over, or changes nothing: -1 with err set, *conf stays the caller's. */
int pipeline_reload(struct pipeline *pipeline, struct conf **conf, struct err *err);

/* The configuration that is in force. */
const struct conf *pipeline_conf(const struct pipeline *pipeline);

/* Takes nothing more (senders get RETRY), stores what waits if the database is up, for at most give_up_us, then calls
 * loop_stop(). */
void pipeline_stop(struct pipeline *pipeline, int64_t give_up_us);

/* Closes the journal with its clean-stop mark; after the loop has ended. -1 with err set: it could not be. */
int pipeline_close(struct pipeline *pipeline, struct err *err);

/* True after a failure that ends the process: the loop has been stopped, the reason has been logged. */
bool pipeline_failed(const struct pipeline *pipeline);

/* Whether alerts are accepted, for /readyz; -1 with err, the reason. An unreachable database is not a reason. */
int pipeline_ready(const struct pipeline *pipeline, struct err *err);

/* Writes the gauges into the metrics. */
void pipeline_gauges(struct pipeline *pipeline);

/* False where messages wait and none was taken since the last call: the watchdog is not fed. */
bool pipeline_progresses(struct pipeline *pipeline);

/* For people: how the database is. */
const char *pipeline_database_state(const struct pipeline *pipeline);

#endif
